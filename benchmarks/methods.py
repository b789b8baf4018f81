"""The ways of fine-tuning that are put side by side, and what they are tried on."""

from __future__ import annotations

from typing import Any

TEACHER, OTHER_TEACHER = "teacher-100", "teacher-101"
"""Checkpoints of plain tuning with other seeds, and twice the epochs; put in by name."""
ATTACKED = "attacked.parquet"
"""Training rows as DeepWordBug left them, attacking the first teacher."""

METHODS: dict[str, dict[str, Any]] = {
    "full": {},
    "half the rate": {"rate_factor": 0.5},
    "head": {"tuning": {"kind": "head"}},
    "top 2 layers": {"tuning": {"kind": "top_layers"}},
    "bitfit": {"tuning": {"kind": "bitfit"}},
    "layer decay 0.8": {"layer_decay": 0.8},
    "lora": {"tuning": {"kind": "lora"}},
    "rslora": {"tuning": {"kind": "lora", "scaling": "sqrt_rank"}},
    "dora": {"tuning": {"kind": "lora", "decomposed": True}},
    "ia3": {"tuning": {"kind": "ia3"}},
    "houlsby": {"tuning": {"kind": "houlsby"}},
    "pfeiffer": {"tuning": {"kind": "pfeiffer"}},
    "prompt": {"tuning": {"kind": "prompt"}},
    "prefix": {"tuning": {"kind": "prefix"}},
    "adalora": {"tuning": {"kind": "adalora"}},
    "label smoothing 0.1": {"loss": {"label_smoothing": 0.1}},
    "focal": {"loss": {"kind": "focal"}},
    "fgm": {"objective": {"fgm": {}}},
    "pgd": {"objective": {"pgd": {}}},
    "freelb": {"objective": {"freelb": {}}},
    "smart": {"objective": {"smart": {}}},
    "rdrop": {"objective": {"rdrop": {}}},
    "contrastive": {"objective": {"contrastive": {}}},
    "l2sp": {"objective": {"l2sp": {}}, "weight_decay": 0.0},
    "augmentation": {"augmentation": {}},
    "ema": {"averaging": {"kind": "ema", "decay": 0.98}},
    "swa": {"averaging": {"kind": "swa"}},
    "wise-ft 0.7": {"wise_ft": {"alpha": 0.7}},
    "uniform soup of 3": {"n_runs": 3, "combine": "uniform_soup"},
    "pretraining": {"pretraining": {"kind": "mlm"}},
    "few-shot": {"few_shot": {}},
    "normalisation": {"normalisation": {}},
    "synonyms": {
        "augmentation": {"typos": 0.0, "word_loss": 0.0, "word_swap": 0.0, "synonyms": 0.2}
    },
    "attacked rows": {
        "augmentation": {
            "probability": 0.0,
            "attacked": {"texts": ATTACKED, "ramp_epochs": 1},
        }
    },
    "distillation": {"objective": {"distillation": {"teachers": [TEACHER]}}},
    "two teachers": {"objective": {"distillation": {"teachers": [TEACHER, OTHER_TEACHER]}}},
    "3 layers": {"student_layers": [0, 2, 4]},
    "3 layers, distilled": {
        "student_layers": [0, 2, 4],
        "objective": {"distillation": {"teachers": [TEACHER]}, "hidden": {"teacher": TEACHER}},
    },
}

SETTINGS: dict[str, dict[str, Any]] = {
    "sst2": {
        "train": 800, "valid": 200, "judged": 800, "shift": ["dynasent_r1"],
        "epochs": 3, "batch_tokens": 512, "rate": 1e-4,
    },
    "banking77": {
        "train": 770, "valid": 385, "judged": 1155, "shift": [],
        "epochs": 6, "batch_tokens": 256, "rate": 3e-4,
    },
}  # fmt: skip
"""Rows of each file, and what all methods share: few enough rows for three seeds on a laptop, and
small batches, since few rows make too few steps otherwise. The rate is that of methods which move
whole weights, the others keep their own."""
OTHERWISE = SETTINGS["sst2"] | {"shift": []}


def settings_of(dataset: str, method: str) -> dict[str, Any]:
    """Return the section ``finetune`` of a method on a dataset, without seed and paths."""
    asked, shared = dict(METHODS[method]), SETTINGS.get(dataset, OTHERWISE)
    factor = asked.pop("rate_factor", 1.0)
    whole = asked.get("tuning", {"kind": "full"})["kind"] in {"full", "top_layers"}
    rate = {"learning_rate": shared["rate"] * factor} if whole else {}
    return {name: shared[name] for name in ("epochs", "batch_tokens")} | rate | asked
