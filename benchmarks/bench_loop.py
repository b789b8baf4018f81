"""Never, always, yearly or drift-triggered retrains on real later traffic: accuracy and its price.

Tweets of 2013, then 2014 to 2017, each year in two halves; and CLINC150 with 36 intents, into whose
traffic 8 come that the first training never saw. All is done by the product's own parts: traffic
log, detector, tickets, decision, dataset version, continual learning with replay, gate, promotion.

Subsets, so that a policy takes minutes on two cores: 3,000 tweets (1,440 questions) to begin with,
900 (500) in a stretch, 800 (400) labels a retrain, half of them held back: with fewer no gain of
this size can be shown. MiniLM, all weights, 256 tokens a batch: at the
default of 1,024 a retrain on a hundred short rows is 16 steps, and nothing new is learnt.
Cool-down, hysteresis and the breaker of failures are off: years pass in minutes here. Every stretch
that is finished is kept in WORK, and the next run goes on behind it. Times are CPU minutes of the
retrain, with validation, promotion and the monitor's looks.

    python benchmarks/bench_loop.py DATA WORK [--only NAME] [--policies never drift] [--seconds 480]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from loop_policies import POLICIES, Moment, play
from loop_worlds import SETS, World, make_world
from records import RESULTS, record, write_records

from flows.commands.init import init_workspace
from flows.commands.train import run_train
from flows.workspace import Workspace

COLOURS = dict(zip(POLICIES, ("#7f8c8d", "#c0392b", "#e08e0b", "#1f77b4"), strict=True))
Told = dict[str, list[Moment]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--only", choices=SETS, nargs="*", default=SETS)
    parser.add_argument("--policies", choices=POLICIES, nargs="*", default=POLICIES)
    parser.add_argument("--seconds", type=float, help="begin no stretch after so many")
    parser.add_argument("--quick", action="store_true", help="a smoke run; writes nothing")
    options = parser.parse_args()
    os.environ.update({"DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1"})
    until = time.monotonic() + (options.seconds or float("inf"))
    for name in options.only:
        world = make_world(options.data, name, quick=options.quick)
        work = options.work.resolve() / name
        _apart(_first_champion, world, work)
        for policy in options.policies:
            _apart(_play, world, policy, work, until)
    told = {name: kept(options.work.resolve() / name) for name in SETS}
    for name, by_policy in told.items():
        print(table(name, by_policy))
    whole = {name: by_policy for name, by_policy in told.items() if _whole(by_policy)}
    if whole and not options.quick:
        print(write_records("loop", [r for n, by in whole.items() for r in records_of(n, by)]))
        for name, by_policy in whole.items():
            draw(name, by_policy)


def _apart(function: Callable[..., None], *arguments: Any) -> None:
    """Run it in a process of its own: an open database would outlive the desk that is replaced."""
    process = multiprocessing.get_context("spawn").Process(target=function, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(process.exitcode)


def _play(world: World, policy: str, work: Path, until: float) -> None:
    """Play a policy from the first champion, or from where an earlier run left it."""
    done = kept(work).get(policy, [])
    root = work / "desk"  # always this place: MLflow's records name absolute paths
    if len(done) == len(world.stretches) or time.monotonic() > until:
        return
    if not done:
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(work / "first", root, symlinks=True)
    for moment in play(Workspace.open(root), world, policy, done):
        done.append(moment)
        content = json.dumps([dataclasses.asdict(one) for one in done], indent=1)
        (work / f"{policy}.json").write_text(content, encoding="utf-8")
        if time.monotonic() > until:
            raise SystemExit(f"{policy}: {len(done)} stretches played; run again to go on")


def _first_champion(world: World, work: Path) -> None:
    root = work / "desk"
    if (work / "first").exists():
        return
    shutil.rmtree(root, ignore_errors=True)
    files = {part: _written(work / f"{part}.jsonl", rows) for part, rows in world.files.items()}
    init_workspace(root, problem="text_classification", files=files)
    change_params(root, world)
    result = run_train(root, announced=True)
    if result.verdict != "PROMOTE":
        raise SystemExit(f"the first champion was not promoted: {result.verdict}")
    shutil.copytree(root, work / "first", symlinks=True)


def _written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def change_params(root: Path, world: World) -> None:
    """Set what makes a policy affordable here; the rest stays as `init` wrote it."""
    path = root / "params.yaml"
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    values["finetune"] |= {"epochs": world.epochs, "max_length": 64, "batch_tokens": 256}
    values["suites"] |= {"noise": []}
    values["evaluate"] |= {"bootstrap_resamples": 200}
    values["attack"] |= {"recipes": []}
    values["gate"] |= {"floors": {"test/accuracy": 0.3}, "non_inferiority": {}}
    values["monitor"] |= {
        "labels_at_a_time": 40, "labels_to_train": world.labels, "label_cap": world.labels,
        "rows_a_month": 10_000,
    }  # fmt: skip
    values["monitor"]["worth"] |= {"hysteresis_days": 0.0}
    values["retrain"] |= {"learning": "continual", "cool_down_hours": 0.0, "failures_in_a_row": 99}
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


def kept(work: Path) -> Told:
    """Return what the policies did that were played so far."""
    files = [work / f"{policy}.json" for policy in POLICIES]
    return {
        file.stem: [Moment(**one) for one in json.loads(file.read_text(encoding="utf-8"))]
        for file in files
        if file.exists()
    }


def _whole(told: Told) -> bool:
    lengths = {len(moments) for moments in told.values()}
    return set(told) == set(POLICIES) and len(lengths) == 1


def table(name: str, told: Told) -> str:
    """Return the timeline of a set as a Markdown table."""
    if not told:
        return f"{name}: not played yet"
    stretches = [moment.stretch for moment in next(iter(told.values()))]
    lines = [
        f"\n| {name} | {' | '.join(stretches)} | mean | labels | retrains | CPU minutes |",
        "|---" * (len(stretches) + 5) + "|",
    ]
    for policy, moments in told.items():
        cells = [f"{m.accuracy:.3f}{_mark(m)}" for m in moments]
        lines.append(
            f"| {policy} | {' | '.join(cells)} | {mean_accuracy(moments):.3f} | "
            f"{total(moments, 'labels'):.0f} | {total(moments, 'retrains'):.0f} | "
            f"{total(moments, 'minutes'):.1f} |"
        )
    return "\n".join(lines)


def _mark(moment: Moment) -> str:
    """Return + behind a stretch that a promotion followed, - where a retrain was not promoted."""
    if not moment.retrains:
        return ""
    return " +" if moment.verdict.startswith("PROMOTE") else " -"


def mean_accuracy(moments: list[Moment]) -> float:
    """Return the share of all answers that were right."""
    return total(moments, "accuracy", weight="n") / total(moments, "n")


def total(moments: list[Moment], field: str, *, weight: str | None = None) -> float:
    """Return the sum of a field over the stretches, each weighed by another field."""
    return float(sum(getattr(m, field) * (getattr(m, weight) if weight else 1) for m in moments))


def records_of(name: str, told: Told) -> list[dict[str, Any]]:
    """Return a record for each number of a set's timeline."""
    found = []
    for policy, moments in told.items():
        key, n = f"{name}_{policy}", int(total(moments, "n"))
        for moment in moments:
            slug = moment.stretch.replace(" ", "_").replace(":", "").replace("%", "")
            found.append(record(f"{key}_{slug}", round(moment.accuracy, 4), "accuracy", n=moment.n))
        peer = mean_accuracy(told["never"])
        mean = record(f"{key}_mean", round(mean_accuracy(moments), 4), "accuracy", n=n, peer=peer)
        found.append(mean)
        for field, unit in (
            ("labels", "labels bought"), ("retrains", "retrains"), ("minutes", "CPU minutes"),
        ):  # fmt: skip
            value = round(total(moments, field), 2)
            found.append(record(f"{key}_{field}", value, unit, n=1, higher_is_better=False))
    return found


def draw(name: str, told: Told) -> None:
    """Draw accuracy along the stretches, and what each policy spent, into ``docs/``."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "holdfast"
    figure, axes = plt.subplots(1, 2, figsize=(11, 3.8), width_ratios=(3, 1))
    for policy, moments in told.items():
        _line(axes[0], policy, moments)
    axes[0].set_xticks(range(len(moments)), [m.stretch for m in moments], fontsize=8)
    axes[0].set_ylabel("accuracy of the answers given")
    axes[0].set_title(f"{name}: a filled dot: promoted behind this stretch", fontsize=10)
    axes[0].legend(fontsize=8, frameon=False, loc="best")
    _spent(axes[1], told)
    for axis in axes:
        axis.grid(axis="y", lw=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(RESULTS / f"loop_{name.partition('_')[0]}.svg", metadata={"Date": None})
    plt.close(figure)


def _line(axis: Any, policy: str, moments: list[Moment]) -> None:
    colour, heights = COLOURS[policy], [m.accuracy for m in moments]
    axis.plot(heights, color=colour, lw=1.6, label=policy)
    for place, moment in enumerate(moments):
        if moment.retrains:
            promoted = moment.verdict.startswith("PROMOTE")
            face = colour if promoted else "white"
            axis.plot(place, moment.accuracy, "o", ms=6, mec=colour, mfc=face)


def _spent(axis: Any, told: Told) -> None:
    labels = [total(moments, "labels") for moments in told.values()]
    axis.bar(range(len(told)), labels, color=[COLOURS[policy] for policy in told])
    for place, moments in enumerate(told.values()):
        words = f"{total(moments, 'minutes'):.1f} min"
        axis.annotate(words, (place, labels[place]), ha="center", va="bottom", fontsize=8)
    axis.set_xticks(range(len(told)), list(told), fontsize=8)
    axis.set_title("labels bought, CPU minutes", fontsize=10)


if __name__ == "__main__":
    main()
