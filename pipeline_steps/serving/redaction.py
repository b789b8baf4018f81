"""What the traffic log keeps of a row: without what the rules name, and still in one piece.

Where a row counts words or characters (tags, spans), the count stays right: words are replaced one
by one, and offsets follow the text. Of a conversation in JSON what is said is replaced, message by
message: a rule that is laid over the notation takes a part of an escape for a part of a word.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline_steps.problems.conversation import as_messages, as_objects_of
from pipeline_steps.serve_params import Redaction

REPEATED = {
    "score": (),
    "scores": (),
    "tokens": ("tags",),
    "entities": ("tags",),
    "reply": ("place",),
}
"""Fields of an answer that the log has elsewhere: always, or where another field says the same."""
_NAMES = ("label", "labels", "tags")
_OFFSETS = {"text": ("head_start", "head_end", "tail_start", "tail_end"), "context": ("start",)}


class Redactor:
    """Replaces what some regular expressions find."""

    def __init__(self, rules: Sequence[Redaction]) -> None:
        self.rules = [(re.compile(rule.pattern), rule.replacement) for rule in rules]

    def kept(
        self, request: Mapping[str, Any], said: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what is kept of a request and of its answer."""
        repeated = {n for n, others in REPEATED.items() if all(other in said for other in others)}
        output = {name: value for name, value in said.items() if name not in repeated}
        output = {n: v if n in _NAMES else self._any(v) for n, v in output.items()}
        if "tags" in said:
            return {"tokens": self._words(list(said["tokens"]))}, output
        example = {name: self._input(name, value) for name, value in request.items()}
        for name, offsets in _OFFSETS.items():
            if name in request:
                for values in (example, output):
                    values.update(self._moved(request[name], values, offsets))
        return example, output

    def text(self, text: str) -> str:
        """Return a text with replacements."""
        for pattern, replacement in self.rules:
            text = _replaced(pattern, replacement, text)
        return text

    def _input(self, name: str, value: Any) -> Any:
        is_json = name == "messages" and isinstance(value, str) and value.lstrip()[:1] == "["
        return self._conversation(value) if is_json else self._any(value)

    def _conversation(self, text: str) -> str:
        """Return roles and redacted contents, which is all that a model reads of the messages."""
        said = as_objects_of(as_messages("messages", text) or [])
        kept = [{**each, "content": self.text(each["content"])} for each in said]
        return json.dumps(kept, ensure_ascii=False)

    def _any(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self._any(item) for item in value]
        if isinstance(value, dict):
            return {name: self._any(item) for name, item in value.items()}
        return value

    def _words(self, words: list[str]) -> list[str]:
        """Return as many words: each that a match touches is replaced as a whole."""
        for pattern, replacement in self.rules:
            ends = list(itertools.accumulate(len(word) + 1 for word in words))
            starts = [end - len(word) - 1 for end, word in zip(ends, words, strict=True)]
            for match in pattern.finditer(" ".join(words)):
                for place, start in enumerate(starts):
                    if start < match.end() and match.start() < ends[place] - 1:
                        words[place] = replacement
        return words

    def _moved(
        self, text: str, values: Mapping[str, Any], offsets: Sequence[str]
    ) -> dict[str, int]:
        return {
            name: self._place(text, values[name], is_end=name.endswith("_end"))
            for name in offsets
            if name in values
        }

    def _place(self, text: str, place: int, *, is_end: bool) -> int:
        """Return where a place of the text is after the replacements; within one, at its edge."""
        for pattern, replacement in self.rules:
            moved = 0
            for match in pattern.finditer(text):
                if match.end() <= place:
                    moved += len(replacement) - (match.end() - match.start())
                elif match.start() < place:
                    moved += match.start() - place + (len(replacement) if is_end else 0)
            place, text = place + moved, _replaced(pattern, replacement, text)
        return place


def _replaced(pattern: re.Pattern[str], replacement: str, text: str) -> str:
    return pattern.sub(lambda _: replacement, text)
