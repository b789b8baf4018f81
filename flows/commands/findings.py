"""What ``holdfast doctor`` says of one thing that it looked at."""

from __future__ import annotations

from typing import Literal

from pipeline_steps.types import Value

Status = Literal["ok", "note", "problem"]


class Finding(Value):
    """One thing that was looked at; a ``problem`` stops the work, a ``note`` does not."""

    name: str
    status: Status
    found: str
    fix: str | None = None
