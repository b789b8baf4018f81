"""Noise that people and their machines make: texts to texts, at a rate or a severity.

Each module is one family of kinds; :mod:`pipeline_steps.noise.catalog` lists them all. Lists of
words and characters are read from installed packages when a kind first needs them.
"""

from pipeline_steps.noise.catalog import perturb

__all__ = ["perturb"]
