"""Relations with a direction, scored as SemEval-2010 Task 8 does.

A label such as ``Cause-Effect(e2,e1)`` is a relation and a direction. The official scorer
(Hendrickx et al. 2010, "(9+1)-way evaluation with directionality taken into account") counts a row
as a hit of its relation where the direction is right, too; precision and recall of a relation are
taken over all rows with that relation in either direction; the score is the mean F1 over the
relations, without ``Other``. A label without direction is a relation of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from pipeline_steps.problems.statistics import Array, ratio

NO_RELATION = frozenset({"other", "no_relation", "none", "na"})
"""Labels that say that there is none of the relations (SemEval, TACRED and others), lower case."""
_DIRECTION = re.compile(r"\(e[12],\s*e[12]\)$", re.IGNORECASE)


def relation_f1(labels: Sequence[str], hits: Array, support: Array, assigned: Array) -> Array:
    """Return the mean F1 over relations from counts of each directed label.

    Parameters
    ----------
    labels : sequence of str
        The n_labels directed labels.
    hits, support, assigned : ndarray (..., n_labels)
        Rows of a label that were found, that have it, and that it was given to.

    Returns
    -------
    ndarray (...)
        Not a number where no relation occurs.

    Examples
    --------
    >>> labels = ["Cause(e1,e2)", "Cause(e2,e1)", "Other"]
    >>> float(relation_f1(labels, np.array([1, 0, 5]), np.array([2, 0, 6]), np.array([1, 1, 6])))
    0.5
    """
    membership = _membership(labels)
    hit, true, found = (np.asarray(c, float) @ membership for c in (hits, support, assigned))
    f1, present = ratio(2.0 * hit, true + found), (true + found) > 0
    return ratio((f1 * present).sum(axis=-1), present.sum(axis=-1), float("nan"))


def _membership(labels: Sequence[str]) -> Array:
    """Return which label belongs to which relation, (n_labels, n_relations)."""
    relations = [_DIRECTION.sub("", label) for label in labels]
    names = sorted({name for name in relations if name.lower() not in NO_RELATION})
    return np.array(
        [[name == relation for name in names] for relation in relations], float
    ).reshape(len(labels), len(names))
