"""The problems by name."""

from __future__ import annotations

from difflib import get_close_matches

from pipeline_steps.errors import ConfigurationError
from pipeline_steps.problems.dialogue import Dialogue
from pipeline_steps.problems.multi_label_classification import MultiLabelClassification
from pipeline_steps.problems.ner import Ner
from pipeline_steps.problems.problem import Problem
from pipeline_steps.problems.question_answering import QuestionAnswering
from pipeline_steps.problems.relation_extraction import RelationExtraction
from pipeline_steps.problems.response_selection import ResponseSelection
from pipeline_steps.problems.summarisation import Summarisation
from pipeline_steps.problems.text_classification import TextClassification
from pipeline_steps.problems.translation import Translation

_ALL: tuple[Problem, ...] = (
    TextClassification(),
    MultiLabelClassification(),
    Ner(),
    RelationExtraction(),
    QuestionAnswering(),
    Translation(),
    Summarisation(),
    Dialogue(),
    ResponseSelection(),
)
PROBLEMS = {problem.name: problem for problem in _ALL}


def get_problem(name: str) -> Problem:
    """Return the problem called ``name``.

    Raises
    ------
    ConfigurationError
        If there is none.
    """
    if name not in PROBLEMS:
        near = get_close_matches(name, PROBLEMS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigurationError(
            f"there is no problem {name!r}{hint}",
            expected=f"one of {', '.join(PROBLEMS)}",
            fix=f"name one of these: --problem {near[0] if near else 'NAME'}",
        )
    return PROBLEMS[name]
