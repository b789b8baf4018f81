"""Behavioural tests as a table of cases: the same file gives the same cases."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_steps.digests import file_digest
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
    """One question: a text and, where answers are compared, the original before the change."""

    test: str
    text: str
    original: str | None = None


def cases_of(behaviour: BehaviourFile) -> tuple[Case, ...]:
    """Return the cases of all tests in the order of the file, none twice in a test.

    A change that leaves a text as it was makes no case: nothing would be asked.
    """
    return tuple(
        case
        for test in behaviour.tests
        for case in _evenly(list(dict.fromkeys(_cases(test, behaviour))), test.max_cases)
    )


def texts_of(cases: Sequence[Case]) -> list[str]:
    """Return every text that must be predicted, once, in the order of first use."""
    both = (text for case in cases for text in (case.original, case.text) if text is not None)
    return list(dict.fromkeys(both))


def write_cases(cases: Sequence[Case], path: Path) -> DatasetRef:
    """Return the texts of the cases as an examples file, whose row ids are the texts' numbers."""
    texts = texts_of(cases)
    rows = [
        {**dict.fromkeys(EXAMPLE_COLUMNS), "example_id": f"{i:06d}", "text": text, "label": ""}
        for i, text in enumerate(texts)
    ]
    schema = pa.schema([(name, pa.string()) for name in EXAMPLE_COLUMNS])
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), temporary)
    return DatasetRef(
        name=SUITE,
        split="test",
        path=path,
        digest=file_digest(path, "md5"),
        n_examples=len(texts),
        kind="behaviour",
    )


def _cases(test: DeclaredTest, behaviour: BehaviourFile) -> Iterator[Case]:
    for template in test.texts:
        if test.change is None:
            yield from (Case(test.name, text) for text in _filled(template, behaviour.fillers))
        elif test.change.vary is not None:
            yield from _varied(test.name, template, test.change.vary, behaviour.fillers)
        else:
            for text in _filled(template, behaviour.fillers):
                changed = _changed(text, test.change, behaviour.seed, test.name)
                if changed != text:
                    yield Case(test.name, changed, text)


def _filled(template: str, fillers: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield the template under every combination of the values of its fillers."""
    names = list(dict.fromkeys(FILLER.findall(template)))
    for values in itertools.product(*(fillers[name] for name in names)):
        chosen = dict(zip(names, values, strict=True))
        yield "".join(
            chosen[part] if place % 2 else part  # every second part is the name of a filler
            for place, part in enumerate(FILLER.split(template))
        )


def _varied(
    name: str, template: str, varied: str, fillers: Mapping[str, Sequence[str]]
) -> Iterator[Case]:
    """Yield a case for each further value of one filler, beside the text with its first value."""
    if varied not in FILLER.findall(template):
        return
    first, *others = fillers[varied]
    originals = list(_filled(template, {**fillers, varied: (first,)}))
    for value in others:
        # The other fillers run through the same combinations in the same order.
        texts = _filled(template, {**fillers, varied: (value,)})
        for original, text in zip(originals, texts, strict=True):
            if text != original:
                yield Case(name, text, original)


def _changed(text: str, change: Change, seed: int, name: str) -> str:
    if change.noise is not None:
        return _noisy(text, change.noise, seed, name)
    if change.replace is not None:
        for old, new in change.replace.items():
            text = text.replace(old, new)
        return text
    return f"{change.prefix or ''}{text}{change.suffix or ''}"


def _noisy(text: str, noise: NoiseChange, seed: int, name: str) -> str:
    """Return the first of some draws that changes the text; short texts often escape a draw."""
    for draw in range(_TRIES):
        drawn = f"{name}:{draw}:{text}"
        noisy = perturb(text, noise.kind, noise.rate, seed=seed, example_id=drawn)
        if noisy != text:
            return noisy
    return text


def _evenly(cases: list[Case], most: int) -> list[Case]:
    """Return at most so many cases, spread evenly over all."""
    if len(cases) <= most:
        return cases
    return [cases[place * len(cases) // most] for place in range(most)]
