"""Behavioural tests: small hand-written cases that say what a model must do."""
