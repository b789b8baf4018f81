"""``holdfast monitor`` beside a champion: harmless and harmful traffic, labels, verdicts, kills."""

from __future__ import annotations

import csv
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import write_jsonl
from tiny_workspaces import change_params, make_workspace, sentiment_rows

from flows.commands.monitor import run_monitor, summarize
from flows.monitor import monitor
from flows.monitoring.embedding import embedded
from flows.monitoring.label_files import export_labels, import_labels
from flows.monitoring.references import find_champion
from flows.monitoring.windows import open_store
from flows.pipeline import call_directly
from flows.registry_access import checkpoint_of, open_ledger
from flows.retraining.traffic_rows import traffic_rows
from flows.workspace import Workspace
from pipeline_steps.errors import ConfigurationError, DataError
from pipeline_steps.monitoring.traffic import LateLabel, LoggedPrediction, TrafficLog

START = datetime(2026, 3, 1, tzinfo=UTC)
BY_CHANCE = {"near_duplicates": {"enabled": False}}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of what Evidently imports
]
LEARNS = {"epochs": 8, "learning_rate": 2e-2, "batch_tokens": 256}
QUICK = {"rows_a_month": 10_000, "window_rows": 300, "tolerated_harm": 0.05}


@pytest.fixture
def watched(snapshots, holdfast, tiny_base) -> Workspace:
    """Return a workspace with a champion that knows its words, and a test set of 160 rows."""

    def make(root: Path) -> None:
        make_workspace(root, tiny_base, rows=usual(800, seed=0))
        # A split by near duplicates draws a test set that is not like new rows of these words.
        change_params(root, finetune=LEARNS, monitor=QUICK, split=BY_CHANCE)
        for command in ("prepare", "train"):
            ended = holdfast(command, cwd=root)
            assert ended.code == 0, ended.stderr

    return Workspace.open(snapshots.restore("watched", make)[0])


def usual(n: int, seed: int) -> list[dict[str, Any]]:
    """Return rows without the numbers at their ends: those of training rows are known ones."""
    rows = sentiment_rows(n, seed=seed)
    return [{**row, "text": row["text"].rpartition(" ")[0]} for row in rows]


def harmful(n: int, seed: int) -> list[dict[str, Any]]:
    """Return rows whose words are known and whose meaning is turned round, under new words."""
    turned = {"plus": "minus", "minus": "plus"}
    return [
        {"text": f"zzz qqq {row['text']} xxx", "label": turned[row["label"]]}
        for row in usual(n, seed)
    ]


def harmless(n: int, seed: int) -> list[dict[str, Any]]:
    return [{**row, "text": f"{row['text']} zzz qqq"} for row in usual(n, seed)]


def serve(workspace: Workspace, rows: list[dict[str, Any]], *, first: int = 0) -> None:
    """Log what the champion answers to rows, as a service does."""
    from pipeline_steps.inference.predictor import Predictor

    version = find_champion(workspace)
    checkpoint = checkpoint_of(workspace, version)
    logits = Predictor.from_checkpoint(checkpoint.path).logits([row["text"] for row in rows])
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    TrafficLog(workspace.traffic_url).append(
        LoggedPrediction(
            prediction_id=f"p{first + i}",
            request_id=f"r{first + i}",
            created_at=START + timedelta(seconds=first + i),
            model_name=version.name,
            version=version.version,
            example={"text": row["text"]},
            output={"label": checkpoint.labels[int(p[i].argmax())]},
            probabilities=dict(zip(checkpoint.labels, p[i].tolist(), strict=True)),
            confidence=float(p[i].max()),
        )
        for i, row in enumerate(rows)
    )


def label(workspace: Workspace, rows: list[dict[str, Any]], file: Path) -> int:
    """Fill in the rows that are asked for, as a person does, and return how many there were."""
    truth = {row["text"]: row["label"] for row in rows}
    n = export_labels(workspace, file)
    with file.open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, lines[0].keys() if lines else ["prediction_id", "label"])
        writer.writeheader()
        writer.writerows({**line, "label": truth[line["text"]]} for line in lines)
    import_labels(workspace, file)
    return n


def run(workspace: Workspace):
    return run_monitor(workspace, call_directly)


def until_decided(workspace: Workspace, rows: list[dict[str, Any]], file: Path, most: int = 60):
    result = run(workspace)
    for _ in range(most):
        if result.decision.verdict != "WAIT":
            break
        label(workspace, rows, file)
        result = run(workspace)
    return result


def test_usual_traffic_gives_no_new_evidence_and_is_read_once(watched) -> None:
    serve(watched, usual(700, seed=5))
    result = run(watched)
    statuses = [window.status for window in result.windows]
    assert statuses == ["no_drift"] * 3, result.windows[-1].scores
    assert result.decision.verdict == "NO_NEW_EVIDENCE"
    assert result.tickets == ()
    again = run(watched)
    assert again.windows == ()
    verdicts = [e for e in open_ledger(watched).entries() if e.event == "drift_verdict"]
    assert [e.evidence["verdict"] for e in verdicts] == ["NO_NEW_EVIDENCE"]
    assert "no drift" in summarize(result)
    assert "no new traffic" in summarize(again)


def test_harmful_traffic_is_confirmed_by_few_labels_and_asks_for_a_retrain(
    watched, tmp_path
) -> None:
    rows = harmful(600, seed=6)
    serve(watched, rows)
    first = run(watched)
    assert first.decision.verdict == "WAIT"
    [opened] = first.tickets
    assert opened.status == "open"
    assert {"zzz", "qqq", "xxx"} <= {moved.word for moved in opened.explanation.words}
    result = until_decided(watched, rows, tmp_path / "labels.csv")
    said = [e.evidence["reasons"][0] for e in open_ledger(watched).entries()
            if e.event == "drift_verdict"]  # fmt: skip
    assert any(reason.endswith("new labelled rows, 100 are needed") for reason in said)
    [ticket] = result.tickets
    assert (ticket.ticket, ticket.status) == (opened.ticket, "harm")
    assert ticket.harm.decided_after <= 20
    assert ticket.explanation.n_labelled >= ticket.harm.decided_after
    assert result.decision.verdict == "RETRAIN"
    assert result.decision.ticket == ticket.ticket
    assert "confirm a risk above" in summarize(result)
    last = open_ledger(watched).entries()[-1]
    assert (last.event, last.evidence["verdict"]) == ("drift_verdict", "RETRAIN")
    assert last.evidence["decision_id"] == result.decision.decision_id
    n = len(open_ledger(watched).entries())
    assert run(watched).decision == result.decision
    assert len(open_ledger(watched).entries()) == n


def test_after_a_retrain_in_vain_as_many_labels_are_asked_for_again(watched, tmp_path) -> None:
    """Its rows are no news to the next retrain, which would wait for ever."""
    rows, file = harmful(600, seed=6), tmp_path / "labels.csv"
    serve(watched, rows)
    ticket = until_decided(watched, rows, file).decision.ticket
    label(watched, rows, file)
    run(watched)
    assert export_labels(watched, file) == 0
    retrained_in_vain(watched, ticket)
    new = harmful(300, seed=9)
    serve(watched, new, first=600)
    run(watched)
    assert export_labels(watched, file) == watched.params.monitor.labels_to_train == 100
    run(watched)
    assert export_labels(watched, file) == 100
    label(watched, [*rows, *new], file)
    run(watched)
    assert export_labels(watched, file) == 0


def retrained_in_vain(workspace: Workspace, ticket: str) -> None:
    """Let the ledger and the dataset say that a retrain for a ticket brought no new champion."""
    given = workspace.root / "data/additions/retrain-1"
    given.mkdir(parents=True)
    write_jsonl(given / "train.jsonl", traffic_rows(workspace, ticket))
    ledger, name = open_ledger(workspace), workspace.params.register_.model_name
    about = {"trigger": "retrain-1", "ticket": ticket}
    for event in ("retrain_admitted", "retrain_finished"):
        evidence = {**about, "promoted": False, "minutes": 1.0}
        ledger.append(event, model_name=name, actor="a", reason="r", evidence=evidence)


def test_harmless_traffic_is_accepted_and_does_not_alarm_again(watched, tmp_path) -> None:
    rows = harmless(600, seed=7)
    serve(watched, rows)
    result = until_decided(watched, rows, tmp_path / "labels.csv")
    [ticket] = result.tickets
    assert ticket.status == "benign"
    assert result.decision.verdict == "NO_NEW_EVIDENCE"
    more = harmless(600, seed=8)
    serve(watched, more, first=600)
    later = run(watched)
    assert {window.status for window in later.windows} == {"no_drift"}
    assert len(later.tickets) == 1
    assert any("training anchor" in f.method for f in later.windows[0].scores)


class KilledError(RuntimeError):
    """Stands for a kill between two steps."""


def killing(after: int):
    calls = 0

    def call(step, /, *args, **kwargs):
        nonlocal calls
        result = step(*args, **kwargs)
        calls += 1
        if calls == after:
            raise KilledError
        return result

    return call


def what_is_kept(workspace: Workspace) -> Any:
    store = open_store(workspace)
    name = workspace.params.register_.model_name
    ledger = [e.evidence for e in open_ledger(workspace).entries() if e.event == "drift_verdict"]
    return (
        store.state(name),
        store.window_reports(name),
        store.tickets(name),
        [store.requests(t.ticket) for t in store.tickets(name)],
        store.decisions(name),
        ledger,
    )


def test_a_run_that_was_killed_after_any_step_ends_as_one_that_was_not(watched, tmp_path) -> None:
    serve(watched, harmful(500, seed=9))
    untouched = tmp_path / "untouched"
    shutil.copytree(watched.root, untouched)
    for after in range(1, 8):
        with pytest.raises(KilledError):
            monitor(watched, call=killing(after))
    killed = monitor(watched)
    kept = what_is_kept(watched)
    shutil.rmtree(watched.root)
    shutil.copytree(untouched, watched.root)
    whole = monitor(watched)
    assert what_is_kept(watched) == kept
    assert (whole.tickets, whole.decision) == (killed.tickets, killed.decision)


def test_labels_are_kept_once_skipped_and_refused(watched, tmp_path) -> None:
    rows = harmful(400, seed=10)
    serve(watched, rows)
    run(watched)
    file = tmp_path / "labels.csv"
    assert export_labels(watched, file) == 10
    with file.open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, lines[0].keys())
        writer.writeheader()
        for line, said in zip(lines, ["?", "plus", "", *["minus"] * 7], strict=True):
            writer.writerow({**line, "label": said})
    found = import_labels(watched, file)
    assert (found.n_labels, found.n_skipped, found.n_empty) == (8, 1, 1)
    assert import_labels(watched, file).n_labels == 0
    store = open_store(watched)
    [ticket] = store.tickets(watched.params.register_.model_name)
    run(watched)
    assert store.ticket(ticket.ticket).harm.n == 1  # the third, still empty, holds up the rest
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="no column label and no column prediction_id"):
        import_labels(watched, tmp_path / "other.csv")


def test_labels_that_nobody_asked_for_decide_nothing(watched) -> None:
    serve(watched, harmful(400, seed=11))
    [ticket] = run(watched).tickets
    store = open_store(watched)
    asked = {r.prediction_id for r in store.requests(ticket.ticket)}
    complaints = [f"p{i}" for i in range(400) if f"p{i}" not in asked][:80]
    store.log.add_labels(
        LateLabel(prediction_id=name, label="neither", labelled_at=START, source="complaint")
        for name in complaints
    )
    [ticket] = run(watched).tickets
    assert (ticket.status, ticket.harm.n) == ("open", 0)


def test_embeddings_are_a_score_and_each_window_is_drawn_where_that_is_asked_for(watched) -> None:
    from evidently.ui.workspace import Workspace as Drawn

    asked = {"embeddings": "base_model", "evidently": "windows"}
    change_params(watched.root, monitor={**QUICK, **asked})
    workspace = Workspace.open(watched.root)
    serve(workspace, usual(400, seed=8))
    result = run(workspace)
    for window in result.windows:
        [distance] = [score for score in window.scores if score.name == "distance"]
        assert distance.drifted is False
    again = Drawn(str(workspace.state / "evidently"))
    [project] = again.list_projects()
    assert len(again.list_runs(project.id)) == len(result.windows) == 2
    assert len(list((workspace.state / "windows").glob("*.json"))) == 2


def test_a_text_that_is_empty_has_no_embedding() -> None:
    vectors = embedded(["good film", "", "good film", "terrible food"])
    assert np.isnan(vectors[1]).all()
    np.testing.assert_array_equal(vectors[0], vectors[2])
    np.testing.assert_allclose(np.linalg.norm(vectors[[0, 3]], axis=1), 1.0, atol=1e-5)


def test_without_a_champion_there_is_nothing_to_watch(prepared) -> None:
    with pytest.raises(ConfigurationError, match="there is no champion to watch"):
        run(Workspace.open(prepared))


def test_the_command_prints_one_object(watched, holdfast) -> None:
    serve(watched, usual(100, seed=12))
    ended = holdfast("monitor", "--json", cwd=watched.root)
    assert ended.code == 0, ended.stderr
    assert ended.printed["decision"]["verdict"] == "NO_NEW_EVIDENCE"
    assert ended.printed["windows"][0]["n_read"] == 100
    ended = holdfast("monitor", "labels", "--export", "todo.csv", cwd=watched.root)
    assert ended.code == 0, ended.stderr
    assert (watched.root / "todo.csv").read_text().startswith("prediction_id,ticket,text")
    assert holdfast("monitor", "labels", cwd=watched.root).code == 2
