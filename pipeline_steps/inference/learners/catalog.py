"""The learners by the name of their problem."""

from __future__ import annotations

from collections.abc import Callable

from pipeline_steps.inference.learners.learner import Learner
from pipeline_steps.inference.learners.ner import NerLearner
from pipeline_steps.inference.learners.text_classification import TextClassificationLearner

_LEARNERS: dict[str, Callable[[float], Learner]] = {
    "text_classification": TextClassificationLearner,
    "ner": NerLearner,
}


def get_learner(problem: str, label_smoothing: float = 0.0) -> Learner:
    """Return the learner of a problem; ``label_smoothing`` is the share given to other labels."""
    return _LEARNERS[problem](label_smoothing)
