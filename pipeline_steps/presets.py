"""Named sets of parameters that ``holdfast init --preset`` writes out, to be changed key by key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "robust": {
        "finetune": {
            "normalisation": {},
        },
        "attack": {"recipes": ["deepwordbug", "known_defence"]},
    },
}
"""robust: texts normalised before the tokenizer, and attacks that know it; see docs/robust.md."""
