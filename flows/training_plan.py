"""The fingerprint of a run: what it would read, with which code and which parameters."""

from __future__ import annotations

from flows.attack_needs import refuse_unattackable
from flows.prepare_data import Datasets
from flows.seed_spread import known_noise
from flows.shadow_evidence import shadow_of_training
from flows.stress import behaviour_digest, refuse_unanswerable
from flows.workspace import Workspace
from pipeline_steps.digests import value_digest
from pipeline_steps.provenance import code_version
from pipeline_steps.types import Value

_TRAINING_CODE = ("training", "inference", "problems")
_JUDGING_CODE = ("evaluation", "predictions_file", "registry", *_TRAINING_CODE)

_NO_PART_OF_A_VERDICT = {"licence", "intended_use", "approval", "approval_hours"}


class TrainingPlan(Value):
    """What will be trained and judged, by content.

    ``training_fingerprint`` covers what the weights depend on, ``fingerprint`` what the verdict
    depends on too: a change of policy judges anew without training anew.
    """

    fingerprint: str
    training_fingerprint: str
    base_digest: str


def plan_training(workspace: Workspace, datasets: Datasets) -> TrainingPlan:
    """Return the fingerprints of a run over ``datasets`` with the workspace's parameters.

    Raises
    ------
    CheckpointError
        If the base model is missing or not the one that ``finetune.base_digest`` names.
    TrainingError
        If a teacher or a file of earlier examples that ``finetune`` names is missing or torn.
    ConfigurationError
        If ``evaluate`` asks for what no report could say, or ``attack`` for what cannot be run.
    MissingDependencyError
        If an attack reads a list that is not installed.
    """
    from pipeline_steps.inference.base_model import resolve_base_model
    from pipeline_steps.training.further import further_digests

    refuse_unanswerable(workspace, datasets)
    refuse_unattackable(workspace, datasets)
    params = workspace.params
    base = resolve_base_model(params.finetune.base_model, params.finetune.base_digest)
    training = value_digest(
        {
            "problem": params.problem,
            "train": datasets.train.digest,
            "valid": datasets.valid.digest,
            "base": base.digest,
            "finetune": params.finetune.model_dump(mode="json"),
            "further": further_digests(params.finetune),
            "code": code_version(_TRAINING_CODE),
        }
    )
    judging = _judging(workspace, datasets)
    shadow = shadow_of_training(workspace, training)
    if shadow is not None:
        judging["shadow"] = shadow.model_dump(mode="json")
    if params.gate.beyond_seeds:
        noise = known_noise(workspace, {suite.name: suite.digest for suite in datasets.judged})
        judging["noise"] = [one.model_dump(mode="json") for one in noise]
    return TrainingPlan(
        fingerprint=value_digest({"training": training, "judging": judging}),
        training_fingerprint=training,
        base_digest=base.digest,
    )


def _judging(workspace: Workspace, datasets: Datasets) -> dict[str, object]:
    sections = workspace.params.model_dump(
        mode="json",
        by_alias=True,
        include={"predict", "attack", "evaluate", "gate", "register_"},
        exclude={"register_": _NO_PART_OF_A_VERDICT},
    )
    return {
        "params": sections,
        "suites": {suite.name: suite.digest for suite in datasets.judged},
        "behaviour": behaviour_digest(workspace),
        "code": code_version(_JUDGING_CODE),
    }
