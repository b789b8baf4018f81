"""What decides what an attack finds beside model, rows and parameters: code and lists of words."""

from __future__ import annotations

from pathlib import Path

from pipeline_steps.digests import file_digest, value_digest
from pipeline_steps.noise.resources import CONFUSABLES, FREQUENT_WORDS
from pipeline_steps.noise.word_forms import has_wordnet
from pipeline_steps.provenance import ATTACKING_CODE, code_version

WIRING = (
    "arena", "attack_goals", "attack_runs", "attack_services", "attack_stopping", "bounding",
    "gradients", "universal_triggers", "victims",
)  # fmt: skip
"""The modules beside this one that ask, draw and judge in an attack."""


def attacking_code() -> str:
    """Return a digest of the code and the lists of words behind attacks and bounds.

    With other lists an attack finds other words: a result that was kept is then none of it.
    """
    here = Path(__file__).parent
    lists = {r.distribution: r.version() for r in (CONFUSABLES, FREQUENT_WORDS) if r.is_here()}
    return value_digest(
        {
            "steps": code_version(ATTACKING_CODE),
            "wiring": {name: file_digest(here / f"{name}.py") for name in WIRING},
            "lists": {**lists, "wordnet": has_wordnet()},
        }
    )
