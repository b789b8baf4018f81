"""What is wrong with a set of values, one line a mistake, with the nearest known key."""

from __future__ import annotations

import difflib
from typing import Any, get_args

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
    path, section = _walk(mistake["loc"], root)
    where = ".".join(path) or "the file"
    if mistake["type"] == "extra_forbidden":
        return f"{where}: unknown key{_suggestion(path[-1], section)}"
    message = str(mistake["msg"]).removeprefix("Value error, ")
    if isinstance(mistake["input"], dict | BaseModel):
        return f"{where}: {message}"  # about several keys: the place says which section
    return f"{where}: {message} (received {mistake['input']!r})"


def _suggestion(key: str, section: type[BaseModel] | None) -> str:
    if section is None:
        return ""
    known = [field.alias or name for name, field in section.model_fields.items()]
    near = difflib.get_close_matches(key, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known keys: {', '.join(known)}"


def _walk(
    location: tuple[int | str, ...], root: type[BaseModel]
) -> tuple[list[str], type[BaseModel] | None]:
    """Return the place as it stands in the file, and the section that its last key is in.

    Where a section has several kinds, pydantic puts the kind into the place: it is no key.
    """
    path: list[str] = []
    sections: list[type[BaseModel]] = [root]
    holder: type[BaseModel] | None = root
    for part in location:
        of_kind = [section for section in sections if _kind_of(section) == part]
        if len(sections) > 1 and of_kind:
            sections = of_kind
            continue
        path.append(str(part))
        holder = sections[0] if len(sections) == 1 else None
        if isinstance(part, str):
            sections = [] if holder is None else _sections_under(part, holder)
    return path, holder


def _kind_of(section: type[BaseModel]) -> str | None:
    """Return what ``kind`` says in this section, where there is one."""
    field = section.model_fields.get("kind")
    names = () if field is None else get_args(field.annotation)
    return names[0] if len(names) == 1 else None


def _sections_under(key: str, section: type[BaseModel]) -> list[type[BaseModel]]:
    """Return the sections that a key may hold: ``X``, ``tuple[X, ...]``, ``X | Y | None``."""
    for name, field in section.model_fields.items():
        if key in (name, field.alias):
            candidates = [field.annotation, *get_args(field.annotation)]
            return [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
    return []
