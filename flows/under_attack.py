"""All that was found of a version under attack, beside another version where there is one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from flows.arena import results_path
from flows.attack_runs import WORST_CASE, Attacks
from flows.attacking import champion_beside, suites_against
from flows.prepare_data import Datasets
from flows.workspace import Workspace
from pipeline_steps.attack_types import (
    AgainstVersion,
    AttackResult,
    AttackSummary,
    Transfer,
    UnderAttack,
    WorstOfAll,
)
from pipeline_steps.digests import value_digest
from pipeline_steps.evaluation.attacks.pair import beside_other, crossed
from pipeline_steps.evaluation.attacks.results_file import read_results
from pipeline_steps.evaluation.attacks.stopping import fair_summary
from pipeline_steps.evaluation.attacks.summary import summarise
from pipeline_steps.evaluation.attacks.transfer import Judge
from pipeline_steps.evaluation.attacks.worst_case import worst_case
from pipeline_steps.files import write_text_atomically
from pipeline_steps.types import Checkpoint, Predictions


class Opponent:
    """Another version, attacked on the same rows."""

    def __init__(
        self, name: str, attacks: Attacks, suites: Sequence[Predictions], own: Attacks
    ) -> None:
        self.name = name
        self.attacks = attacks
        self.own = own
        self.results = {s.suite: read_results(results_path(s.path))[0] for s in suites}

    def against(
        self, suite: str, ours: Sequence[AttackResult], confidence: float
    ) -> AgainstVersion:
        """Return the pair under one attack; the worst case has no texts of its own to transfer."""
        theirs = self.results[suite]
        found = () if suite == WORST_CASE else self._transfers(suite, ours, confidence)
        return beside_other(self.name, ours, theirs, found, confidence)

    def _transfers(
        self, suite: str, ours: Sequence[AttackResult], confidence: float
    ) -> tuple[Transfer, ...]:
        """Return what each version's texts do to the other; asked once, then read from a file."""
        path = self._transfers_path(suite, ours, confidence)
        if path.exists():
            found = json.loads(path.read_text(encoding="utf-8"))
            return tuple(Transfer.model_validate(transfer) for transfer in found)
        judges = _judge(self.own, suite), _judge(self.attacks, suite)
        told = crossed(self.name, ours, self.results[suite], judges, confidence)
        content = [transfer.model_dump(mode="json") for transfer in told]
        write_text_atomically(path, json.dumps(content))
        return told

    def _transfers_path(self, suite: str, ours: Sequence[AttackResult], confidence: float) -> Path:
        """Return a file named by all that it tells of: which texts of whom, and under what name."""
        texts = [[result.model_dump() for result in side] for side in (ours, self.results[suite])]
        key = value_digest([self.name, self.attacks.checkpoint.digest, confidence, texts])
        return self.own.path(suite, f"-against-{key[:16]}").with_suffix(".json")


def summarise_attacks(
    workspace: Workspace,
    datasets: Datasets,
    checkpoint: Checkpoint,
    attacked: Sequence[Predictions],
) -> UnderAttack | None:
    """Return what the attacks found, beside the champion; ``None`` where nothing attacks."""
    other = champion_beside(workspace, checkpoint) if attacked else None
    return under_attack(workspace, datasets, checkpoint, attacked, other, "champion")


def under_attack(
    workspace: Workspace,
    datasets: Datasets,
    checkpoint: Checkpoint,
    attacked: Sequence[Predictions],
    other: Checkpoint | None,
    name: str,
) -> UnderAttack | None:
    """Return what the attacks found on a checkpoint, beside another one that has a name."""
    if not attacked:
        return None
    opponent = None
    if other is not None:
        own, theirs = (Attacks(workspace, datasets, each) for each in (checkpoint, other))
        suites = suites_against(workspace, datasets, checkpoint, other)[1]
        opponent = Opponent(name, theirs, suites, own)
    single = [suite for suite in attacked if suite.suite != WORST_CASE]
    return UnderAttack(
        attacks=tuple(_summary(workspace, suite, opponent) for suite in single),
        worst=_worst(workspace, single, opponent) if len(single) < len(attacked) else None,
    )


def _summary(workspace: Workspace, suite: Predictions, opponent: Opponent | None) -> AttackSummary:
    params = workspace.params.evaluate
    results, about = read_results(results_path(suite.path))
    found = summarise(suite.suite, results, about, params)
    if opponent is None:
        return fair_summary(found)
    versus = opponent.against(suite.suite, results, params.confidence)
    return fair_summary(found.model_copy(update={"versus": versus}))


def _worst(
    workspace: Workspace, single: Sequence[Predictions], opponent: Opponent | None
) -> WorstOfAll:
    confidence = workspace.params.evaluate.confidence
    runs = {suite.suite: read_results(results_path(suite.path))[0] for suite in single}
    found = worst_case(runs, confidence)
    versus = None
    if opponent is not None:
        versus = opponent.against(WORST_CASE, found.results, confidence)
    return WorstOfAll(accuracy=found.accuracy, alone=found.alone, versus=versus)


def _judge(attacks: Attacks, recipe: str) -> Judge:
    return lambda results: attacks.arena.breaks(recipe, results)
