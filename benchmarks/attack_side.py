"""One attack of Holdfast on rows from standard input; the other side is ``textattack_side.py``."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

WARM_UP_ROWS = 3


def main() -> None:
    request = json.load(sys.stdin)
    import torch

    torch.set_num_threads(request["threads"])
    from flows.victims import exact_victim, scouting_victim
    from pipeline_steps.evaluation.attacks.passage import Row

    victim = exact_victim(Path(request["model"]))
    scout = scouting_victim(victim, Path(request["model"]), request["scout"])
    rows: list[Row] = [
        {
            "example_id": str(number),
            "text": row["text"],
            "text_pair": None,
            "target": None,
            "label": victim.labels[row["label"]],
        }
        for number, row in enumerate(request["rows"])
    ]
    attacked(rows[:WARM_UP_ROWS], victim, scout, request)
    print(json.dumps(attacked(rows, victim, scout, request)))


def attacked(rows: list[Any], victim: Any, scout: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Return what the attack made of rows, and what it cost."""
    from pipeline_steps.evaluation.attacks.attack import attack_rows
    from pipeline_steps.evaluation.attacks.goals import WrongLabel
    from pipeline_steps.evaluation.attacks.oracle import AnswerBook, Oracle
    from pipeline_steps.evaluation.attacks.recipes import RECIPES

    goal = WrongLabel(victim.labels)
    oracle = Oracle(goal, AnswerBook(victim), None if scout is None else AnswerBook(scout))
    cpu, wall = time.process_time(), time.perf_counter()
    outcome = attack_rows(
        rows, victim.predictor.problem, oracle, RECIPES["deepwordbug"].search(),
        seed=request["seed"],
    )  # fmt: skip
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    statuses = [result.status for result in outcome.results]
    unbroken = statuses.count("unknown") + statuses.count("unbroken")
    return {
        "n": len(rows),
        "clean": 1 - statuses.count("wrong") / len(rows),
        "under_attack": unbroken / len(rows),
        "queries": outcome.tally.n_queries,
        "cpu": cpu,
        "wall": wall,
    }


if __name__ == "__main__":
    main()
