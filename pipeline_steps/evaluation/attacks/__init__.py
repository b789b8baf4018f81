"""Attacks: goal x constraints x transformation x search, on the rows of every problem."""
