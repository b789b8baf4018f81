"""What the rest of the code asks a problem, so that it need not know which one it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from pipeline_steps.problems.statistics import Array, Statistics

Noise = Callable[[str, str], str]
"""Returns a noisy version of a text; the second argument names the place in the row."""
Kind = Literal["string", "long", "double", "strings", "doubles", "messages"]
"""``strings``: a list of texts; ``doubles``: a number for each of some names; ``messages``: a
conversation as JSON in a text, which over HTTP may be the list itself."""


@dataclass(frozen=True)
class Content:
    """What a raw row says: the columns of an example that a problem fills."""

    text: str | None
    text_pair: str | None = None
    target: str | None = None
    repaired: bool = False


@dataclass(frozen=True)
class Field:
    """A column of a served model's input or output."""

    name: str
    kind: Kind = "string"
    required: bool = True


class Problem(Protocol):
    """A problem's rows, without any model."""

    @property
    def name(self) -> str:
        """As ``params.yaml`` calls it."""
        ...

    @property
    def has_label(self) -> bool:
        """Whether each row carries one label."""
        ...

    @property
    def min_labels(self) -> int:
        """Different labels, of rows or within them, that there must be to learn from."""
        ...

    @property
    def target_is_input(self) -> bool:
        """Whether the model reads the target (spans) rather than answers it (tags)."""
        ...

    @property
    def keeps_texts_together(self) -> bool:
        """Whether rows with one text must stand on one side of a split."""
        ...

    @property
    def flaws(self) -> Mapping[str, str]:
        """Reason -> column of the row-level expectations beside those of every problem."""
        ...

    @property
    def inputs(self) -> tuple[Field, ...]:
        """What a served model is asked."""
        ...

    @property
    def outputs(self) -> tuple[Field, ...]:
        """What a served model answers."""
        ...

    def read(self, value: Callable[[str], Any]) -> Content:
        """Return what a raw row says; ``value`` gives what stands in a field's column.

        Raises
        ------
        NotAValueError
            If a field cannot be what it is meant to be.
        """
        ...

    def find_flaws(self, row: Mapping[str, Any]) -> Sequence[str]:
        """Return the reasons (of ``flaws``) for which an example cannot be used."""
        ...

    def labels_in(
        self, labels: Iterable[str | None], targets: Iterable[str | None]
    ) -> Iterable[str]:
        """Return the labels that examples show, one by one."""
        ...

    def noisy(self, row: Mapping[str, Any], noise: Noise) -> dict[str, Any]:
        """Return the example with noise in what the model reads; its target still fits."""
        ...

    def noisy_end(self, row: Mapping[str, Any], noise: Noise) -> dict[str, Any]:
        """Return the example with another end of what the model reads; its target still fits.

        ``noise`` cuts a text or puts something behind it, and leaves the rest as it is.
        """
        ...

    def request(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a served model is asked, from an example."""
        ...

    def example(self, request: Mapping[str, Any]) -> Content:
        """Return the example that a served model is asked about."""
        ...

    def answer(self, predicted: str) -> dict[str, Any]:
        """Return what a served model must answer, from a recorded prediction."""
        ...


class LabelProblem(Problem, Protocol):
    """A problem whose answer is one label."""

    def label_metrics(
        self, labels: Sequence[str], hits: Array, support: Array, assigned: Array
    ) -> dict[str, Array]:
        """Return the metrics beside those of classification, from counts (..., n_labels)."""
        ...


class StructuredProblem(Problem, Protocol):
    """A problem whose answers are more than one label: they are compared as JSON."""

    def statistics(self, truth: Sequence[str], predicted: Sequence[str]) -> Statistics:
        """Return what each example adds to the metrics, from truth and prediction as JSON."""
        ...


@runtime_checkable
class RemarkingProblem(Problem, Protocol):
    """A problem that knows what is odd in a row, but sets no row aside for."""

    @property
    def remarks(self) -> Mapping[str, str]:
        """Reason -> column of what is reported as a warning."""
        ...

    def find_remarks(self, row: Mapping[str, Any]) -> Sequence[str]:
        """Return the reasons (of ``remarks``) that hold for an example."""
        ...


@runtime_checkable
class RepairingProblem(Problem, Protocol):
    """A problem that may keep what a raw row says in another form than it was written in."""

    @property
    def repair(self) -> str:
        """What such rows are reported as, in a warning about their target."""
        ...


@runtime_checkable
class DemandingProblem(Problem, Protocol):
    """A problem that nothing is learnt of where no row shows a certain one of its labels."""

    @property
    def needed_label(self) -> str:
        """The label, one of those that ``labels_in`` gives."""
        ...

    @property
    def none_of_it(self) -> str:
        """What is said of rows none of which shows it."""
        ...


@runtime_checkable
class AttackableProblem(Protocol):
    """A problem that says more of what an attack may change than noise is put on."""

    def attackable(self, row: Mapping[str, Any], change: Noise) -> dict[str, Any]:
        """Return the example with changed texts, place by place; its target still fits."""
        ...

    def named_places(self, row: Mapping[str, Any]) -> frozenset[str]:
        """Return the places of what is asked about: entities, spans, the question."""
        ...


def end_behind(text: str, last: int, noise: Noise) -> str:
    """Return a text with another end, of which the first ``last`` characters stay.

    Parameters
    ----------
    text : str
        What the model reads.
    last : int
        Where the last span ends that must stay.
    noise : callable
        Cuts a text or puts something behind it.
    """
    changed = noise(text, "text")
    return changed if len(changed) >= last else text[:last]
