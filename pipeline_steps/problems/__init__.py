"""What each machine-learning problem looks like: its rows, expectations, noise and metrics.

Nothing here needs torch; how a model learns and answers a problem is in ``inference.learners``.
"""
