"""One attack of TextAttack on rows from standard input; run by the interpreter that has it.

It is no dependency of the project. Install it in an environment of its own::

    pip install textattack==0.3.11 torch==2.13.0 flair==0.15.1 transformers==4.57.5 datasets==4.0.0

Without a network it needs the NLTK corpus ``stopwords`` on ``NLTK_DATA``.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from typing import Any

warnings.filterwarnings("ignore")


def main() -> None:
    request = json.load(sys.stdin)
    import torch

    torch.set_num_threads(request["threads"])
    import textattack
    from textattack.attack_recipes import DeepWordBugGao2018
    from textattack.attack_results import FailedAttackResult, SkippedAttackResult

    textattack.shared.utils.set_seed(request["seed"])
    wrapper = wrapped(request["model"], padding=request["padding"])
    attack = DeepWordBugGao2018.build(wrapper)
    rows = [(row["text"], row["label"]) for row in request["rows"]]
    for text, label in rows[:3]:  # warm-up
        attack.attack(text, label)
    started, wall = time.process_time(), time.perf_counter()
    results = [attack.attack(text, label) for text, label in rows]
    cpu, wall = time.process_time() - started, time.perf_counter() - wall
    skipped = sum(isinstance(result, SkippedAttackResult) for result in results)
    failed = sum(isinstance(result, FailedAttackResult) for result in results)
    answer: dict[str, Any] = {
        "n": len(rows),
        "clean": 1 - skipped / len(rows),
        "under_attack": failed / len(rows),
        "queries": sum(result.num_queries for result in results),
        "cpu": cpu,
        "wall": wall,
    }
    print(json.dumps(answer))


def wrapped(path: str, *, padding: bool) -> Any:
    """Return the model in TextAttack's wrapper, which pads to 512 tokens unless it is told."""
    import torch
    from textattack.models.wrappers import HuggingFaceModelWrapper
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(path).eval()
    tokenizer = AutoTokenizer.from_pretrained(path)
    if not padding:
        return HuggingFaceModelWrapper(model, tokenizer)

    class Padded(HuggingFaceModelWrapper):  # type: ignore[misc]
        """The wrapper with ``padding=True``: to the longest text of a batch."""

        def __call__(self, texts: list[str]) -> Any:
            inputs = self.tokenizer(
                list(texts), add_special_tokens=True, padding=True, truncation=True,
                return_tensors="pt",
            )  # fmt: skip
            with torch.no_grad():
                return self.model(**inputs).logits

    return Padded(model, tokenizer)


if __name__ == "__main__":
    main()
