"""The model card of a version (Mitchell et al. 2019): Markdown, every number with its interval.

What nobody stated or measured is said to be so; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.reporting.energy import Energy, energy_lines
from pipeline_steps.reporting.run_record import RunRecord, parameter_rows, provenance_facts
from pipeline_steps.reporting.summary import value_with_interval
from pipeline_steps.types import Value

_CPU = "CPU seconds of this process and its children"


class CardFacts(Value):
    """What a card says beyond the record of the run.

    ``cost`` and ``energy``: of the training, empty where nothing was measured.
    ``environment_digest`` is that of the list of installed packages. ``data_digests``: by name of
    split or suite.
    """

    licence: str | None
    intended_use: str | None
    cost: Mapping[str, float]
    energy: Energy | None
    environment_digest: str
    data_digests: Mapping[str, str]
    dvc_lock: str | None
    git_commit: str | None


def render_card(record: RunRecord, facts: CardFacts) -> str:
    """Return the card of a version as Markdown."""
    parts = [
        [f"# {record.model_name}, version {record.version}", "", _summary(record)],
        ["## Use", "", *_use(facts)],
        ["## Data", "", *_data(record, facts)],
        ["## Procedure", "", *_procedure(record)],
        ["## Results", "", *_results(record)],
        ["## Limits", "", *_limits(record)],
        ["## Cost", "", *_cost(facts)],
        ["## Environment and reproduction", "", *_reproduction(record, facts)],
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _summary(record: RunRecord) -> str:
    checkpoint = record.checkpoint
    labels = f" with {len(checkpoint.labels)} labels" if checkpoint.labels else ""
    return (
        f"{checkpoint.problem.replace('_', ' ').capitalize()}{labels}, fine-tuned from "
        f"`{checkpoint.base_model}`. Checkpoint `{checkpoint.digest}`. The gate said "
        f"{record.decision.verdict}: {'; '.join(record.decision.reasons)}."
    )


def _use(facts: CardFacts) -> list[str]:
    licence = facts.licence or "not stated (`register.licence`)"
    use = facts.intended_use or "not stated (`register.intended_use`)"
    return [f"* Intended use: {use}", f"* Licence: {licence}"]


def _data(record: RunRecord, facts: CardFacts) -> list[str]:
    rows = [[n, record.sizes.get(n, ""), f"`{d}`"] for n, d in facts.data_digests.items()]
    found = record.validation
    aside = ", ".join(f"{n} {reason}" for reason, n in found.quarantined.items()) or "none"
    return [
        *_table(["split or suite", "rows", "digest"], rows),
        "",
        f"Validation kept {found.n_kept} of {found.n_rows} rows; set aside: {aside}.",
    ]


def _procedure(record: RunRecord) -> list[str]:
    rows = [[name, f"`{value}`"] for name, value in parameter_rows(record.checkpoint.parameters)]
    return [
        *_table(["what", "value"], [[n, f"`{v}`"] for n, v in provenance_facts(record)]),
        "",
        "Parameters of the fine-tuning:",
        "",
        *_table(["parameter", "value"], rows),
    ]


def _results(record: RunRecord) -> list[str]:
    rows = [
        [report.suite, report.kind, report.n, metric.name, value_with_interval(metric)]
        for report in record.reports
        for metric in report.every_metric
    ]
    checks = [[c.name, "yes" if c.passed else "no", c.reason] for c in record.decision.checks]
    return [
        *_table(["suite", "kind", "rows", "metric", "value [interval]"], rows),
        "",
        "What the gate asked:",
        "",
        *_table(["check", "passed", "reason"], checks),
    ]


def _limits(record: RunRecord) -> list[str]:
    """Return what the measurements say against the model, and what was not measured."""
    kinds = {report.kind for report in record.reports}
    missing = [words for kind, words in _UNMEASURED.items() if kind not in kinds]
    lines = [*_drops(record), *_worst(record.suites)]
    lines += [f"not measured: {words}" for words in missing]
    lines.append("intervals are over other rows of the same kind, not over training seeds")
    return [f"* {line}" for line in lines]


_UNMEASURED = {
    "noise": "texts with typing mistakes and other noise",
    "adversarial": "texts that were changed to mislead it (`attack.recipes`)",
    "shift": "rows of another time or channel",
    "out_of_scope": "texts whose right answer is none of its labels",
    "seeds": "another training seed",
    "behaviour": "behavioural tests (`evaluate.behaviour`)",
}


def _drops(record: RunRecord) -> Iterator[str]:
    """Yield how much of the headline metric each suite costs, the worst first."""
    name, clean = record.main.headline, record.main.metric(record.main.headline)
    if clean is None or clean.value is None:
        return
    lost = []
    for report in record.suites:
        metric = report.metric(name)
        if report.suite != record.main.suite and metric is not None and metric.value is not None:
            lost.append((metric.value - clean.value, report.suite))
    for difference, suite in sorted(lost):
        yield f"{name} on {suite}: {difference:+.3f} beside {record.main.suite}"


def _worst(reports: Iterable[EvaluationReport]) -> Iterator[str]:
    for report in reports:
        part = report.worst_slice
        if part is not None:
            value = value_with_interval(part.metrics[0])
            where = f"{part.column} = {part.value}"
            yield f"worst slice of {report.suite}: {where}, {value} (n = {part.n})"


def _cost(facts: CardFacts) -> list[str]:
    if not facts.cost:
        return ["The cost of the training was not measured (the checkpoint existed before)."]
    rows = [[name.replace("_", " "), f"{value:g}"] for name, value in facts.cost.items()]
    energy = () if facts.energy is None else energy_lines(facts.energy)
    return [*_table(["measured", "value"], rows), "", f"{_CPU}.", "", *(f"* {e}" for e in energy)]


def _reproduction(record: RunRecord, facts: CardFacts) -> list[str]:
    commit = facts.git_commit or "COMMIT (unknown: it was no repository)"
    return [
        f"* Installed packages: `environment.txt` of the run, digest `{facts.environment_digest}`",
        f"* `dvc.lock`: `{facts.dvc_lock or 'unknown'}`",
        "",
        "```",
        f"git checkout {commit}",
        "dvc pull",
        f"holdfast reproduce {record.version}",
        "```",
    ]


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines]


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
