"""Which scores a training is watched by, where the problem or its settings give none."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.problem_defaults import HEADLINES, WRITING


def scoring_mistakes(problem: str, params: FinetuneParams) -> list[str]:
    """Return what is watched and never measured, one line a mistake; nothing where all fits."""
    metric, known = params.early_stopping_metric, (*HEADLINES[problem], "loss")
    found = []
    if metric not in known:
        found.append(f"finetune.early_stopping_metric: {metric!r} is none of {known}")
    if problem in WRITING and not params.generation.validation_rows:
        found += _missed_without_decoding(problem, params)
    return found


def _missed_without_decoding(problem: str, params: FinetuneParams) -> Iterator[str]:
    """Yield what needs scores of written texts, where none is written for validation."""
    none = "finetune.generation.validation_rows is 0"
    if params.early_stopping_metric != "loss":
        yield f"{none}: there is no {params.early_stopping_metric}"
    if params.n_runs > 1:
        yield (
            f"{none}, and the {params.n_runs} runs of finetune.n_runs are compared by "
            f"{HEADLINES[problem][0]}; set it to 1 or more, or finetune.n_runs to 1"
        )
