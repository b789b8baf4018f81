"""The learners by the name of their problem."""

from __future__ import annotations

from collections.abc import Callable

from pipeline_steps.inference.learners.learner import Learner
from pipeline_steps.inference.learners.losses import Criterion, cross_entropy_sum
from pipeline_steps.inference.learners.ner import NerLearner
from pipeline_steps.inference.learners.question_answering import QuestionAnsweringLearner
from pipeline_steps.inference.learners.relation_extraction import RelationLearner
from pipeline_steps.inference.learners.text_classification import TextClassificationLearner

_LEARNERS: dict[str, Callable[[Criterion], Learner]] = {
    "text_classification": TextClassificationLearner,
    "ner": NerLearner,
    "relation_extraction": RelationLearner,
    "question_answering": QuestionAnsweringLearner,
}


def get_learner(problem: str, criterion: Criterion = cross_entropy_sum) -> Learner:
    """Return the learner of a problem, which learns by a criterion."""
    return _LEARNERS[problem](criterion)
