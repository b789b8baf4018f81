"""What is wrong with a set of values, one line a mistake, with the nearest known key."""

from __future__ import annotations

import difflib
from typing import Any

from pydantic import BaseModel, ValidationError


def explain_mistakes(error: ValidationError, root: type[BaseModel]) -> list[str]:
    """Return one line for each mistake that pydantic found in values for ``root``.

    What merely follows from a mistake further inside (a list that lost its wrong items is too
    short) is left out.
    """
    mistakes = error.errors()
    places = [mistake["loc"] for mistake in mistakes]
    return [
        _explain(mistake, root)
        for mistake in mistakes
        if not any(
            p != mistake["loc"] and p[: len(mistake["loc"])] == mistake["loc"] for p in places
        )
    ]


def _explain(mistake: Any, root: type[BaseModel]) -> str:
    """Return one line for one pydantic error, with the nearest known key for an unknown one."""
    where = ".".join(str(part) for part in mistake["loc"]) or "the file"
    if mistake["type"] == "extra_forbidden":
        return f"{where}: unknown key{_suggestion(mistake['loc'], root)}"
    return f"{where}: {mistake['msg']} (received {mistake['input']!r})"


def _suggestion(location: tuple[int | str, ...], root: type[BaseModel]) -> str:
    section = _section_at(location[:-1], root)
    if section is None:
        return ""
    known = [field.alias or name for name, field in section.model_fields.items()]
    near = difflib.get_close_matches(str(location[-1]), known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known keys: {', '.join(known)}"


def _section_at(location: tuple[int | str, ...], root: type[BaseModel]) -> type[BaseModel] | None:
    section = root
    for part in location:
        if isinstance(part, int):
            continue
        field = next(
            (f for name, f in section.model_fields.items() if part in (name, f.alias)), None
        )
        annotation = None if field is None else _section_type(field.annotation)
        if annotation is None:
            return None
        section = annotation
    return section


def _section_type(annotation: Any) -> type[BaseModel] | None:
    """Return the section class in an annotation: ``X``, ``tuple[X, ...]`` or ``X | None``."""
    candidates = [annotation, *getattr(annotation, "__args__", ())]
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)
