"""The fingerprint of a run: what it would read, with which code and which parameters."""

from __future__ import annotations

from flows.attack_needs import refuse_unattackable
from flows.prepare_data import Datasets
from flows.registry_access import open_tracker
from flows.seed_spread import known_noise
from flows.shadow_evidence import shadow_of_checkpoint, shadow_of_training
from flows.stress import behaviour_digest, refuse_unanswerable
from flows.workspace import Workspace
from pipeline_steps.digests import value_digest
from pipeline_steps.gate_types import ShadowEvidence
from pipeline_steps.provenance import code_version
from pipeline_steps.registry.tracked_runs import TRAINING_FINGERPRINT
from pipeline_steps.types import Checkpoint, ModelVersion, Value

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
    shadow = shadow_of_training(workspace, training)
    return _plan(workspace, datasets, training, base.digest, shadow)


def plan_judging(
    workspace: Workspace, datasets: Datasets, version: ModelVersion, checkpoint: Checkpoint
) -> TrainingPlan:
    """Return the fingerprints of judging a registered version over ``datasets``.

    They are those of its training, so that what `holdfast train` or a retrain has judged is not
    done again; of weights that are not the first of their training, those of the checkpoint.

    Raises
    ------
    ConfigurationError, MissingDependencyError, CheckpointError
        As :func:`plan_training`, for what is asked of the judging.
    """
    refuse_unanswerable(workspace, datasets)
    refuse_unattackable(workspace, datasets)
    tracker = open_tracker(workspace)
    training = tracker.run(version.mlflow_run_id).tags.get(TRAINING_FINGERPRINT, "")
    first = tracker.find_trained(version.name, training) if training else None
    if first is None or first.checkpoint_digest != checkpoint.digest:
        training = checkpoint.digest
    shadow = shadow_of_checkpoint(workspace, checkpoint.digest)
    return _plan(workspace, datasets, training, checkpoint.base_digest, shadow)


def _plan(
    workspace: Workspace,
    datasets: Datasets,
    training: str,
    base_digest: str,
    shadow: ShadowEvidence | None,
) -> TrainingPlan:
    judging, gate = _judging(workspace, datasets), workspace.params.gate
    if shadow is not None:
        judging["shadow"] = shadow.model_dump(mode="json")
    if gate.beyond_seeds:
        noise = known_noise(workspace, {suite.name: suite.digest for suite in datasets.judged})
        judging["noise"] = [one.model_dump(mode="json") for one in noise]
    return TrainingPlan(
        fingerprint=value_digest({"training": training, "judging": judging}),
        training_fingerprint=training,
        base_digest=base_digest,
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
