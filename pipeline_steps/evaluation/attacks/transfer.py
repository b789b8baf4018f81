"""Two versions under attack: on the same rows, each attacked anew; and each with the other's texts.

Texts that broke one version are a cheap first look at another, one query each. That they do not
break it says little: an attacker would search anew. So transfer is never a pass on its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pipeline_steps.attack_types import AttackResult, PairedAttack, Transfer
from pipeline_steps.errors import DataError
from pipeline_steps.evaluation.intervals import tango_interval, wilson_interval
from pipeline_steps.evaluation.paired_tests import mcnemar_p
from pipeline_steps.evaluation_types import MetricValue

Judge = Callable[[Sequence[AttackResult]], Sequence[bool]]
"""Says of each changed text whether a version answers it wrongly."""


def compare_attacked(
    candidate: Sequence[AttackResult], champion: Sequence[AttackResult], confidence: float
) -> PairedAttack:
    """Return the paired difference in accuracy under attack, with Tango's score interval.

    Raises
    ------
    DataError
        If the two are not about the same rows.

    References
    ----------
    McNemar (1947), Psychometrika 12, 153-157, in its exact form; Tango (1998), Statistics in
    Medicine 17, 891-908.
    """
    ours, theirs = _holds(candidate), _holds(champion)
    if not ours or ours.keys() != theirs.keys():
        raise DataError(
            "candidate and champion were attacked on different rows",
            expected="the same rows, attacked with the same seeds",
            fix="attack both on one data set with the same attack.n_examples and attack.seed",
        )
    wins = tuple(sorted(row for row, holds in ours.items() if holds and not theirs[row]))
    losses = tuple(sorted(row for row, holds in theirs.items() if holds and not ours[row]))
    low, high = tango_interval(len(wins), len(losses), len(ours), confidence)
    return PairedAttack(
        n=len(ours),
        difference=(len(wins) - len(losses)) / len(ours),
        ci_low=low,
        ci_high=high,
        p_value=mcnemar_p(len(wins), len(losses)),
        only_champion_broken=wins,
        only_candidate_broken=losses,
    )


def transfer_matrix(
    found: Mapping[str, Sequence[AttackResult]], judges: Mapping[str, Judge], confidence: float
) -> tuple[Transfer, ...]:
    """Return how the texts that broke each version of ``found`` fare with each of ``judges``.

    Every text is one query. Without texts the shares are undefined.
    """
    return tuple(
        _transferred(found_on, judged_on, found, judges[judged_on], confidence)
        for found_on in found
        for judged_on in judges
    )


def _transferred(
    found_on: str,
    judged_on: str,
    found: Mapping[str, Sequence[AttackResult]],
    judge: Judge,
    confidence: float,
) -> Transfer:
    texts = [result for result in found[found_on] if result.status == "broken"]
    wrong = list(judge(texts)) if texts else []
    share = _share("transfer", wrong, confidence)
    if judged_on not in found:
        return Transfer(found_on=found_on, judged_on=judged_on, wrong=share)
    right = {result.example_id for result in found[judged_on] if result.status != "wrong"}
    newly = [bad for text, bad in zip(texts, wrong, strict=True) if text.example_id in right]
    return Transfer(
        found_on=found_on,
        judged_on=judged_on,
        wrong=share,
        newly_wrong=_share("transfer_newly_wrong", newly, confidence),
    )


def _share(name: str, hits: Sequence[bool], confidence: float) -> MetricValue:
    n = len(hits)
    if not n:
        return MetricValue(name=name, value=None, n=0, greater_is_better=False)
    low, high = wilson_interval(sum(hits), n, confidence)
    return MetricValue(
        name=name, value=sum(hits) / n, n=n, ci_low=low, ci_high=high, greater_is_better=False
    )


def _holds(results: Sequence[AttackResult]) -> dict[str, bool]:
    return {r.example_id: r.status in ("unknown", "unbroken") for r in results}
