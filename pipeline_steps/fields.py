"""Values of raw files as the columns of an example: texts, names and points in time."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, date, datetime, time
from typing import Any

_SECONDS_END = 1e11
"""Seconds since 1970 reach this in the year 5138: a larger number counts milliseconds."""
_BASIC_DATE = 8


class NotAValueError(ValueError):
    """A field holds what its column cannot hold: the row is set aside.

    Parameters
    ----------
    column : str
        What the field was read as.
    value : Any
        What it held.
    """

    def __init__(self, column: str, value: Any, expected: str) -> None:
        self.reason = f"{column}_not_a_{expected}"
        self.detail = f"a {type(value).__name__} where a {expected} was expected"
        self.excerpt = str(value)[:200]
        super().__init__(self.detail)


def missing_as_none(value: Any) -> Any:
    """Return ``None`` for NaN, which is how tables write a missing text."""
    return None if isinstance(value, float) and math.isnan(value) else value


def as_text(column: str, value: Any) -> str | None:
    """Return a text as it is.

    Raises
    ------
    NotAValueError
        If it is a number, a list or anything but text.
    """
    if value is None or isinstance(value, str):
        return value
    raise NotAValueError(column, value, "string")


def as_name(column: str, value: Any, *, strip: bool = False) -> str | None:
    """Return an id, a label or another name as text; 3 and 3.0 are "3", an empty one is none.

    Parameters
    ----------
    column : str
        Named in the error.
    value : Any
        Text, number or truth value.
    strip : bool
        Whether white space around it means nothing ("spam " is "spam").

    Raises
    ------
    NotAValueError
        If it is a list, an object or bytes.

    Examples
    --------
    >>> as_name("label", 3.0), as_name("label", " spam ", strip=True), as_name("label", "")
    ('3', 'spam', None)
    """
    if value is None or isinstance(value, str):
        name = value.strip() if strip and value else value
        return name or None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list | tuple | dict | bytes):
        raise NotAValueError(column, value, "name")
    return str(value)


def as_timestamp(value: Any) -> datetime | None:
    """Return a point in time (UTC), or ``None`` for what is none.

    Parameters
    ----------
    value : Any
        ISO 8601 (also ``20260131``), seconds or, from 1e11 on, milliseconds since 1970 as number
        or digits, a date, or a datetime; without a zone it is UTC.

    Examples
    --------
    >>> as_timestamp("2026-01-02T03:04:05+01:00").isoformat()
    '2026-01-02T02:04:05+00:00'
    """
    try:
        return _timestamp(value)
    except (ValueError, OverflowError, OSError):
        return None


def _timestamp(value: Any) -> datetime | None:
    if isinstance(value, str):
        value = value.strip()
        if value.replace(".", "", 1).isdigit() and len(value) != _BASIC_DATE:
            value = float(value)
        else:
            value = datetime.fromisoformat(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = value / 1000 if abs(value) >= _SECONDS_END else value
        value = datetime.fromtimestamp(seconds, UTC)
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if not isinstance(value, datetime):
        return None
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def as_strings(column: str, value: Any) -> list[str] | None:
    """Return a list of texts: a list, a JSON list, or a text with blanks between them.

    Raises
    ------
    NotAValueError
        If it is anything else, or something in the list is no text.

    Examples
    --------
    >>> as_strings("tokens", "New York"), as_strings("tokens", '["New York"]')
    (['New', 'York'], ['New York'])
    """
    if value is None:
        return None
    content = json_or_text(value) if isinstance(value, str) and value[:1] == "[" else value
    if isinstance(content, str):
        return content.split()
    if isinstance(content, list | tuple) and all(isinstance(item, str) for item in content):
        return list(content)
    raise NotAValueError(column, value, "list")


def as_names(column: str, value: Any) -> list[str] | None:
    """Return any number of names: a list, a JSON list, or a text with ; or | between them.

    White space around a name means nothing; between two separators there is no name, but an empty
    item of a list stays, so that it can be found.

    Raises
    ------
    NotAValueError
        If it is an object, or a list in another notation than that of JSON.

    Examples
    --------
    >>> as_names("labels", "new york; art|"), as_names("labels", '["a;b", 3]')
    (['new york', 'art'], ['a;b', '3'])
    >>> as_names("labels", " "), as_names("labels", [None])
    ([], [''])
    """
    if value is None:
        return None
    content = json_or_text(value.strip()) if _is_listed(value) else value
    if isinstance(content, str) and not _is_listed(content):
        return [name for part in re.split("[;|]", content) if (name := part.strip())]
    if isinstance(content, list | tuple):
        return [as_name(column, item, strip=True) or "" for item in content]
    if isinstance(content, str | dict | bytes):
        raise NotAValueError(column, value, "list")
    return [str(as_name(column, content))]


def _is_listed(value: Any) -> bool:
    return isinstance(value, str) and value.strip()[:1] == "[" and value.strip()[-1:] == "]"


def as_texts(column: str, value: Any) -> list[str] | None:
    """Return one or more texts: a text, a list of texts, or such a list as JSON.

    Raises
    ------
    NotAValueError
        If it is anything else.

    Examples
    --------
    >>> as_texts("target", "[sic] a text"), as_texts("target", '["one", "two"]')
    (['[sic] a text'], ['one', 'two'])
    """
    if value is None:
        return None
    content = json_or_text(value) if isinstance(value, str) and value[:1] == "[" else value
    if isinstance(content, str):
        return [content]
    if isinstance(content, list | tuple) and all(isinstance(item, str) for item in content):
        return list(content)
    if isinstance(value, str):  # a text that happens to be JSON, such as [1]
        return [value]
    raise NotAValueError(column, value, "text")


def json_or_text(value: str) -> Any:
    """Return what a text says as JSON; a text that merely begins like a list stays a text.

    So does one that is nested deeper than Python reads.
    """
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def as_span(column: str, value: Any) -> tuple[int, int] | None:
    """Return where something begins and ends in a text: a pair of numbers, or a text with them.

    Raises
    ------
    NotAValueError
        If it is anything else.

    Examples
    --------
    >>> as_span("head_span", [3, 8]), as_span("head_span", "3, 8"), as_span("head_span", "[3,8]")
    ((3, 8), (3, 8), (3, 8))
    """
    if value is None:
        return None
    pair = re.findall(r"\d+", value) if isinstance(value, str) else value
    if isinstance(pair, list | tuple) and len(pair) == 2 and all(map(_is_count, pair)):  # noqa: PLR2004
        return int(pair[0]), int(pair[1])
    raise NotAValueError(column, value, "span")


def as_objects(column: str, value: Any) -> list[dict[str, Any]] | None:
    """Return a list of objects; an object of equally long lists is one of these, turned around.

    Raises
    ------
    NotAValueError
        If it is anything else.

    Examples
    --------
    >>> as_objects("answers", {"text": ["a", "b"], "answer_start": [0, 7]})
    [{'text': 'a', 'answer_start': 0}, {'text': 'b', 'answer_start': 7}]
    """
    if value is None:
        return None
    content = json_or_text(value) if isinstance(value, str) else value
    if isinstance(content, dict) and _are_columns(content):
        names, columns = list(content), list(content.values())
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    if isinstance(content, list | tuple) and all(isinstance(item, dict) for item in content):
        return list(content)
    raise NotAValueError(column, value, "list")


def _are_columns(content: dict[str, Any]) -> bool:
    lengths = [len(item) if isinstance(item, list | tuple) else -1 for item in content.values()]
    return -1 not in lengths and len(set(lengths)) == 1


def _is_count(value: Any) -> bool:
    return not isinstance(value, bool) and str(value).isdigit()
