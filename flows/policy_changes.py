"""What judges a candidate otherwise than it judged the champion: policy, people, suites, name.

Whoever proposes a candidate may propose the policy with it. So a verdict is shown with what has
changed in the question since the champion had its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline_steps.gate_types import GateDecision
from pipeline_steps.judging_params import EvaluateParams, GateParams, RegisterParams
from pipeline_steps.registry.ledger import CHAMPION_MOVED, Ledger
from pipeline_steps.registry.ledger_chain import LedgerEntry
from pipeline_steps.registry.verdicts import VERDICT

ASKED = "asked"
"""What the ledger keeps with each verdict: the parameters that it was made with, by section."""
_UNKNOWN = "unknown"  # of a section that an older version did not keep
_OF_PEOPLE = {"approval", "approval_hours"}
_NO_DEMAND = {"policy"}  # the name of a policy; what it says is compared key by key


def asked_of(
    gate: GateParams, evaluate: EvaluateParams, register: RegisterParams
) -> dict[str, Any]:
    """Return all that a verdict asks by, as the ledger keeps it: whether a person, too."""
    return {
        "gate": gate.model_dump(mode="json"),
        "evaluate": evaluate.model_dump(mode="json"),
        "register": register.model_dump(mode="json", include=_OF_PEOPLE),
    }


def changes_since_champion(
    ledger: Ledger,
    name: str,
    champion: str | None,
    decision: GateDecision,
    asked: Mapping[str, Any],
) -> tuple[str, ...]:
    """Return what is asked otherwise than when the champion was judged; empty: nothing.

    Parameters
    ----------
    ledger : Ledger
        Holds the champion's verdict.
    name : str
        Of the registered model.
    champion : str or None
        Digest of its checkpoint; ``None``: there is none.
    decision : GateDecision
        About the candidate.
    asked : mapping
        What the decision was made by, as :func:`asked_of` says it.
    """
    if champion is None:
        return (_first(name, ledger.entries()),)
    entry = _verdict_on(champion, ledger.entries(name))
    if entry is None or ASKED not in entry.evidence:
        lacks = "no verdict on the champion" if entry is None else "no policy with its verdict"
        return (f"the ledger has {lacks}: what is asked otherwise since then is unknown",)
    return (
        *_changed_keys(entry.evidence[ASKED], asked),
        *_changed_suites(entry.evidence.get("datasets", {}), decision.datasets),
    )


def _first(name: str, entries: Sequence[LedgerEntry]) -> str:
    others = sorted({e.model_name for e in entries if e.event == CHAMPION_MOVED} - {name})
    known = f"; the ledger has champions of {', '.join(others)}" if others else ""
    return (
        f"register.model_name {name} has no champion, so the floors alone judge this version{known}"
    )


def _verdict_on(checkpoint: str, entries: Sequence[LedgerEntry]) -> LedgerEntry | None:
    """Return the verdict that let a checkpoint become champion, else the last one about it.

    Later verdicts compare it with itself, under whatever policy there was then.
    """
    about = [
        entry
        for entry in entries
        if entry.event == VERDICT and entry.evidence.get("candidate_digest") == checkpoint
    ]
    passed = [entry for entry in about if entry.evidence["verdict"] == "PROMOTE"]
    return next(iter([*passed[-1:], *about[-1:]]), None)


def _changed_keys(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for section, keys in now.items():
        earlier = before.get(section, dict.fromkeys(keys, _UNKNOWN))
        for key in sorted({*keys, *earlier} - _NO_DEMAND):
            old, new = (json.dumps(some.get(key)) for some in (earlier, keys))
            if old != new:
                yield f"{section}.{key}: {old} -> {new}"


def _changed_suites(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for suite in sorted({*before, *now}):
        if suite not in now:
            yield f"{suite} fell away: the champion was judged on it"
        elif suite not in before:
            yield f"{suite} is new: the champion was not judged on it"
        elif before[suite] != now[suite]:
            yield f"{suite} has other rows than the champion was judged on"
