"""How a pipeline calls its steps: directly, announced on a terminal, or as a Prefect task.

A pipeline is a list of step calls that takes a :class:`Call`; who runs it decides what a call is.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ParamSpec, Protocol, TypeVar

_WORTH_SAYING = 1.0  # seconds
P = ParamSpec("P")
R = TypeVar("R")


class Call(Protocol):
    """Something that calls a step with its arguments and returns its result."""

    def __call__(self, step: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return ``step(*args, **kwargs)``."""
        ...


def call_directly(step: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Return ``step(*args, **kwargs)``: no orchestrator, no server."""
    return step(*args, **kwargs)


def announcing(call: Call, announce: Callable[[str], None]) -> Call:
    """Return a call that says, through ``announce``, which step runs, and its seconds if many.

    What was made before the step began is said to be reused.
    """

    def announced(step: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        began, started = datetime.now(UTC), time.perf_counter()
        announce(f"- {step_title(step)}")
        result = call(step, *args, **kwargs)
        seconds = time.perf_counter() - started
        if _made_before(began, result):
            announce("  reused: it was finished before")
        elif seconds >= _WORTH_SAYING:
            announce(f"  done in {seconds:.0f} s")
        return result

    return announced


def _made_before(began: datetime, result: Any) -> bool:
    """Return whether a result says of itself that it is older than the call that returned it."""
    from pipeline_steps.types import Checkpoint

    if not isinstance(result, Checkpoint):
        return False
    made = datetime.fromisoformat(result.provenance.created_at)
    return made < began.replace(microsecond=0)  # it is dated to the second


def say(message: str) -> None:
    """Print a line on standard error: standard output is for results."""
    print(message, file=sys.stderr, flush=True)  # noqa: T201 - the command line's voice


def step_title(step: Callable[..., Any]) -> str:
    """Return a step's name as people read it.

    Examples
    --------
    >>> def predict_suites(): ...
    >>> step_title(predict_suites)
    'predict suites'
    """
    return step.__name__.replace("_", " ")
