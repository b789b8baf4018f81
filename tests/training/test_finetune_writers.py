"""Models that write, through fine-tuning to served answers: learnt, saved, loaded, the same."""

from __future__ import annotations

import json
import re

import pytest
from builders import structured_examples, write_examples
from tiny_models import WORDS
from tiny_writers import save_tiny_writer

from pipeline_steps.digests import file_digest
from pipeline_steps.errors import ConfigurationError
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.inference.predict import predict
from pipeline_steps.inference.predictor import Predictor
from pipeline_steps.judging_params import PredictParams
from pipeline_steps.params import Params, parse_params
from pipeline_steps.predictions_file import read_predictions
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.training.finetune import finetune
from pipeline_steps.types import DatasetRef


def dataset(path, problem: str, n: int) -> DatasetRef:
    write_examples(path, structured_examples(problem, n))
    digest = file_digest(path, "md5")
    return DatasetRef(name=path.stem, split=path.stem, path=path, digest=digest, n_examples=n)


def trained(problem: str, base, root, **settings):
    params = FinetuneParams(
        base_model=str(base), precision="fp32", max_length=32, early_stopping_metric="loss",
        learning_rate=1e-2, batch_tokens=256, **settings,
        generation={"max_new_tokens": 5, "validation_rows": 10},
    )  # fmt: skip
    data = [dataset(root / f"{name}.parquet", problem, 40) for name in ("train", "valid")]
    return finetune(*data, params, root / "checkpoint", work=root / "work", problem=problem)


CASES = [
    ("translation", "t5", "full"),
    ("translation", "t5-untied", "full"),
    ("summarisation", "bart", "lora"),
    ("summarisation", "gpt2", "lora"),
    ("dialogue", "llama", "full"),
    ("dialogue", "t5", "houlsby"),
    ("dialogue", "gpt2", "houlsby"),
    ("translation", "t5", "ia3"),
    ("translation", "gpt2", "ia3"),
    ("summarisation", "marian", "bitfit"),
    ("dialogue", "llama", "pfeiffer"),
    ("dialogue", "llama", "top_layers"),
    ("summarisation", "bart", "houlsby"),
    ("translation", "neox", "pfeiffer"),
]


def tuning_section(kind: str) -> dict:
    return {"kind": kind, **({"n_layers": 1} if kind == "top_layers" else {})}


@pytest.mark.parametrize(("problem", "architecture", "tuning"), CASES)
def test_what_is_learnt_is_predicted_and_served(
    tmp_path, problem: str, architecture: str, tuning: str
) -> None:
    base = save_tiny_writer(
        tmp_path / "base", architecture, words=WORDS, chat=problem == "dialogue"
    )
    checkpoint = trained(problem, base, tmp_path, epochs=6, tuning=tuning_section(tuning))
    history = checkpoint.training["history"]
    # Behind random weights that stay as they are a small update learns little.
    assert history[-1]["loss"] < (0.9 if tuning == "full" else 1.0) * history[0]["loss"]
    assert (checkpoint.training["n_trainable"] < checkpoint.training["n_parameters"]) == (
        tuning != "full"
    )
    made = predict(
        checkpoint, dataset(tmp_path / "test.parquet", problem, 8), tmp_path / "p.parquet",
        PredictParams(),
    )  # fmt: skip
    table, asked = read_predictions(made), get_problem(problem)
    requests = [asked.request(row) for row in structured_examples(problem, 8)]
    predictor = Predictor.from_checkpoint(checkpoint.path)
    for answer, predicted, score in zip(
        predictor.answer(requests), table.predicted, table.score, strict=True
    ):
        assert {name: answer[name] for name in asked.answer(predicted)} == asked.answer(predicted)
        assert answer["score"] == pytest.approx(score, abs=1e-4)
    assert predictor.answer([]) == []
    nll = sum(json.loads(row)["nll"] for row in table.predicted)
    n_tokens = sum(json.loads(row)["n_tokens"] for row in table.predicted)
    # The test rows are the first validation rows: what is loaded is what was validated.
    assert nll / n_tokens == pytest.approx(min(h["loss"] for h in history), rel=0.5)


def parsed(problem: str, **finetune_settings) -> Params:
    values = {"problem": problem, "ingest": {"sources": [{"path": "a.jsonl"}]}}
    return parse_params({**values, "finetune": finetune_settings}, source="here")


@pytest.mark.parametrize("kind", ["head", "prompt", "prefix"])
def test_a_tuning_that_does_not_go_with_writing_is_refused_before_anything_is_read(kind) -> None:
    with pytest.raises(ConfigurationError, match=f"{kind} is not for translation .*lora, ia3"):
        parsed("translation", tuning={"kind": kind})
    # Other problems do have a head.
    assert parsed("ner", tuning={"kind": kind}).finetune.tuning.kind == kind


def test_a_metric_of_rows_that_are_not_decoded_cannot_stop_training() -> None:
    with pytest.raises(ConfigurationError, match="validation_rows is 0: there is no bleu"):
        parsed("translation", early_stopping_metric="bleu", generation={"validation_rows": 0})
    assert parsed("translation", generation={"validation_rows": 0}).problem == "translation"
    with pytest.raises(ConfigurationError, match=r"is 0, and the 2 runs of finetune\.n_runs"):
        parsed("translation", n_runs=2, generation={"validation_rows": 0})


@pytest.mark.parametrize("architecture", ["t5", "gpt2"])
@pytest.mark.parametrize("name", ["fgm", "pgd", "freelb", "smart", "rdrop", "l2sp"])
def test_an_objective_that_goes_with_writing_is_learnt_and_said(
    tmp_path, architecture: str, name: str
) -> None:
    base = save_tiny_writer(tmp_path / "base", architecture, words=WORDS)
    config = base / "config.json"  # rdrop compares dropout masks
    text = re.sub(r'("(?:dropout_rate|resid_pdrop)": )0.0', r"\g<1>0.1", config.read_text())
    config.write_text(text)
    checkpoint = trained("translation", base, tmp_path, epochs=2, objective={name: {}})
    history = checkpoint.training["history"]
    assert history[-1]["loss"] < history[0]["loss"]
    assert any(key.lower() == f"train_{name}" for key in history[-1])


def test_earlier_rows_come_again_where_texts_are_written(tmp_path) -> None:
    base = save_tiny_writer(tmp_path / "base", "t5", words=WORDS)
    earlier = dataset(tmp_path / "earlier.parquet", "translation", 20)
    replay = {"examples": str(earlier.path), "share": 0.2}
    checkpoint = trained("translation", base, tmp_path, epochs=1, objective={"replay": replay})
    assert list(checkpoint.further_digests.values()) == [file_digest(earlier.path)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": {"kind": "focal"}}, "focal' makes no sense for translation, .* texts and no"),
        ({"objective": {"contrastive": {}}}, "one label each, and translation has none such"),
    ],
)
def test_what_was_made_for_labels_is_refused_where_texts_are_written(settings, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parsed("translation", **settings)
