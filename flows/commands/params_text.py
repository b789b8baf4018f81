"""``params.yaml`` as a text that explains itself, written from the models that read it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import yaml
from pydantic import BaseModel

from pipeline_steps.gate_params import POLICIES, GateParams, overridden
from pipeline_steps.params import Params
from pipeline_steps.problem_defaults import foreign_columns

_HEADER = """\
# The parameters of this workspace: the only numbers, read anew by every command. Keys that are
# left out have the values shown here by `holdfast init`; an unknown key is an error.
"""
_WIDTH = 100


def params_text(params: Params) -> str:
    """Return YAML with a comment on every key, which :func:`load_params` reads back as ``params``.

    Comments are the field descriptions of the models, so they cannot differ from the code.
    """
    return _HEADER + "\n".join(_top_lines(params)) + "\n"


def _top_lines(params: Params) -> Iterator[str]:
    for name, field in type(params).model_fields.items():
        yield ""
        yield f"# {field.description}"
        lines = _entry(field.alias or name, getattr(params, name), None, depth=0)
        if name == "ingest":
            lines = _without_foreign_columns(lines, params)
        elif name == "gate":
            lines = _gate_lines(params.gate)
        yield from lines


def _gate_lines(gate: GateParams) -> Iterator[str]:
    """Yield the policy and what overrides it; what the policy says stands there as a comment."""
    shown = {"policy", "floors"} | (
        overridden(gate) if gate.policy in POLICIES else {*type(gate).model_fields}
    )
    if gate.policy != "refresh":  # it says where a gain is asked for
        shown.add("superiority")
    yield "gate:"
    for name, field in type(gate).model_fields.items():
        value = getattr(gate, name)
        if name in shown:
            yield from _entry(name, value, field.description, 1)
        else:
            yield from _with_comment(f"  # {name}: {_plain(value)}", field.description, 1)


def _without_foreign_columns(lines: Iterable[str], params: Params) -> Iterator[str]:
    """Yield the lines without the columns, all null, that other problems read."""
    foreign = foreign_columns(params.problem)
    comments: list[str] = []
    for line in lines:
        comments.append(line)
        if not line.lstrip().startswith("# "):
            if line.strip().partition(":")[0] not in foreign:
                yield from comments
            comments = []


def _entry(key: str, value: Any, comment: str | None, depth: int) -> Iterator[str]:
    """Yield the lines of one key: on one line where the value is plain, else as a block."""
    if not _is_block(value):
        yield from _with_comment(f"{'  ' * depth}{key}: {_plain(value)}", comment, depth)
        return
    yield from _with_comment(f"{'  ' * depth}{key}:", comment, depth)
    if isinstance(value, BaseModel):
        yield from _section(value, depth + 1, commented=True)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _entry(str(name), item, None, depth + 1)
    else:
        for position, item in enumerate(value):
            yield from _list_item(item, depth + 1, commented=position == 0)


def _section(section: BaseModel, depth: int, *, commented: bool) -> Iterator[str]:
    for name, field in type(section).model_fields.items():
        comment = field.description if commented else None
        yield from _entry(field.alias or name, getattr(section, name), comment, depth)


def _list_item(item: BaseModel, depth: int, *, commented: bool) -> Iterator[str]:
    """Yield a section as an item of a list: a dash, then its keys below each other."""
    first, *rest = _section(item, depth + 1, commented=commented)
    yield f"{'  ' * depth}- {first.lstrip()}"
    yield from rest


def _is_block(value: Any) -> bool:
    if isinstance(value, BaseModel):
        return True
    if isinstance(value, dict):
        return bool(value)
    return isinstance(value, tuple) and bool(value) and isinstance(value[0], BaseModel)


def _plain(value: Any) -> str:
    """Return a scalar, or a list of scalars, on one line of YAML."""
    content = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(content, default_flow_style=True, allow_unicode=True, width=10**6)
    return text.removesuffix("\n").removesuffix("\n...")


def _with_comment(line: str, comment: str | None, depth: int) -> Iterator[str]:
    """Yield a line with its comment behind it, or above it where both together are too long."""
    if not comment:
        yield line
    elif max(len(line), 32) + len(comment) + 4 <= _WIDTH:
        yield f"{line:<32}  # {comment}"
    else:
        yield f"{'  ' * depth}# {comment}"
        yield line
