"""Labels of a shadow run that change: the last word on each row counts, and on the window too."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tiny_workspaces import make_workspace

from flows.registry_access import open_ledger
from flows.shadow_labels import Labelled, conclude, import_disagreements
from flows.shadow_run import Different, ShadowRun, keep_run, read_run
from flows.workspace import Workspace
from pipeline_steps.monitoring.traffic import LateLabel, LoggedPrediction, TrafficLog
from pipeline_steps.types import Value

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Window(Value):
    """A run of three rows, and what labels say of it."""

    workspace: Any
    run: ShadowRun
    file: Path

    def label(self, **labels: str) -> Labelled:
        with self.file.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["prediction_id", "shadow", "label"])
            writer.writerows([name, self.run.name, label] for name, label in labels.items())
        return import_disagreements(self.workspace, self.file)

    def tell(self, **labels: str) -> None:
        """Say labels as the service is told them."""
        TrafficLog(self.workspace.traffic_url).add_labels(
            LateLabel(prediction_id=name, label=label, labelled_at=datetime.now(UTC), source="s")
            for name, label in labels.items()
        )

    def told(self) -> list[tuple[int, int]]:
        found = [e.evidence for e in open_ledger(self.workspace).entries()
                 if e.event == "shadow_evaluated"]  # fmt: skip
        return [(e["n_candidate_better"], e["n_champion_better"]) for e in found]


@pytest.fixture
def window(tmp_path: Path) -> Window:
    workspace = Workspace.open(make_workspace(tmp_path / "desk", tmp_path / "base"))
    name, plus, minus = workspace.params.register_.model_name, {"label": "plus"}, {"label": "minus"}
    workspace.prepare_state()
    TrafficLog(workspace.traffic_url).append(
        LoggedPrediction(
            prediction_id=one, request_id=one, created_at=NOW, model_name=name, version=1,
            example={"text": one}, output=plus,
        )
        for one in ("pa", "pb", "pc")
    )  # fmt: skip
    run = ShadowRun(
        name="abc", champion=1, challenger=2, champion_digest="old", candidate_digest="new",
        training_fingerprint="e", since=NOW, until=NOW, window_digest="w", n=3, n_repeated=0,
        n_unread=0,
        different=tuple(
            Different(prediction_id=one, champion=plus, challenger=minus) for one in ("pa", "pb")
        ),
    )  # fmt: skip
    keep_run(workspace, run)
    return Window(workspace=workspace, run=run, file=tmp_path / "labels.csv")


def test_labels_that_are_corrected_back_are_the_last_word_again(window: Window) -> None:
    window.label(pa="minus", pb="minus")
    window.label(pa="plus")
    window.label(pa="minus")
    window.label(pa="minus")  # nothing new
    assert window.told() == [(2, 0), (1, 1), (2, 0)]


def test_a_label_takes_back_that_nobody_could_tell(window: Window) -> None:
    assert window.label(pa="?", pb="minus").evidence.n == 2
    assert window.label(pa="", pb="minus").evidence.n == 2  # says nothing of it
    found = window.label(pa="plus")
    assert (found.run.skipped, found.evidence.n) == ((), 3)
    assert window.label(pa="?").run.skipped == ("pa",)
    assert window.told() == [(1, 0), (1, 1), (1, 0)]


def test_a_label_that_the_service_is_told_later_takes_back_that_nobody_could_tell(
    window: Window,
) -> None:
    window.label(pa="minus", pb="minus")
    assert window.label(pa="?").evidence.n == 2
    window.tell(pa="plus")
    found = conclude(window.workspace, read_run(window.workspace, "abc"))
    assert (found.run.skipped, found.evidence.n) == ((), 3)
    assert window.label(pa="?").evidence.n == 2, "the label of then does not take it back"
    assert window.told() == [(2, 0), (1, 0), (1, 1), (1, 0)]
