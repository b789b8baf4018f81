"""The parts of a retrain: what asked for it, the new dataset version, what is learnt."""
