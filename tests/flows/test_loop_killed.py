"""Traffic, ticket, labels, retrain, promotion: killed at random points, it ends in one state."""

from __future__ import annotations

import random
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from builders import write_jsonl
from tiny_workspaces import change_params, make_workspace, sentiment_rows, shifted_rows
from warm_commands import WarmCommands

_LEARNS = {"epochs": 8, "learning_rate": 2e-2, "batch_tokens": 256}
_WATCHES = {"rows_a_month": 10_000, "tolerated_harm": 0.05, "labels_to_train": 0}
_PLAY = "killed_loop.play"
KILLS = 10


def make(root: Path, holdfast: WarmCommands, base: Path) -> tuple[int, Any]:
    """Make a workspace with a champion, play the loop in it, and put the workspace back."""
    rows = [{**r, "text": r["text"].rpartition(" ")[0]} for r in sentiment_rows(600)]
    make_workspace(root, base, rows=rows)
    change_params(
        root,
        finetune=_LEARNS,
        monitor=_WATCHES,
        split={"near_duplicates": {"enabled": False}},
        gate={"default_margin": 0.2, "calibration_margin": None},
        retrain={"cool_down_hours": 0.0, "learning": "continual"},
    )
    write_jsonl(root / "later.jsonl", shifted_rows())
    for arguments, task in ((("prepare",), None), ((), "killed_loop.train")):
        ended = holdfast(*arguments, cwd=root, task=task)
        assert ended.code == 0, ended.stderr
    return undisturbed_loop(root, holdfast)


def undisturbed_loop(root: Path, holdfast: WarmCommands) -> tuple[int, Any]:
    """Return the points and the end of a loop that nobody kills; the workspace is put back."""
    untouched = root.with_name("untouched")
    shutil.copytree(root, untouched, symlinks=True)
    ended = holdfast(cwd=root, task=_PLAY)
    assert ended.code == 0, ended.stderr
    found = int(ended.stdout), state(holdfast, root)
    shutil.rmtree(root)
    untouched.rename(root)
    return found


def state(holdfast: WarmCommands, root: Path) -> dict[str, Any]:
    ended = holdfast(cwd=root, task="killed_loop.show_state")
    assert ended.code == 0, ended.stderr
    assert holdfast.records(root)["problems"] == []
    return dict(ended.printed)


def killed_often(
    holdfast: WarmCommands, root: Path, n_points: int, kills: int, seed: int
) -> list[int]:
    """Return the points at which the loop was killed, one after the other, before it ended."""
    generator = random.Random(seed)
    at: list[int] = []
    for _ in range(kills):
        point = generator.randint(1, max(2, 2 * n_points // kills))
        ended = holdfast(cwd=root, task=_PLAY, environment={"KILL_AT": str(point)})
        if ended.code == 0:
            return at
        assert ended.code == -signal.SIGKILL, ended.stderr
        at.append(point)
    ended = holdfast(cwd=root, task=_PLAY)
    assert ended.code == 0, ended.stderr
    return at


@pytest.mark.slow
@pytest.mark.timeout(3_000)
@pytest.mark.parametrize("seed", range(5))
def test_the_loop_killed_at_random_points_ends_as_an_undisturbed_one(
    holdfast: WarmCommands, snapshots: Any, tiny_base: Path, seed: int
) -> None:
    root, (n_points, undisturbed) = snapshots.restore(
        "looped", lambda root: make(root, holdfast, tiny_base)
    )
    assert undisturbed["events"] == {
        "registered": 2, "champion_moved": 2, "retrain_admitted": 1, "retrain_finished": 1,
    }  # fmt: skip
    assert len(undisturbed["rows"]) == 240
    at = killed_often(holdfast, root, n_points, KILLS, seed)
    print(f"seed {seed}: killed at {at} of {n_points} points")  # noqa: T201
    assert len(at) >= KILLS // 2
    assert state(holdfast, root) == undisturbed
