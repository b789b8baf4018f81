"""CPU seconds a row of our monitor and of Evidently's preset, on the same windows in turns."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from drift_streams import World
from records import record

from pipeline_steps.monitoring.monitored_rows import MonitoredRows
from pipeline_steps.monitoring.reference import Labelled, Reference, make_reference
from pipeline_steps.monitoring.scores import ScoredRows, freeze
from pipeline_steps.monitoring.window import WindowPolicy, judge_window, start_watch

WINDOW, WINDOWS_A_ROUND = 500, 4
LEARNT = 1_000
THRESHOLD = 1e5


def speed(place: World, rounds: int) -> list[dict[str, Any]]:
    """Return CPU seconds for 10,000 rows, and their ratio, round by round.

    Each window is judged by us (twice: what moved told of alarms only, and always) and by
    Evidently's preset at its defaults (text, confidence, predicted label), one after the other.
    """
    warnings.simplefilter("ignore")
    reference, rows = sides(place)
    found: dict[str, list[float]] = {"ours": [], "ours_explained": [], "evidently": []}
    for turn in range(rounds):
        for name, seconds in _round(reference, rows, turn).items():
            found[name].append(seconds)
    made = [
        record(f"{name}_seconds", round(float(np.median(s)), 3), "CPU s a 10,000 rows", n=rounds)
        for name, s in found.items()
    ]
    for name in ("ours", "ours_explained"):
        ratios = np.array(found["evidently"]) / np.array(found[name])
        print(
            f"Evidently / {name}: {np.median(ratios):.1f} ({ratios.min():.1f}-{ratios.max():.1f})"
        )
        made += [
            record(f"evidently_over_{name}{end}", round(float(value), 1), "times the CPU seconds",
                   n=rounds, target=20.0 if end == "" and name == "ours" else None)
            for end, value in
            (("", np.median(ratios)), ("_least", ratios.min()), ("_most", ratios.max()))
        ]  # fmt: skip
    for one in made:
        print(one["name"], one["value"], flush=True)
    return made


def _round(reference: Reference, rows: Rows, turn: int) -> dict[str, float]:
    rng = np.random.default_rng(turn)
    asked = policies()
    watches = {name: start_watch(reference, policy) for name, policy in asked.items()}
    seconds = dict.fromkeys([*asked, "evidently"], 0.0)
    before = frame_of(rows(np.arange(2_000)))
    order = 2_000 + rng.permutation(rows.n - 2_000)
    for i in range(WINDOWS_A_ROUND):
        window = window_of(rows(order[i * WINDOW : (i + 1) * WINDOW]), i)
        for name, policy in asked.items():
            seconds[name] += _timed(
                judge_window, window, watches[name], reference, reference, policy
            )
        seconds["evidently"] += _timed(preset_flags, frame_of(window.rows), before)
    return {k: s / (WINDOW * WINDOWS_A_ROUND) * 10_000 for k, s in seconds.items()}


def policies() -> dict[str, WindowPolicy]:
    """Return how we watch: what moved told of alarms only, and of every window."""
    usual = WindowPolicy(model_name="m", version=1, threshold=THRESHOLD)
    return {"ours": usual, "ours_explained": usual.model_copy(update={"explain": "always"})}


def _timed(call: Callable[..., Any], *arguments: Any) -> float:
    started = time.process_time()
    call(*arguments)
    return time.process_time() - started


def window_of(rows: ScoredRows, i: int) -> MonitoredRows:
    n = len(rows)
    names = [f"{i}/{k}" for k in range(n)]
    return MonitoredRows(list(range(n)), names, rows, [""] * n, [str(i)] * n, [None] * n)


def frame_of(rows: ScoredRows) -> Any:
    import pandas as pd

    return pd.DataFrame({
        "text": list(rows.texts), "confidence": rows.confidence, "predicted": list(rows.predicted),
    })  # fmt: skip


class Rows:
    """Usual rows of a data set by their places."""

    def __init__(self, place: World) -> None:
        order = np.random.default_rng(0).permutation(len(place.usual))
        self.usual = place.usual.take(order)
        self.labels = tuple(str(i) for i in range(self.usual.probabilities.shape[1]))
        self.n = len(order) - LEARNT  # the last ones are what the scores are fitted on

    def __call__(self, places: Any) -> ScoredRows:
        """Return the rows at these places."""
        chosen = self.usual.probabilities[places]
        names = [self.labels[i] for i in chosen.argmax(axis=1)]
        return ScoredRows(
            [str(t) for t in self.usual.texts[places]], names, chosen.max(axis=1), chosen
        )


def sides(place: World) -> tuple[Reference, Rows]:
    rows = Rows(place)
    held = np.arange(2_000)
    seen = rows(held)
    learnt = rows(np.arange(rows.n, rows.n + LEARNT))
    frozen = freeze(list(learnt.texts), list(learnt.predicted))
    labelled = Labelled(rows.usual.losses[held], list(seen.predicted), rows.labels)
    return (
        make_reference(seen, labelled, frozen, checkpoint_digest="c", dataset_digest="d"),
        rows,
    )


def preset_flags(current: Any, reference: Any) -> dict[str, bool]:
    """Return which columns Evidently's preset flags at its defaults."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    definition = DataDefinition(
        text_columns=["text"], numerical_columns=["confidence"], categorical_columns=["predicted"]
    )
    sets = [Dataset.from_pandas(t, data_definition=definition) for t in (current, reference)]
    snapshot = Report([DataDriftPreset()], include_tests=True).run(*sets)
    tests = snapshot.dict()["tests"]
    return {
        column: any(column in t["name"] and t["status"] == "FAIL" for t in tests)
        for column in ("text", "confidence", "predicted")
    }
