"""From dataset references to a checkpoint."""
