"""From a checkpoint and a dataset to predictions, once per dataset."""
