"""Parts of ``finetune`` that do not go together, refused before anything is trained."""

from __future__ import annotations

from pipeline_steps.errors import TrainingError
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.inference.forward import best_device
from pipeline_steps.problem_defaults import tuning_mistakes
from pipeline_steps.scoring_mistakes import scoring_mistakes
from pipeline_steps.training.tuning.quantized import refuse_without_four_bits
from pipeline_steps.types import DatasetRef

_WITH_ADAPTER = ("houlsby", "pfeiffer", "prompt", "prefix")


def refuse_combinations(params: FinetuneParams, problem: str) -> None:
    """Refuse what cannot be combined, with what can.

    Raises
    ------
    TrainingError
        With all that does not fit the problem, or the first pair that does not go together.
    """
    _refuse_mistakes(params, problem)
    if params.tuning.kind == "qlora":
        refuse_without_four_bits(best_device())
    if params.combine != "best":
        _refuse_soup(params)
    if params.wise_ft is not None:
        _refuse_way_back(params)
    if params.few_shot is not None:
        _refuse_few_shot(params, problem)


def refuse_without_rows(train: DatasetRef, valid: DatasetRef) -> None:
    """Refuse datasets without a row: nothing would be learnt, or nothing would say how well.

    Raises
    ------
    TrainingError
        Naming the first that has none.
    """
    for dataset, what in ((train, "learn from"), (valid, "choose the best epoch by")):
        if not dataset.n_examples:
            raise TrainingError(
                f"the dataset {dataset.name} ({dataset.path}) has no rows",
                expected=f"rows to {what}",
                fix="raise its share under split in params.yaml, or name a file with more rows",
            )


def _refuse_mistakes(params: FinetuneParams, problem: str) -> None:
    """Refuse what `params.yaml` is refused for: a caller of the function has written none."""
    mistakes = tuning_mistakes(problem, params.tuning.kind)
    if params.tuning.kind != "in_context":  # nothing is watched
        mistakes += scoring_mistakes(problem, params)
    if mistakes:
        raise TrainingError(
            "\n  - ".join([f"finetune does not fit the problem {problem}:", *mistakes]),
            expected="a tuning and a watched score that this problem has",
            fix="change what is named above",
        )


def _refuse_soup(params: FinetuneParams) -> None:
    asked = f"finetune.combine is {params.combine}"
    if params.n_runs == 1:
        raise TrainingError(
            f"{asked} and finetune.n_runs is 1",
            expected="two runs at least for a soup",
            fix="set finetune.n_runs to 3 or more, or finetune.combine to best",
        )
    if params.tuning.kind in _WITH_ADAPTER:
        raise TrainingError(
            f"{asked} and finetune.tuning.kind is {params.tuning.kind}, whose added weights start "
            "from other random numbers in each run: their mean means nothing",
            expected="full, head, top_layers, bitfit, lora, adalora or ia3 for a soup",
            fix="set finetune.combine to best, or choose one of these kinds",
        )
    if params.reinitialise_layers:
        raise TrainingError(
            f"{asked} and finetune.reinitialise_layers is {params.reinitialise_layers}: the runs "
            "would start from different random layers",
            expected="runs that start from one base",
            fix="set finetune.reinitialise_layers to 0, or finetune.combine to best",
        )


def _refuse_way_back(params: FinetuneParams) -> None:
    if params.tuning.kind != "full":
        raise TrainingError(
            f"finetune.wise_ft and finetune.tuning.kind {params.tuning.kind}",
            expected="full tuning: only there all weights have a counterpart in the base",
            fix="set finetune.tuning.kind to full, or finetune.wise_ft to null",
        )
    if params.reinitialise_layers:
        raise TrainingError(
            f"finetune.wise_ft and finetune.reinitialise_layers {params.reinitialise_layers}: "
            "those layers did not start from the base",
            expected="weights that start from the base",
            fix="set finetune.reinitialise_layers to 0, or finetune.wise_ft to null",
        )
    if params.student_layers is not None:
        raise TrainingError(
            f"finetune.wise_ft and finetune.student_layers {list(params.student_layers)}: the base "
            "has other layers than the student, and some of its layers alone are no model",
            expected="weights that have a counterpart in the base",
            fix="set finetune.student_layers or finetune.wise_ft to null",
        )


def _refuse_few_shot(params: FinetuneParams, problem: str) -> None:
    if problem != "text_classification":
        raise TrainingError(
            f"finetune.few_shot and the problem {problem}",
            expected="text_classification: pairs are of texts with one label",
            fix="set finetune.few_shot to null",
        )
    loss, hardware = params.loss, params.hardware
    asked = {
        f"tuning.kind: {params.tuning.kind}": params.tuning.kind != "full",
        f"averaging.kind: {getattr(params.averaging, 'kind', '')}": params.averaging is not None,
        f"reinitialise_layers: {params.reinitialise_layers}": params.reinitialise_layers > 0,
        f"combine: {params.combine}": params.combine != "best",
        f"layer_decay: {params.layer_decay}": params.layer_decay != 1.0,
        f"accumulation_steps: {params.accumulation_steps}": params.accumulation_steps > 1,
        f"loss.kind: {loss.kind}": loss.kind != "cross_entropy",
        f"loss.label_smoothing: {loss.label_smoothing}": loss.label_smoothing > 0,
        f"loss.class_weights: {loss.class_weights}": loss.class_weights != "none",
        "hardware.gradient_checkpointing": hardware.gradient_checkpointing,
        "hardware.compile": hardware.compile,
        "precision: fp16": params.precision == "fp16",  # pairs have no scaled loss
        "wise_ft": params.wise_ft is not None,
        "augmentation": params.augmentation is not None,
        **{f"objective.{name}": True for name in params.objective.chosen()},
    }
    found = [name for name, is_asked in asked.items() if is_asked]
    if found:
        raise TrainingError(
            f"finetune.few_shot together with {', '.join(found)}",
            expected="few_shot with full tuning; it combines with n_runs and with every optimizer",
            fix=f"remove from finetune: {', '.join(found)}; or set finetune.few_shot to null",
        )
