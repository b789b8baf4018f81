"""Which earlier training rows come along to a retrain: all, the latest, or a weighted draw."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline_steps.errors import DataError, counted
from pipeline_steps.retrain_params import RowsParams

Array = np.ndarray[Any, Any]
_DAY = np.timedelta64(1, "D")
_SMALLEST = 1e-9
_FOLDS = 5


def keep_earlier(earlier: pa.Table, new: pa.Table, params: RowsParams) -> pa.Table:
    """Return the earlier rows that come along, in their order.

    Parameters
    ----------
    earlier, new : pa.Table
        Examples; ``new`` are the rows of the window that are learnt from.
    params : RowsParams
        The policy.

    Raises
    ------
    DataError
        If the policy asks how old rows are, and none of them is dated.
    """
    if params.policy == "all" or not len(earlier):
        return earlier
    keys = _keys(earlier["example_id"].to_pylist(), params.seed)
    if params.policy == "sliding":
        kept = _ages(earlier, new, "sliding") <= params.days
    else:
        weights = _weights(earlier, new, params)
        kept = drawn(weights, round(params.keep * len(earlier)), keys)
    return earlier.filter(pa.array(kept | _first_of_each_label(earlier, keys, params.per_label)))


def drawn(weights: Array, count: int, keys: Array) -> Array:
    """Return which of n rows are drawn without replacement, by weight (Efraimidis, Spirakis 2006).

    Parameters
    ----------
    weights : array (n,)
        Greater is likelier; a row without weight comes last.
    count : int
        Rows to draw.
    keys : array (n,)
        Uniform in (0, 1), one for each row.

    Returns
    -------
    array (n,) of bool
    """
    order = np.argsort(-np.log(keys) / np.maximum(weights, _SMALLEST), kind="stable")
    answer = np.zeros(len(weights), dtype=bool)
    answer[order[:count]] = True
    return answer


def _weights(earlier: pa.Table, new: pa.Table, params: RowsParams) -> Array:
    if params.policy == "recency":
        return np.exp2(-_ages(earlier, new, "recency") / params.half_life_days)
    return likeness(_texts(earlier), _texts(new))


def likeness(earlier: Sequence[str], new: Sequence[str]) -> Array:
    """Return the odds (n,) that an earlier text would be taken for one of the new ones.

    They are those of a logistic regression on words and word pairs that tells both apart: the
    density ratio by which importance weighting corrects a shift of the inputs (Shimodaira 2000,
    estimated as by Bickel et al. 2009). Both sides weigh the same, and each earlier text is scored
    by a model that has not seen it. Where no word comes twice (a script that puts no blanks between
    words), pairs of characters stand for them; all odds are alike where there are fewer than two
    texts of a side to learn from.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    n_folds = min(_FOLDS, len(new), len(earlier))
    if n_folds < 2:  # noqa: PLR2004 - one to learn from, and one to score
        return np.ones(len(earlier))
    truth = np.array([0] * len(earlier) + [1] * len(new))
    features = _counted([*earlier, *new])
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=0)
    model = LogisticRegression(class_weight="balanced", max_iter=1000)
    likely = cross_val_predict(model, features, truth, cv=folds, method="predict_proba")[:, 1]
    likely = likely[: len(earlier)]
    return np.asarray(likely / np.maximum(1.0 - likely, _SMALLEST))


def _counted(texts: Sequence[str]) -> Any:
    """Return words and word pairs that come twice, by texts, or else pairs of characters."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    try:
        return TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True).fit_transform(texts)
    except ValueError:  # there is none
        by_characters = TfidfVectorizer(analyzer="char", ngram_range=(1, 2), sublinear_tf=True)
        return by_characters.fit_transform(texts)


def _texts(table: pa.Table) -> list[str]:
    pairs = table["text_pair"].to_pylist()
    return [f"{t} {p or ''}" for t, p in zip(table["text"].to_pylist(), pairs, strict=True)]


def _ages(earlier: pa.Table, new: pa.Table, policy: str) -> Array:
    """Return how many days older than the newest row each earlier one is; undated ones are oldest.

    An undated row is infinitely old: nothing says that it is not.
    """
    times = earlier["timestamp"].to_numpy().astype("datetime64[us]")
    newest = np.concatenate([times, new["timestamp"].to_numpy().astype("datetime64[us]")])
    dated = newest[~np.isnat(newest)]
    if np.isnat(times).all() or not len(dated):
        raise DataError(
            f"none of {counted(len(earlier), 'earlier row')} is dated",
            expected=f"dated rows: retrain.rows.policy is {policy}",
            fix="map ingest.columns.timestamp, or set retrain.rows.policy to all or similarity",
        )
    ages = (dated.max() - times) / _DAY
    return np.where(np.isnat(times), np.inf, ages)


def _keys(ids: Sequence[str], seed: int) -> Array:
    """Return a number in (0, 1) for each row that follows from its id and the seed alone."""
    digests = [hashlib.blake2b(f"{seed}:{i}".encode(), digest_size=8).digest() for i in ids]
    return (np.frombuffer(b"".join(digests), dtype="<u8") + 0.5) / 2.0**64


def _first_of_each_label(table: pa.Table, keys: Array, count: int) -> Array:
    """Return the rows, ``count`` of each label by their keys, without which a label were lost."""
    labels = np.array([label or "" for label in table["label"].to_pylist()])
    answer = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        answer[rows[np.argsort(keys[rows])[:count]]] = True
    return answer
