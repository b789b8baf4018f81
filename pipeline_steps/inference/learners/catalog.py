"""The learners by the name of their problem."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipeline_steps.generation_params import GenerationParams
from pipeline_steps.inference.learners.bi_encoder import BiEncoderLearner
from pipeline_steps.inference.learners.generation import GenerationLearner
from pipeline_steps.inference.learners.language_model import (
    config_of,
    is_decoder_alone,
    read_config,
    start_token,
)
from pipeline_steps.inference.learners.learner import Learner
from pipeline_steps.inference.learners.losses import Criterion, cross_entropy_sum
from pipeline_steps.inference.learners.multi_label_classification import MultiLabelLearner
from pipeline_steps.inference.learners.ner import NerLearner
from pipeline_steps.inference.learners.question_answering import QuestionAnsweringLearner
from pipeline_steps.inference.learners.relation_extraction import RelationLearner
from pipeline_steps.inference.learners.response_selection import ResponseSelectionLearner
from pipeline_steps.inference.learners.text_classification import TextClassificationLearner
from pipeline_steps.problem_defaults import WRITING

_LEARNERS: dict[str, Callable[[Criterion], Learner]] = {
    "text_classification": TextClassificationLearner,
    "multi_label_classification": MultiLabelLearner,
    "relation_extraction": RelationLearner,
    "response_selection": ResponseSelectionLearner,
}


_OVER_TOKENS: dict[str, Callable[..., Learner]] = {
    "ner": NerLearner,
    "question_answering": QuestionAnsweringLearner,
}


def get_learner(
    problem: str,
    criterion: Criterion = cross_entropy_sum,
    *,
    generation: GenerationParams | None = None,
    selector: str = "cross",
    path: Path | None = None,
    decoded_rows: int | None = None,
) -> Learner:
    """Return the learner of a problem.

    Parameters
    ----------
    problem : str
        Its name.
    criterion : callable
        What it learns by.
    generation : GenerationParams, optional
        How text is written, where it is.
    selector : {"cross", "bi"}
        How a reply is chosen, where it is.
    path : Path, optional
        Base model or checkpoint, whose config decides how text is written, and which tokens are
        asked for tags and answers; without it those that an encoder is asked at.
    decoded_rows : int, optional
        Rows that text is written for, the first ones; without it all.

    Raises
    ------
    CheckpointError
        If text is to be written and the model cannot.
    """
    if problem == "response_selection" and selector == "bi":
        return BiEncoderLearner(criterion)
    if problem in _OVER_TOKENS:
        looks_back = path is not None and is_decoder_alone(config_of(path))
        return _OVER_TOKENS[problem](criterion, looks_back=looks_back)
    if problem not in WRITING:
        return _LEARNERS[problem](criterion)
    start = None if path is None else start_token(read_config(path))
    settings = generation or GenerationParams()
    return GenerationLearner(problem, criterion, settings, start, decoded_rows)
