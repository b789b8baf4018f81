"""One small workspace for each problem; see README.md."""
