"""Suites that are made of the clean rows of a user's file: with noise, or saying something else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from pipeline_steps.data_params import REWRITING, NoiseParams, RewrittenParams, SuitesParams
from pipeline_steps.data_preparation.noisy import NoiseSuite, noisy_row
from pipeline_steps.data_preparation.rewritten import rewriter
from pipeline_steps.errors import ConfigurationError
from pipeline_steps.noise.catalog import KINDS, require_resources
from pipeline_steps.noise_mistakes import noise_mistakes
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.types import ReportKind

Row = dict[str, Any]


@dataclass(frozen=True)
class MadeSuite:
    """A suite to make: what is said of it, and what makes its rows of the clean ones."""

    name: str
    kind: ReportKind
    said: str
    make: Callable[[Sequence[Row]], tuple[Row, ...]]


def made_suites(
    problem: str, noise: Sequence[str], rewrite: Sequence[str], seed: int
) -> list[MadeSuite]:
    """Return the suites that options name.

    Parameters
    ----------
    problem : str
        Whose rows they are made of.
    noise : sequence of str
        ``KIND``, ``KIND:LEVEL`` or ``KIND:all``.
    rewrite : sequence of str
        ``KIND`` or ``KIND:RATE``. Other entities come from the rows themselves: there are no
        training rows.
    seed : int
        Same seed, same rows.

    Raises
    ------
    ConfigurationError
        If one is not named as it must be, or does not go with the problem.
    MissingDependencyError
        If a package that a kind of noise reads is not installed.
    """
    noises, rewritten = [_noise(text) for text in noise], [_rewriting(text) for text in rewrite]
    asked = SuitesParams(noise=tuple(noises), rewritten=tuple(rewritten), seed=seed)
    unfit = [text for text in noise_mistakes(problem, asked) if ".kind: " in text]
    if unfit:
        raise ConfigurationError(
            "; ".join(text.partition(".kind: ")[2] for text in unfit),
            expected=f"suites whose right answers are known in {problem}",
            fix="leave --noise or --rewrite of that kind out",
        )
    require_resources([one.kind for one in noises])
    made = [
        _noisy(NoiseSuite(name, one.kind, rate, seed), problem)
        for one in noises
        for name, rate in one.rates().items()
    ]
    return [*made, *(_rewritten(one, seed) for one in rewritten)]


def _noise(text: str) -> NoiseParams:
    kind, colon, level = text.partition(":")
    severity: Any = int(level) if level.isdigit() else level
    try:
        return NoiseParams.model_validate(
            {"name": kind, "kind": kind, **({"severity": severity} if colon else {})}
        )
    except ValidationError as error:
        raise ConfigurationError(
            f"--noise {text!r}",
            expected=f"KIND, KIND:LEVEL (1 to 5) or KIND:all; KIND is one of {', '.join(KINDS)}",
            fix="write it as --noise typos:3",
        ) from error


def _rewriting(text: str) -> RewrittenParams:
    kind, colon, rate = text.partition(":")
    try:
        return RewrittenParams.model_validate(
            {"name": kind, "kind": kind, **({"rate": rate} if colon else {})}
        )
    except ValidationError as error:
        raise ConfigurationError(
            f"--rewrite {text!r}",
            expected=f"KIND or KIND:RATE (0 to 1); KIND is one of {', '.join(REWRITING)}",
            fix="write it as --rewrite entity_swap, or --rewrite distractor:0.5",
        ) from error


def _noisy(noise: NoiseSuite, problem: str) -> MadeSuite:
    asked = get_problem(problem)

    def make(rows: Sequence[Row]) -> tuple[Row, ...]:
        return tuple(noisy_row(row, asked, noise) for row in rows)

    return MadeSuite(noise.name, "noise", f"{noise.kind} {noise.rate:g}", make)


def _rewritten(suite: RewrittenParams, seed: int) -> MadeSuite:
    def make(rows: Sequence[Row]) -> tuple[Row, ...]:
        rewrite = rewriter(suite, seed, (row["target"] for row in rows))
        return tuple(rewrite(row) for row in rows)

    return MadeSuite(suite.name, "rewritten", f"{suite.kind} {suite.rate:g}", make)
