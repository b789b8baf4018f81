"""Search of fine-tuning parameters; the only package that knows Optuna."""
