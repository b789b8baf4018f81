"""A search that outlives its processes: Optuna's study in a database, asked and told."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline_steps.errors import MissingDependencyError
from pipeline_steps.search_params import Dimension, Range, TuneParams

_WORKER, _AGAIN = "worker", "again"
_MAX_STARTUP = 10  # Optuna's own number of random trials before its model is believed
_STARTUP_SHARE = 4
_WARM_UP = 2  # number of the first evaluation at which a trial may be stopped


@dataclass(frozen=True)
class Asked:
    """A set of values to try.

    Parameters
    ----------
    number : int
        Number of the trial in its study, from 0.
    values : mapping
        Key below ``finetune`` -> value.
    """

    number: int
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Told:
    """A trial that has ended.

    Parameters
    ----------
    number : int
        Number of the trial in its study.
    state : str
        ``complete``, ``pruned`` or ``fail``.
    score : float or None
        Where it is complete.
    values : mapping
        Key below ``finetune`` -> value.
    notes : mapping
        What was noted with the trial.
    """

    number: int
    state: str
    score: float | None
    values: Mapping[str, Any]
    notes: Mapping[str, Any]


class Study:
    """Trials of one search, kept in a database; any number of processes may ask and tell.

    The sampler is a tree-structured Parzen estimator (Bergstra et al. 2011), several dimensions
    together (Falkner et al. 2018). Its randomness is drawn anew for each trial from the seed and
    the trial's place in the search: a search that was interrupted goes on as if it had not been.
    Pruning is by the median of earlier trials at the same evaluation (Golovin et al. 2017).

    Parameters
    ----------
    url : str
        SQLAlchemy address of the database.
    name : str
        Of the study; made if there is none.
    params : TuneParams
        Space, budget and seed.
    worker : str
        Who asks; see :meth:`take_over`.
    """

    def __init__(self, url: str, name: str, params: TuneParams, worker: str) -> None:
        optuna = _load_optuna()
        from pipeline_steps.search.sampler import ByPlace

        self.params = params
        self.worker = worker
        n_startup = min(_MAX_STARTUP, max(2, params.n_trials // _STARTUP_SHARE))
        pruner = optuna.pruners.MedianPruner(n_startup_trials=n_startup, n_warmup_steps=_WARM_UP)
        self._study = optuna.create_study(
            storage=optuna.storages.RDBStorage(url),
            study_name=name,
            direction="maximize",
            load_if_exists=True,
            sampler=ByPlace(params.seed, n_startup),
            pruner=pruner if params.prune else optuna.pruners.NopPruner(),
        )

    def take_over(self) -> tuple[int, ...]:
        """Return which trials of this worker a kill had cut off; they are tried again, first.

        Only for who knows that no other process of the same name is at work.
        """
        optuna = _load_optuna()
        running = self._study.get_trials(states=(optuna.trial.TrialState.RUNNING,))
        cut_off = [trial for trial in running if trial.user_attrs.get(_WORKER) == self.worker]
        for trial in cut_off:
            again = [*trial.user_attrs.get(_AGAIN, []), trial.number]
            self._study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
            self._study.enqueue_trial(trial.params, user_attrs={_AGAIN: again})
        return tuple(trial.number for trial in cut_off)

    def ask(self) -> Asked | None:
        """Return the next values to try; ``None`` where the budget is used up."""
        if self._n_begun() >= self.params.n_trials:
            return None
        trial = self._study.ask()
        if place(self._study, trial.number) >= self.params.n_trials:
            self._give_back(trial.number)
            return None
        trial.set_user_attr(_WORKER, self.worker)
        values = {
            key: _suggested(trial, key, dimension) for key, dimension in self.params.space.items()
        }
        return Asked(trial.number, values)

    def report(self, number: int, evaluation: int, score: float) -> bool:
        """Return whether a trial is to be stopped, after its score at an evaluation (from 1)."""
        trial = self._trial(number)
        trial.report(score, evaluation)
        return bool(trial.should_prune())

    def note(self, number: int, notes: Mapping[str, Any]) -> None:
        """Keep JSON values with a trial that has not ended."""
        trial = self._trial(number)
        for key, value in notes.items():
            trial.set_user_attr(key, value)

    def tell(self, number: int, score: float) -> None:
        """Say what a trial has come to."""
        self._study.tell(number, score)

    def stopped(self, number: int, *, failed: bool) -> None:
        """Say that a trial ended without a score: it failed, or was pruned."""
        states = _load_optuna().trial.TrialState
        self._study.tell(number, state=states.FAIL if failed else states.PRUNED)

    def ended(self) -> list[Told]:
        """Return all trials that have ended, in the order of their numbers, those cut off aside."""
        return [
            Told(
                number=trial.number,
                state=trial.state.name.lower(),
                score=trial.value if trial.state.name == "COMPLETE" else None,
                values={key: _value(key, v, self.params.space) for key, v in trial.params.items()},
                notes={k: v for k, v in trial.user_attrs.items() if k not in (_WORKER, _AGAIN)},
            )
            for trial in counted(self._study.get_trials(deepcopy=False))
            if trial.state.is_finished()
        ]

    def best(self) -> Told | None:
        """Return the complete trial with the highest score, the earlier one of equals."""
        complete = [trial for trial in self.ended() if trial.score is not None]
        return max(complete, key=lambda trial: (trial.score, -trial.number), default=None)

    def _n_begun(self) -> int:
        return len(counted(self._study.get_trials(deepcopy=False)))

    def _give_back(self, number: int) -> None:
        """Let a trial not count: another process took the last one of the budget meanwhile."""
        self._trial(number).set_user_attr(_AGAIN, [number])
        self._study.tell(number, state=_load_optuna().trial.TrialState.FAIL)

    def _trial(self, number: int) -> Any:
        optuna = _load_optuna()
        trial_id = self._study.get_trials(deepcopy=False)[number]._trial_id  # noqa: SLF001
        return optuna.trial.Trial(self._study, trial_id)


def counted(trials: Sequence[Any]) -> list[Any]:
    """Return the trials that use up the budget: those cut off and those still to begin aside."""
    replaced = {number for trial in trials for number in trial.user_attrs.get(_AGAIN, ())}
    return [t for t in trials if t.number not in replaced and t.state.name != "WAITING"]


def place(study: Any, number: int) -> int:
    """Return how many counted trials have a lower number: no two counted trials share a place."""
    return sum(t.number < number for t in counted(study.get_trials(deepcopy=False)))


def _suggested(trial: Any, key: str, dimension: Dimension) -> Any:
    if not isinstance(dimension, Range):
        return json.loads(trial.suggest_categorical(key, [_category(v) for v in dimension]))
    if isinstance(dimension.low, int) and isinstance(dimension.high, int):
        return trial.suggest_int(key, dimension.low, dimension.high, log=dimension.log)
    return trial.suggest_float(key, dimension.low, dimension.high, log=dimension.log)


def _value(key: str, stored: Any, space: Mapping[str, Dimension]) -> Any:
    return stored if isinstance(space[key], Range) else json.loads(stored)


def _category(value: Any) -> str:
    """Return a choice as text: Optuna's categories are scalars, ours may be sections."""
    return json.dumps(value, sort_keys=True)


def _load_optuna() -> Any:
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "optuna is not installed", expected="the extra tune", fix="pip install 'holdfast[tune]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
