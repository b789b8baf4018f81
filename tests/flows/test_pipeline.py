"""What a terminal is told of the steps of a pipeline."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows.pipeline import announcing, call_directly
from pipeline_steps.provenance import provenance
from pipeline_steps.types import Checkpoint


def checkpoint(made: datetime) -> Checkpoint:
    """Return a checkpoint that was finished at a time, dated to the second as all are."""
    when = made.isoformat(timespec="seconds")
    return Checkpoint(
        path=Path("checkpoint"), digest="d", problem="ner", labels=(), base_model="b",
        base_digest="b", parameters={}, train_digest="t", valid_digest="v", training={},
        provenance=provenance(Path.cwd(), ()).model_copy(update={"created_at": when}),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("age", "said"), [(0, []), (2, ["  reused: it was finished before"])], ids=["new", "old"]
)
def test_a_checkpoint_from_before_is_said_to_be_reused(age: int, said: list[str]) -> None:
    def finetune_model() -> Checkpoint:
        return checkpoint(datetime.now(UTC) - timedelta(seconds=age))

    lines: list[str] = []
    announcing(call_directly, lines.append)(finetune_model)
    assert lines == ["- finetune model", *said]
