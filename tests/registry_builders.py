"""Checkpoints, the answers recorded of them, versions, decisions and entries about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from builders import write_examples
from tiny_models import WORDS, save_tiny_model

from pipeline_steps.digests import file_digest
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.gate_types import GateDecision, Verdict
from pipeline_steps.registry.ledger import Ledger
from pipeline_steps.registry.smoke_test import SmokeRow
from pipeline_steps.registry.tracking import Tracker
from pipeline_steps.types import Checkpoint, DatasetRef, ModelVersion

MODEL = "intents"
TEXTS = ["my card is not good", "the film was very bad", "login", "a very good refund"]


def make_checkpoint(root: Path, seed: int) -> Checkpoint:
    """Return a tiny checkpoint; another seed gives other weights."""
    from pipeline_steps.training.finetune import finetune

    base = save_tiny_model(root / "base", seed=seed)
    path = write_examples(
        root / "train.parquet",
        [{"text": " ".join(WORDS[i : i + 5]), "label": "ab"[i % 2]} for i in range(20)],
    )
    data = DatasetRef(
        name="train", split="train", path=path, digest=file_digest(path, "md5"), n_examples=20
    )
    params = FinetuneParams(base_model=str(base), epochs=1, precision="fp32", max_length=24)
    return finetune(data, data, params, root / f"checkpoint-{seed}", work=root / "work")


def recorded_answers(checkpoint: Checkpoint) -> list[SmokeRow]:
    """Return what the checkpoint says of some texts, in this process."""
    from pipeline_steps.inference.predictor import Predictor

    answers = Predictor.from_checkpoint(checkpoint.path).predict(TEXTS)
    return [
        SmokeRow(request={"text": text}, answer={"label": answer["label"]}, score=answer["score"])
        for text, answer in zip(TEXTS, answers, strict=True)
    ]


def register_checkpoint(tracker: Tracker, checkpoint: Checkpoint) -> ModelVersion:
    """Return the version of a checkpoint that was logged in a run of its own."""
    run = tracker.start_run(checkpoint.digest, name="r", tags={}, params={}, datasets=[])
    uri = tracker.log_model(run, checkpoint, input_example=[{"text": t} for t in TEXTS[:2]])
    return tracker.register(MODEL, uri, run, checkpoint.digest, tags={})


def decision(
    candidate: ModelVersion,
    champion: ModelVersion | None,
    verdict: Verdict = Verdict.PROMOTE,
) -> GateDecision:
    """Return the gate's word on a version against another."""
    return GateDecision(
        verdict=verdict,
        reasons=("better on test", "and on shift"),
        checks=(),
        candidate_digest=candidate.checkpoint_digest,
        champion_digest=None if champion is None else champion.checkpoint_digest,
        policy_digest="policy",
    )


def note(ledger: Ledger, reason: str = "because", **evidence: Any) -> None:
    """Append an entry that decides nothing."""
    ledger.append("note", model_name="m", actor="ada", reason=reason, evidence=evidence)
