"""Errors that a user can act on: what was received, what was expected, how to fix it."""

from __future__ import annotations

import json


def counted(n: int, noun: str) -> str:
    """Return a number with its noun, in the singular where there is one.

    Examples
    --------
    >>> counted(1, "row"), counted(0, "row"), counted(2, "mistake")
    ('1 row', '0 rows', '2 mistakes')
    """
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


class HoldfastError(Exception):
    """A refusal that the user can mend.

    Parameters
    ----------
    received : str
        What was found, with the offending values.
    expected : str
        What would have been accepted.
    fix : str
        What to do, ending with a command where one exists.
    """

    exit_code = 2

    def __init__(self, received: str, *, expected: str, fix: str) -> None:
        self.received = received
        self.expected = expected
        self.fix = fix
        super().__init__(f"{received}\n  expected: {expected}\n  to fix it: {fix}")

    def to_json(self) -> str:
        """Return the refusal for another process; see :func:`error_from_json`."""
        content = {"received": self.received, "expected": self.expected, "fix": self.fix}
        return json.dumps({"type": type(self).__name__, **content}, indent=2)


class ConfigurationError(HoldfastError):
    """``params.yaml`` or an environment variable is wrong; all mistakes are reported at once."""


class UsageError(HoldfastError):
    """A command was given options or arguments that it does not have."""


class BusyError(HoldfastError):
    """Another command holds what this one needs; later it will do."""


class DataError(HoldfastError):
    """An input file cannot be read as what it was declared to be."""


class ValidationBlockedError(HoldfastError):
    """The expectation suite refused the dataset as a whole."""

    exit_code = 3


class DirtyDataError(HoldfastError):
    """A file that DVC tracks no longer has the content that ``dvc.lock`` records."""


class CheckpointError(HoldfastError):
    """A base model or checkpoint is missing, truncated or not the one that was named."""


class TrainingError(HoldfastError):
    """Fine-tuning cannot start, or diverged."""

    exit_code = 4


class RegistryError(HoldfastError):
    """The tracking server, the registry or the ledger refused or contradicts itself."""

    exit_code = 5


class EvidenceError(HoldfastError):
    """What a verdict rests on is missing, was changed, or says something else than the verdict."""

    exit_code = 6


class PromotionError(RegistryError):
    """A promotion stopped before the alias moved, or lost a race."""


class TrafficError(HoldfastError):
    """The traffic log cannot be used, or was asked about predictions that it does not hold."""

    exit_code = 5


class EndpointError(HoldfastError):
    """A served model could not be reached, or did not answer as one."""

    exit_code = 5


class WorkerError(HoldfastError):
    """A process that did a part of the work ended before it had done it."""


class StorageError(HoldfastError):
    """The disk is full, or a file or directory cannot be read or written by this user."""


class MissingDependencyError(HoldfastError):
    """A library that this command needs is not installed."""


ROW_ERRORS = (
    HoldfastError, ValueError, KeyError, IndexError, TypeError, AttributeError, RuntimeError,
)  # fmt: skip
"""What a model raises over a row that it cannot read, and torch where memory is out."""


def error_from_json(text: str) -> HoldfastError:
    """Return the refusal of another process, of its own kind."""
    content = json.loads(text)
    name = content.pop("type")
    kinds = {kind.__name__: kind for kind in _kinds(HoldfastError)}
    return kinds.get(name, HoldfastError)(content.pop("received"), **content)


def _kinds(kind: type[HoldfastError]) -> list[type[HoldfastError]]:
    return [kind, *(inner for below in kind.__subclasses__() for inner in _kinds(below))]
