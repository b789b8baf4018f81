"""Which suites do not go with a problem: what they would ask could not be answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pipeline_steps.data_params import REWRITING, SuitesParams
from pipeline_steps.problem_defaults import WRITING

_NO_WORDS = "a word keeps its tag and its place; truncation and appended_text go"
_WHOLE = "the answer was given to the whole text; word_loss goes"
_UNFIT: dict[str, dict[str, str]] = {
    "ner": dict.fromkeys(("contractions", "word_loss", "word_swap"), _NO_WORDS),
    **{problem: {"truncation": _WHOLE} for problem in (*WRITING, "response_selection")},
    "translation": {
        "truncation": _WHOLE,
        "appended_text": "it would have to be translated too; punctuation goes",
    },
}


def noise_mistakes(problem: str, params: SuitesParams) -> list[str]:
    """Return what is wrong with ``suites`` for a problem, each with what goes instead."""
    return [*_unfit(problem, params), *_unwritable(problem, params), *_repeated(params)]


def _unfit(problem: str, params: SuitesParams) -> Iterator[str]:
    reasons = _UNFIT.get(problem, {})
    for place, noise in enumerate(params.noise):
        if noise.kind in reasons:
            why = reasons[noise.kind]
            yield f"suites.noise.{place}.kind: {noise.kind} is not for {problem} ({why})"


def _unwritable(problem: str, params: SuitesParams) -> Iterator[str]:
    fitting = [kind for kind, of in REWRITING.items() if of == problem]
    instead = f"{', '.join(fitting)} goes" if fitting else "none goes with it: remove the suite"
    for place, suite in enumerate(params.rewritten):
        if suite.kind not in fitting:
            yield (
                f"suites.rewritten.{place}.kind: {suite.kind} is for {REWRITING[suite.kind]}, "
                f"and the problem is {problem} ({instead})"
            )


def _repeated(params: SuitesParams) -> Iterator[str]:
    names = Counter(name for noise in params.noise for name in noise.rates())
    names.update(suite.name for suite in params.rewritten)
    for name, n in names.items():
        if n > 1:
            yield f"suites: {n} suites are called {name}"
