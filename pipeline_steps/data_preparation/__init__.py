"""From raw files to validated, split and stressed dataset versions: the stages of dvc.yaml."""
