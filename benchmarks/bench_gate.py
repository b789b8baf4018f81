"""The gate over simulated years of weekly retrains, beside three common rules and other accounts.

Prints a table, writes ``results/gate.json`` and ``results/gate.svg``, which the documentation shows.
Run: ``.venv/bin/python benchmarks/bench_gate.py`` (a few minutes on one core).
"""

from __future__ import annotations

import argparse
from types import SimpleNamespace
from typing import Any

import numpy as np
from gate_years import ALPHA, CONFIDENCE, HOLDFAST, RULES, WEEKS, Array, Years, simulate, together
from records import RESULTS, record, write_records

from pipeline_steps.comparison_types import PairedComparison, PairedDifference
from pipeline_steps.evaluation.intervals import tango_interval, wilson_interval
from pipeline_steps.evaluation.paired_tests import mcnemar_p
from pipeline_steps.evaluation_types import EvaluationReport, MetricValue
from pipeline_steps.gate_types import Look, Verdict
from pipeline_steps.judging_params import GateParams
from pipeline_steps.registry.gate import Beside, gate
from pipeline_steps.registry.more_rows import PROMISED, more_rows

ROWS, CHUNK = 3_000, 500
HALF = WEEKS // 2
GAINS = (0.005, 0.01, 0.02)


def scenarios() -> dict[str, Array]:
    """Return what the recipe of each week is worth, by scenario."""
    found = {"no gain": np.zeros(WEEKS + 1)}
    for gain in GAINS:
        found[f"+{100 * gain:g} from week 1"] = np.r_[0.0, np.full(WEEKS, gain)]
        late = np.r_[np.zeros(HALF), np.full(WEEKS + 1 - HALF, gain)]
        found[f"+{100 * gain:g} from week {HALF}"] = late
    quarters = np.repeat([0.0, 0.005, 0.01, 0.015, 0.02], [11, 11, 11, 10, 10])
    found["+0.5 a quarter"] = quarters[: WEEKS + 1]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--years", type=int, default=1_000)
    years = parser.parse_args().years
    _refuse_another_gate()
    found = {}
    for number, (name, gains) in enumerate(scenarios().items()):
        parts = [
            simulate(gains, min(CHUNK, years - start), ROWS, seed=1_000 * number + start)
            for start in range(0, years, CHUNK)
        ]
        found[name] = together(parts)
        _print(name, gains, found[name])
    rows = calibration_of_more_rows(years)
    records = [*_records(found), *rows]
    for one in records:
        print(f"{one['name']:88s} {one['value']:8.3f} {one['unit']}")
    write_records("gate", records)
    _draw(found)


def calibration_of_more_rows(years: int) -> list[dict[str, Any]]:
    """Return how often the rows that an open verdict asks for decide, once they are there.

    True differences are drawn around 0; 1,500 rows are judged at a margin of 1 point; those that
    are open get what was asked for, up to 20 times as many.
    """
    generator, margin, n = np.random.default_rng(7), 0.01, 1_500
    asked = decided = too_many = 0
    shares = []
    for _ in range(years):
        gain = generator.normal(0.0, 0.01)
        chances = [0.03 + gain / 2, 0.03 - gain / 2]
        if min(chances) <= 0:
            continue
        wins, losses, _ = generator.multinomial(n, [*chances, 1 - sum(chances)])
        low, high = tango_interval(int(wins), int(losses), n, CONFIDENCE)
        if low >= -margin or high < 0:
            continue
        error = (high - low) / (2 * 1.959964)
        more = more_rows((wins - losses) / n, error, margin, n, CONFIDENCE)
        if more is None or more > 20 * n:
            too_many += 1
            continue
        asked += 1
        new_wins, new_losses, _ = generator.multinomial(more, [*chances, 1 - sum(chances)])
        w, b = int(wins + new_wins), int(losses + new_losses)
        low, high = tango_interval(w, b, n + more, CONFIDENCE)
        decided += bool(low >= -margin or high < 0)
        shares.append(more)
    low, high = wilson_interval(decided, asked, CONFIDENCE)
    return [
        record("open verdicts that the rows asked for decide", decided / asked, "share", n=asked,
               target=PROMISED - 0.1),
        record("the same, lower end of 95 % interval", low, "share", n=asked),
        record("the same, upper end of 95 % interval", high, "share", n=asked),
        record("median of the rows asked for", float(np.median(shares)), "rows", n=asked),
        record("open verdicts that ask for more than 20 times the rows", float(too_many), "verdicts",
               n=asked + too_many),
    ]  # fmt: skip


def verdict_of_the_gate(wins: int, losses: int, n: int, looks: tuple[Look, ...]) -> Verdict:
    """Return what the gate itself says of paired counts."""
    low, high = tango_interval(wins, losses, n, CONFIDENCE)
    difference = PairedDifference(
        name="accuracy", candidate=0.9, champion=0.9 - (wins - losses) / n,
        difference=(wins - losses) / n, ci_low=low, ci_high=high,
        p_value=mcnemar_p(wins, losses), p_worse=mcnemar_p(losses, wins), n=n,
    )  # fmt: skip
    pair = PairedComparison(
        suite="test", dataset_digest="rows", candidate_digest="new", champion_digest="old", n=n,
        n_only_candidate_correct=wins, n_only_champion_correct=losses, differences=(difference,),
    )  # fmt: skip
    report = EvaluationReport(
        checkpoint_digest="new", dataset_digest="rows", predictions_digest="p", suite="test",
        kind="clean", n=n, metrics=(MetricValue(name="accuracy", value=0.9, n=n),),
    )  # fmt: skip
    policy = GateParams(calibration_margin=None)  # accuracy is all that is simulated
    return gate([report], [pair], policy, Beside(looks=looks)).verdict


def _refuse_another_gate() -> None:
    """Refuse to simulate a rule that is not the gate's: both are asked about drawn counts."""
    from gate_years import holdfast, not_inferior

    generator = np.random.default_rng(3)
    for _ in range(300):
        week = int(generator.integers(1, WEEKS + 1))
        wins, losses = (int(x) for x in generator.integers(40, 160, size=2))
        shares = np.arange(1, WEEKS + 1) ** -0.5
        spent = ALPHA * shares / shares.sum()
        looks = tuple(
            Look(dataset_digest="rows", candidate_digest=f"c{k}", champion_digest="old",
                 policy_digest="p", promoted=False, spent=float(spent[k]))
            for k in range(week - 1)
        )  # fmt: skip
        left = np.array([ALPHA - spent[: week - 1].sum()])
        state: Any = SimpleNamespace(left=left, looks=WEEKS)
        promoted, _ = holdfast(state, np.array([wins]), np.array([losses]), ROWS, week)
        says = verdict_of_the_gate(wins, losses, ROWS, looks)
        same = (says is Verdict.PROMOTE) == bool(promoted[0])
        clear = not_inferior(np.array([wins]), np.array([losses]), ROWS)[0]
        assert same, (week, wins, losses, says, promoted, clear)


def _records(found: dict[str, dict[str, Years]]) -> list[dict[str, Any]]:
    records = []
    peer = "challenger > champion"
    for rule in RULES:
        null = found["no gain"][rule]
        any_false = int((null.false > 0).sum())
        n = len(null.false)
        low, high = wilson_interval(any_false, n, CONFIDENCE)
        ours = rule == HOLDFAST
        records += [
            record(f"{rule}: years with a false promotion, nothing to gain", any_false / n, "share",
                   n=n, target=ALPHA if ours else None, higher_is_better=False,
                   peer=float((found["no gain"][peer].false > 0).mean())),
            record(f"{rule}: the same, 95 % interval from", low, "share", n=n),
            record(f"{rule}: the same, 95 % interval to", high, "share", n=n),
            record(f"{rule}: false promotions a year, nothing to gain", float(null.false.mean()),
                   "promotions", n=n),
            record(f"{rule}: recorded minus true gain of a year, nothing to gain",
                   100 * float((null.recorded - null.true).mean()), "points", n=n,
                   higher_is_better=False),
        ]  # fmt: skip
        for name, years in found.items():
            if name == "no gain":
                continue
            records += _scenario_records(rule, name, years[rule])
    return records


def _scenario_records(rule: str, name: str, years: Years) -> list[dict[str, Any]]:
    ours = rule == HOLDFAST
    n = len(years.false)
    start = HALF if f"week {HALF}" in name else 1
    promotions = max(1.0, float(years.promoted.sum()))
    raw = 100 * float((years.recorded - years.true).sum()) / promotions
    head = f"{rule}: {name}"
    records = [
        record(f"{head}: promoted at first look", float((years.week == start).mean()), "share", n=n),
        record(f"{head}: promoted by week {WEEKS}", float((years.gain > 0).mean()), "share", n=n),
        record(f"{head}: years with a false promotion", float((years.false > 0).mean()), "share",
               n=n),
        record(f"{head}: recorded minus true gain, as measured", raw, "points", n=int(promotions),
               higher_is_better=False),
        record(f"{head}: the same, summed over a year",
               100 * float((years.recorded - years.true).mean()), "points", n=n,
               higher_is_better=False),
    ]  # fmt: skip
    if ours:
        gap = 100 * float((years.corrected - years.true).sum()) / promotions
        records.append(
            record(f"{head}: recorded minus true gain, corrected", gap, "points", peer=raw,
                   n=int(promotions), target=0.2, higher_is_better=False)
        )  # fmt: skip
    return records


def _print(name: str, gains: Array, years: dict[str, Years]) -> None:
    start = int(np.argmax(gains > 0)) or 1
    print(f"\n{name}")
    print(f"{'':38s} {'any false':>9s} {'false/yr':>8s} {'1st look':>8s} {'4 weeks':>8s} "
          f"{'year':>6s} {'raw':>6s} {'corr':>6s}")  # fmt: skip
    for rule, one in years.items():
        promotions = max(1.0, one.promoted.sum())
        print(
            f"{rule:38s} {(one.false > 0).mean():9.3f} {one.false.mean():8.2f} "
            f"{(one.week == start).mean():8.2f} {(one.week <= start + 3).mean():8.2f} "
            f"{(one.week < 99).mean():6.2f} "
            f"{100 * (one.recorded - one.true).sum() / promotions:6.2f} "
            f"{100 * (one.corrected - one.true).sum() / promotions if one.corrected.any() else np.nan:6.2f}"
        )


def _draw(found: dict[str, dict[str, Years]]) -> None:
    """Draw false promotions, power and overstatement of each rule."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "holdfast"
    rules = list(RULES)
    places = np.arange(len(rules))[::-1]
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.2), sharey=True)
    null = [found["no gain"][rule] for rule in rules]
    shares = [float((one.false > 0).mean()) for one in null]
    ends = [wilson_interval(int((o.false > 0).sum()), len(o.false), CONFIDENCE) for o in null]
    errors = np.array([[s - low, high - s] for s, (low, high) in zip(shares, ends, strict=True)]).T
    colours = ["#1f77b4" if rule == HOLDFAST else "#9aa7b3" for rule in rules]
    axes[0].barh(places, shares, xerr=errors, color=colours, error_kw={"lw": 1})
    axes[0].axvline(ALPHA, color="#c0392b", lw=1, ls="--")
    axes[0].set_title("Years with a false promotion\n(nothing to gain; dashed: alpha)", fontsize=10)
    axes[0].set_yticks(places, rules, fontsize=9)
    _dots(axes[1], found, rules, places)
    axes[1].set_title(
        "Gains promoted within the year\n(from week 1: filled; 26: open)", fontsize=10
    )
    raw = [_overstated(found, rule, "recorded") for rule in rules]
    axes[2].barh(places, raw, color=colours)
    ours = rules.index(HOLDFAST)
    axes[2].barh(
        places[ours], _overstated(found, HOLDFAST, "corrected"), color="#0b3d66", height=0.4
    )
    axes[2].axvline(0.2, color="#c0392b", lw=1, ls="--")
    axes[2].set_title("Recorded minus true gain of a year, points\n(+1 point from week 1; dark: corrected)",
                      fontsize=10)  # fmt: skip
    for one in axes:
        one.grid(axis="x", lw=0.3)
        one.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(RESULTS / "gate.svg", metadata={"Date": None})


def _dots(axis: Any, found: dict[str, dict[str, Years]], rules: list[str], places: Array) -> None:
    for gain, colour in zip(GAINS, ("#f0a202", "#2e8b57", "#6a3d9a"), strict=True):
        for week, filled in ((1, True), (HALF, False)):
            years = found[f"+{100 * gain:g} from week {week}"]
            power = [float((years[rule].gain > 0).mean()) for rule in rules]
            label = f"+{100 * gain:g} points" if filled else None
            face = colour if filled else "none"
            axis.scatter(power, places, s=36, edgecolors=colour, facecolors=face, label=label)
    axis.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.08), ncol=3, frameon=False)


def _overstated(found: dict[str, dict[str, Years]], rule: str, what: str) -> float:
    years = found["+1 from week 1"][rule]
    return 100 * float((getattr(years, what) - years.true).mean())


if __name__ == "__main__":
    main()
