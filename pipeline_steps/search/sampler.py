"""Which values a trial tries: a Parzen estimator whose randomness belongs to the trial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from pipeline_steps.search.study import place


class ByPlace(BaseSampler):
    """A tree-structured Parzen estimator, drawn anew for each trial from a seed and its place.

    The seed is settled once the trial has its number: two processes that begin a trial at the same
    moment draw different values, and a search that was cut off goes on as if it had not been.

    Parameters
    ----------
    seed : int
        Of the search.
    n_startup : int
        Trials drawn at random before the estimator is asked.
    """

    def __init__(self, seed: int, n_startup: int) -> None:
        self.seed, self.n_startup = seed, n_startup
        self._drawn = self._estimator(0)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Settle the randomness of a trial that has its number."""
        self._drawn = self._estimator(place(study, trial.number))
        self._drawn.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return what is drawn together."""
        return dict(self._drawn.infer_relative_search_space(study, trial))

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: Mapping[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return values that are drawn together."""
        return dict(self._drawn.sample_relative(study, trial, dict(search_space)))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any
    ) -> Any:
        """Return a value that is drawn by itself."""
        return self._drawn.sample_independent(study, trial, param_name, param_distribution)

    def _estimator(self, place: int) -> TPESampler:
        return TPESampler(
            n_startup_trials=self.n_startup,
            multivariate=True,
            constant_liar=True,  # others at work count, so that two do not try the same
            seed=(self.seed * 1_000_003 + place) % 2**32,
        )
