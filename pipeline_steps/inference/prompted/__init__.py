"""Classifiers that are a language model and a prompt; nothing was trained for the labels."""
