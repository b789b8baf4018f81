"""What every section of ``params.yaml`` is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(gt=0)]
Axis = Annotated[str, Field(pattern=r"^[^/]+/[^/]+$")]


class Section(BaseModel):
    """A frozen section of ``params.yaml``; an unknown key is an error.

    The string below a field explains it in the file that ``holdfast init`` writes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
