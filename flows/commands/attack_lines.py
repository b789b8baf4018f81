"""What ``holdfast attack`` prints for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from flows.commands.attack import Attack, Attacked
from pipeline_steps.attack_types import (
    AgainstVersion,
    AttackCost,
    AttackResult,
    AttackSummary,
    UnderAttack,
    said_of_unchangeable,
)
from pipeline_steps.evaluation.attacks.catalog import ATTACKS
from pipeline_steps.evaluation.attacks.pair import OURS
from pipeline_steps.reporting.summary import value_with_interval
from pipeline_steps.reporting.told_answers import told_answer

_SHOWN = 3
_WHOSE = {True: "its texts break this one", False: "this one's texts break it"}
_COLUMNS = ("attack_success_rate", "mean_queries", "changed_words")


def recipe_lines() -> str:
    """Return every attack with its paper and how it deviates from it."""
    width = max(map(len, ATTACKS)) + 1
    return "\n".join(
        f"{recipe.name:{width}s}{recipe.paper}\n{'':{width}s}{recipe.deviations}"
        for recipe in ATTACKS.values()
    )


def lines(attacked: Attacked) -> str:
    """Return what is said of attacks on a version."""
    return attack_lines(attacked.attacks, attacked.under_attack)


def attack_lines(attacks: Sequence[Attack], under: UnderAttack) -> str:
    """Return the table of attacks, what they say together, their cost, and broken texts."""
    pairs = zip(attacks, under.attacks, strict=True)
    further = [line for pair in pairs for line in _examples(pair[0], pair[1].examples)]
    return "\n".join([*_table(attacks), *_together(under), *further])


def _table(attacks: Sequence[Attack]) -> list[str]:
    width = max((len(attack.report.suite) for attack in attacks), default=0)
    headline = attacks[0].report.headline if attacks else "accuracy"
    titles = [f"{headline} under attack", *_COLUMNS]
    titles = [title.replace("_", " ") for title in titles]
    header = "  ".join(f"{title:24s}" for title in titles)
    return [
        f"{'attack':{width}s}  {'n':>5s}  {header}".rstrip(),
        *(_line(attack, width) for attack in attacks),
    ]


def _line(attack: Attack, width: int) -> str:
    report = attack.report
    names = (report.headline, *_COLUMNS)
    cells = [f"{value_with_interval(report.metric(name)):24s}" for name in names]
    return f"{report.suite:{width}s}  {report.n:5d}  {'  '.join(cells)}".rstrip()


def _together(under: UnderAttack) -> list[str]:
    """Return the worst case, what seeds differ by, where attacks stopped, and the other version."""
    found = []
    if under.worst is not None:
        found.append(f"worst case: {value_with_interval(under.worst.accuracy)} of all rows hold")
        found += _versus("worst case", under.worst.versus)
    for attack in under.attacks:
        found += _of_attack(attack)
    return found


def _of_attack(attack: AttackSummary) -> list[str]:
    found = []
    if attack.seeds:
        each = ", ".join(f"{m.name} {m.value:.3f}" for m in attack.seeds)
        found.append(
            f"{attack.name}: {each}; the worst of them on each row is reported, with the queries "
            "of all"
        )
    if attack.stopped is not None:
        stopped = attack.stopped
        bounds = ", ".join(stopped.against) or "no bound"
        found.append(
            f"{attack.name}: {stopped.decision} {bounds} after {stopped.n} of {stopped.of} rows"
        )
    return [*found, *_versus(attack.name, attack.versus)]


def _versus(name: str, versus: AgainstVersion | None) -> list[str]:
    if versus is None:
        return []
    pair = versus.paired
    found = (
        f"{name}: {versus.name} {value_with_interval(versus.accuracy)}, difference "
        f"{pair.difference:+.3f} [{pair.ci_low:+.3f}, {pair.ci_high:+.3f}]"
    )
    texts = [
        f"  {_WHOSE[t.judged_on == OURS]}: {value_with_interval(t.wrong)} (n = {t.wrong.n})"
        for t in versus.transfers
    ]
    return [found, *texts]


def _examples(attack: Attack, examples: Sequence[AttackResult]) -> list[str]:
    cost, counts = attack.cost, Counter(result.status for result in attack.results)
    spent = f"{attack.report.suite}: {_spent(cost)}"
    said = (
        f"  {counts['broken']} broken, {counts['unbroken']} verified unbroken, "
        f"{counts['unknown']} unknown, {counts['wrong']} wrong before"
    )
    broken = [result for result in examples if result.status == "broken"]
    broken.sort(key=lambda result: (result.n_changed, result.example_id))
    texts = [_told(result) for result in broken[:_SHOWN]]
    idle = said_of_unchangeable(attack.report.suite, attack.report.metric("unchangeable"))
    return ["", spent, said, *([f"  {idle}"] if idle else []), *texts]


def _told(result: AttackResult) -> str:
    """Return a broken row: what was right, what came, and both texts."""
    right = told_answer(result.truth, result.original)
    said = told_answer(result.prediction, result.perturbed)
    texts = (text.replace("\n", "\n      ") for text in (result.original, result.perturbed))
    return "\n    ".join((f"  {result.example_id}: {right} -> {said}", *texts))


def _spent(cost: AttackCost) -> str:
    """Return what an attack cost; of a model that runs elsewhere, as far as it is seen."""
    if cost.n_texts and not cost.n_forwards:
        read = f"{cost.n_texts} texts sent, whose passes and tokens are not seen from here"
    else:
        read = (
            f"{cost.n_texts} texts read in {cost.n_forwards} forward passes, {cost.n_tokens} "
            f"tokens and {cost.n_padding} of padding"
        )
    return f"{cost.n_queries} queries, {read}, {cost.cpu_seconds:.1f} CPU s"
