"""Behavioural tests as a table of cases: the same file gives the same cases."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_steps.digests import file_digest
from pipeline_steps.evaluation.behaviour.asked import MARK, Question, asked_row
from pipeline_steps.evaluation.behaviour.declared import (
    FILLER,
    BehaviourFile,
    Change,
    DeclaredTest,
    NoiseChange,
)
from pipeline_steps.files import atomic_file
from pipeline_steps.noise import perturb
from pipeline_steps.types import EXAMPLE_COLUMNS, DatasetRef

SUITE = "behaviour"
_TRIES = 20


@dataclass(frozen=True)
class Case:
    """One question; where answers are compared, the original before the change.

    ``expected``: what is right, piece by piece, as :attr:`DeclaredTest.expected` has it.
    """

    test: str
    question: Question
    original: Question | None = None
    expected: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        """What is asked."""
        return self.question.text


def cases_of(behaviour: BehaviourFile) -> tuple[Case, ...]:
    """Return the cases of all tests in the order of the file, none twice in a test.

    A change that leaves a text as it was makes no case: nothing would be asked.
    """
    return tuple(
        case
        for test in behaviour.tests
        for case in _evenly(list(dict.fromkeys(_cases(test, behaviour))), test.max_cases)
    )


def questions_of(cases: Sequence[Case]) -> list[Question]:
    """Return all that must be predicted, each once, in the order of first use."""
    both = (q for case in cases for q in (case.original, case.question) if q is not None)
    return list(dict.fromkeys(both))


def texts_of(cases: Sequence[Case]) -> list[str]:
    """Return every text that must be predicted, once, in the order of first use."""
    return list(dict.fromkeys(question.text for question in questions_of(cases)))


def write_cases(
    cases: Sequence[Case], path: Path, problem: str = "text_classification"
) -> DatasetRef:
    """Return the questions of the cases as an examples file; row ids are the questions' numbers."""
    questions = questions_of(cases)
    rows = [
        {**dict.fromkeys(EXAMPLE_COLUMNS), "example_id": f"{i:06d}", "label": "",
         **asked_row(question, problem)}
        for i, question in enumerate(questions)
    ]  # fmt: skip
    schema = pa.schema([(name, pa.string()) for name in EXAMPLE_COLUMNS])
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), temporary)
    return DatasetRef(
        name=SUITE,
        split="test",
        path=path,
        digest=file_digest(path, "md5"),
        n_examples=len(questions),
        kind="behaviour",
    )


def _cases(test: DeclaredTest, behaviour: BehaviourFile) -> Iterator[Case]:
    kinds, wanted = zip(*test.expected, strict=True) if test.expected else ((), ())
    for template in test.texts:
        asked = (template, test.context or "")
        if test.change is None:
            for text, context, *right in _filled((*asked, *wanted), behaviour.fillers):
                expected = tuple(zip(kinds, right, strict=True))
                yield Case(test.name, Question(text, context), expected=expected)
        elif test.change.vary is not None:
            yield from _varied(test.name, asked, test.change.vary, behaviour.fillers)
        else:
            for filled in _filled(asked, behaviour.fillers):
                before = Question(*filled)
                after = _changed(before, test.change, behaviour.seed, test.name)
                if after != before:
                    yield Case(test.name, after, before)


def _filled(
    templates: Sequence[str], fillers: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, ...]]:
    """Yield the templates under every combination of the values of their fillers."""
    names = list(dict.fromkeys(name for text in templates for name in FILLER.findall(text)))
    for values in itertools.product(*(fillers[name] for name in names)):
        chosen = dict(zip(names, values, strict=True))
        yield tuple(
            "".join(
                chosen[part] if place % 2 else part  # every second part is the name of a filler
                for place, part in enumerate(FILLER.split(template))
            )
            for template in templates
        )


def _varied(
    name: str, templates: Sequence[str], varied: str, fillers: Mapping[str, Sequence[str]]
) -> Iterator[Case]:
    """Yield a case for each further value of one filler, beside what has its first value."""
    if not any(varied in FILLER.findall(template) for template in templates):
        return
    first, *others = fillers[varied]
    originals = list(_filled(templates, {**fillers, varied: (first,)}))
    for value in others:
        # The other fillers run through the same combinations in the same order.
        changed = _filled(templates, {**fillers, varied: (value,)})
        for original, filled in zip(originals, changed, strict=True):
            if filled != original:
                yield Case(name, Question(*filled), Question(*original))


def _changed(question: Question, change: Change, seed: int, name: str) -> Question:
    """Return the question with its text, or its context, changed."""
    if change.of == "context":
        return question._replace(context=_changed_text(question.context, change, seed, name))
    return question._replace(text=_changed_text(question.text, change, seed, name))


def _changed_text(text: str, change: Change, seed: int, name: str) -> str:
    if change.noise is not None:
        return _noisy(text, change.noise, seed, name)
    if change.replace is not None:
        for old, new in change.replace.items():
            text = text.replace(old, new)
        return text
    return f"{change.prefix or ''}{text}{change.suffix or ''}"


def _noisy(text: str, noise: NoiseChange, seed: int, name: str) -> str:
    """Return the first of some draws that changes the text; short texts often escape a draw.

    The marks of spans stay as they are.
    """
    for draw in range(_TRIES):
        noisy = "".join(
            part
            if place % 2
            else perturb(
                part, noise.kind, noise.rate, seed=seed, example_id=f"{name}:{draw}:{part}"
            )
            for place, part in enumerate(MARK.split(text))
        )
        if noisy != text:
            return noisy
    return text


def _evenly(cases: list[Case], most: int) -> list[Case]:
    """Return at most so many cases, spread evenly over all."""
    if len(cases) <= most:
        return cases
    return [cases[place * len(cases) // most] for place in range(most)]
