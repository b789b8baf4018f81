"""The options of the commands, a module for each part of the life of a model."""
