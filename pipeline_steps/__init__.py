"""Holdfast's steps: plain functions with plain arguments that know no orchestrator."""

__version__ = "0.1.0"
