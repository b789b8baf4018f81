"""What a training step minimises: each objective is one module that knows none of the others."""
