"""The file of behavioural tests: what may be declared, and every mistake in it at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from pipeline_steps.errors import ConfigurationError, counted
from pipeline_steps.evaluation.behaviour.fitting import EXPECTED, problem_mistakes
from pipeline_steps.evaluation.behaviour.watched import Watch
from pipeline_steps.mistakes import explain_mistakes
from pipeline_steps.section import Positive, Section, Share

FILLER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
Name = Literal["minimum_functionality", "invariance", "directional"]


class NoiseChange(Section):
    """Noise as in the noise suites."""

    kind: Literal["typos", "casing", "punctuation", "whitespace"]
    """typos, casing, punctuation or whitespace."""
    rate: Share = 0.1
    """Probability that a place is changed."""


class Change(Section):
    """How a text is changed; exactly one of the keys."""

    vary: str | None = None
    """A filler: the first of its values makes the original, the others the changed texts."""
    noise: NoiseChange | None = None
    """Noise, drawn by the seed of the file."""
    prefix: str | None = None
    """Put before the text."""
    suffix: str | None = None
    """Put behind the text."""
    replace: dict[str, str] | None = None
    """Old: new; a text in which none of them occurs makes no case."""
    of: Literal["text", "context"] = "text"
    """What is changed: the text, or the context in which its answer is looked for."""

    @property
    def beside(self) -> str | None:
        """What is put beside a text; ``None`` where the text itself is changed."""
        return self.prefix or self.suffix

    @model_validator(mode="after")
    def _exactly_one(self) -> Change:
        names = [name for name in type(self).model_fields if name != "of"]
        if sum(getattr(self, name) is not None for name in names) != 1:
            raise ValueError(f"give exactly one of {', '.join(names)}")
        return self


class DeclaredTest(Section):
    """One behavioural test (Ribeiro et al. 2020): texts, and what must hold of the answers."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]+$")
    """Its name in every report, and in the metric failure_rate_NAME."""
    kind: Name
    """minimum_functionality: the label is known; invariance: a change must not change the answer;
    directional: a change must not lower, or raise, what is watched."""
    capability: str = ""
    """What it is about, such as negation or vocabulary."""
    texts: tuple[str, ...] = Field(min_length=1)
    """Texts; {name} stands for each value of the filler of that name."""
    context: str | None = None
    """question_answering: where the answers to the texts are looked for."""
    label: str | None = None
    """The label that is right, or whose probability or number is watched."""
    labels: tuple[str, ...] | None = None
    """multi_label_classification: all labels that are right; []: none."""
    entities: dict[str, tuple[str, ...]] | None = None
    """ner: all entities, by type; {}: there are none."""
    answers: tuple[str, ...] | None = None
    """question_answering: each is right; []: there is no answer."""
    contains: tuple[str, ...] | None = None
    """translation, summarisation, dialogue: what the answer must say, whatever the case."""
    lacks: tuple[str, ...] | None = None
    """translation, summarisation, dialogue: what the answer must not say."""
    change: Change | None = None
    """How the texts are changed."""
    watch: Watch | None = None
    """What is watched: the probability of the label, how sure the answer is, or how much it holds:
    labels, entities, words; of questions 1 where there is an answer. null: the probability."""
    must_not: Literal["fall", "rise"] | None = None
    """What that must not do."""
    tolerance: float = Field(default=0.0, ge=0.0)
    """By how much it may do so all the same."""
    max_cases: Positive = 200
    """Cases; of more, as many are taken evenly."""

    @property
    def expected(self) -> list[tuple[str, str]]:
        """What is expected piece by piece, before fillers are filled in; a label is not among it.

        Each is a type of entity, ``answer``, ``label``, ``contains`` or ``lacks``, and a text.
        """
        named = [(kind, t) for kind, found in (self.entities or {}).items() for t in found]
        listed = {"answer": self.answers, "label": self.labels, "contains": self.contains,
                  "lacks": self.lacks}  # fmt: skip
        return [*named, *((kind, t) for kind, texts in listed.items() for t in texts or ())]

    @model_validator(mode="after")
    def _keys_fit_the_kind(self) -> DeclaredTest:
        needed, allowed = {
            "minimum_functionality": ((), EXPECTED),
            "invariance": (("change",), ()),
            "directional": (("change", "must_not"), ("label", "watch")),
        }[self.kind]
        keys = (*EXPECTED, "change", "watch", "must_not")
        given = {name for name in keys if getattr(self, name) is not None}
        lacking, surplus = set(needed) - given, given - {*needed, *allowed}
        if allowed and not {*allowed} & given:
            lacking.add("label")
        if lacking or surplus:
            words = [f"needs {name}" for name in sorted(lacking)]
            words += [f"has no use for {name}" for name in sorted(surplus)]
            raise ValueError(f"a test of kind {self.kind} {' and '.join(words)}")
        return self


class BehaviourFile(Section):
    """A file of behavioural tests."""

    seed: int = 0
    """Same seed, same noise."""
    fillers: dict[str, tuple[str, ...]] = Field(default={})
    """Name: values that stand for {name} in the texts."""
    tests: tuple[DeclaredTest, ...] = Field(min_length=1)
    """The tests."""


def load_behaviour(
    path: Path,
    labels: frozenset[str] | None = None,
    problem: str = "text_classification",
    whose: str = "the train rows",
) -> BehaviourFile:
    """Return the behavioural tests in a YAML file.

    Parameters
    ----------
    path : Path
        The file.
    labels : frozenset of str, optional
        What the model can answer; a test of another label is a mistake.
    problem : str
        What is asked; what it cannot answer is a mistake.
    whose : str
        Whose labels they are, in words.

    Raises
    ------
    ConfigurationError
        With every mistake and its line at once; or if the file is missing or no YAML.
    """
    text = _read(path)
    try:
        content, nodes = yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise _refused(path, [str(error)]) from error
    try:
        behaviour = BehaviourFile.model_validate(content)
    except ValidationError as error:
        found = [(_place(m), m) for m in explain_mistakes(error, BehaviourFile)]
        raise _refused(path, [_at(nodes, place, mistake) for place, mistake in found]) from error
    mistakes = [
        _at(nodes, place, f"{'.'.join(place)}: {said}")
        for place, said in (
            *_further_mistakes(behaviour),
            *problem_mistakes(behaviour, problem, labels, whose),
        )
    ]
    if mistakes:
        raise _refused(path, mistakes)
    return behaviour


def _further_mistakes(behaviour: BehaviourFile) -> Iterator[tuple[list[str], str]]:
    """Yield place and words of what single keys cannot tell."""
    names = [test.name for test in behaviour.tests]
    for name, values in behaviour.fillers.items():
        if not values:
            yield ["fillers", name], "a filler without values makes no text"
    for place, test in enumerate(behaviour.tests):
        at = ["tests", str(place)]
        if test.name in names[:place]:
            yield [*at, "name"], f"{test.name!r} is the name of an earlier test"
        for where, text in _templates(test):
            for filler in dict.fromkeys(FILLER.findall(text)):
                if filler not in behaviour.fillers:
                    yield [*at, *where], f"there is no filler {filler!r}"
        yield from (([*at, "change"], said) for said in _mistakes_of_change(test, behaviour))


def _templates(test: DeclaredTest) -> Iterator[tuple[list[str], str]]:
    """Yield place and text of everything in a test that fillers are filled into."""
    yield from ((["texts", str(position)], text) for position, text in enumerate(test.texts))
    if test.context is not None:
        yield ["context"], test.context
    keys = {"answer": "answers", "label": "labels", "contains": "contains", "lacks": "lacks"}
    for kind, text in test.expected:
        yield [keys.get(kind, "entities")], text


def _mistakes_of_change(test: DeclaredTest, behaviour: BehaviourFile) -> Iterator[str]:
    varied = None if test.change is None else test.change.vary
    if varied is None:
        return
    if len(behaviour.fillers.get(varied, ())) < 2:  # noqa: PLR2004 - one to change into
        yield f"{varied!r} is no filler with at least two values"
    elif not any(varied in FILLER.findall(text) for _, text in _templates(test)):
        yield f"no text has {{{varied}}}"


def _place(mistake: str) -> list[str]:
    return mistake.partition(": ")[0].split(".")


def _at(node: Any, place: list[str], mistake: str) -> str:
    """Return the mistake behind the line of the nearest thing in the file that its place names."""
    line = 1
    for part in place:
        following = _child(node, part)
        if following is None:
            break
        node = following
        line = node.start_mark.line + 1
    return f"line {line}: {mistake}"


def _child(node: Any, part: str) -> Any:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == part), None)
    if isinstance(node, yaml.SequenceNode) and part.isdecimal() and int(part) < len(node.value):
        return node.value[int(part)]
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"there is no {path}",
            expected="the file of behavioural tests that evaluate.behaviour names",
            fix="write it, or set evaluate.behaviour to null",
        ) from error
    except UnicodeDecodeError as error:
        raise _refused(path, [str(error)]) from error


def _refused(path: Path, mistakes: list[str]) -> ConfigurationError:
    return ConfigurationError(
        f"{path} has {counted(len(mistakes), 'mistake')}:"
        + "".join(f"\n  - {mistake}" for mistake in mistakes),
        expected="tests as docs/stress.md describes them",
        fix=f"edit {path} as said above, then run the command again",
    )
