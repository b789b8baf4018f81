"""Decoders alone that tag and find answers: asked where they have read what they are asked about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import write_examples
from tiny_models import WORDS
from tiny_writers import save_tiny_writer
from tokenizers import pre_tokenizers

from pipeline_steps.digests import file_digest
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.inference.examples_file import rows_of
from pipeline_steps.inference.learners.catalog import get_learner
from pipeline_steps.inference.learners.losses import IGNORED
from pipeline_steps.inference.predict import predict
from pipeline_steps.inference.predictor import Predictor
from pipeline_steps.inference.tokenization import load_tokenizer
from pipeline_steps.judging_params import PredictParams
from pipeline_steps.predictions_file import read_predictions
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.training.finetune import finetune
from pipeline_steps.types import Checkpoint, DatasetRef

HEADS = {"ner": "entity_f1", "question_answering": "f1"}


def splitting(path: Path) -> Path:
    """Return a decoder whose tokenizer cuts a word before each of its digits."""
    words = [*WORDS, *"0123456789"]
    base = save_tiny_writer(path, "gpt2", words=words)
    tokenizer = load_tokenizer(base)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Digits(individual_digits=True)]
    )
    tokenizer.save_pretrained(base)
    return base


def dataset(path: Path, rows: list[dict[str, Any]]) -> DatasetRef:
    write_examples(path, rows)
    return DatasetRef(
        name=path.stem, split=path.stem, path=path, digest=file_digest(path), n_examples=len(rows)
    )


def tagged(n: int) -> list[dict[str, Any]]:
    """Return rows whose entities differ from other words by their last digit alone."""
    found, problem = [], get_problem("ner")
    for i in range(n):
        words = ["the", f"card{i % 5}{(i // 5) % 2}", "is", f"card{i % 3}{(i // 3) % 2}"]
        tags = ["O" if word in ("the", "is") or word.endswith("0") else "B-new" for word in words]
        raw = {"tokens": words, "tags": tags}
        content = problem.read(raw.get)
        found.append({"text": content.text, "target": content.target})
    return found


def trained(
    problem: str, base: Path, root: Path, rows: list[dict[str, Any]], **more: Any
) -> Checkpoint:
    params = FinetuneParams.model_validate(
        {"base_model": str(base), "precision": "fp32", "batch_tokens": 96, "max_length": 48,
         "learning_rate": 1e-2, "early_stopping_metric": HEADS[problem],
         "early_stopping_patience": None, **more}
    )  # fmt: skip
    data = dataset(root / "rows.parquet", rows)
    return finetune(data, data, params, root / "out", work=root / "work", problem=problem)


def test_a_word_is_tagged_at_its_last_token(tmp_path) -> None:
    base = splitting(tmp_path / "base")
    tokenizer = load_tokenizer(base)
    row = tagged(6)[5]
    asked = rows_of([get_problem("ner").example({"tokens": row["text"].split()})])
    for path, expected in ((base, ["the", "1", "is", "1"]), (None, ["the", "card", "is", "card"])):
        learner = get_learner("ner", path=path)
        encoded = learner.encode(tokenizer, asked, 48, 8)
        ids = [encoded.token_ids[window][place] for window, place in encoded.places[0]]
        assert tokenizer.convert_ids_to_tokens(ids) == expected
        targets = learner.targets(encoded, asked, ("O", "B-new", "I-new"))
        assert sum(tag != IGNORED for tag in targets[0]) == 4


def test_of_several_windows_the_one_that_has_read_most_is_asked(tmp_path) -> None:
    base = splitting(tmp_path / "base")
    words = ["the", "card12", "is", "loan3"] * 6
    asked = rows_of([get_problem("ner").example({"tokens": words})])
    learner = get_learner("ner", path=base)
    encoded = learner.encode(load_tokenizer(base), asked, 16, 4)
    assert len(encoded) > 2
    for word, (window, place) in enumerate(encoded.places[0]):
        ends = len(" ".join(words[: word + 1]))
        holding = [np.flatnonzero(offsets[:, 1] == ends).tolist() for offsets in encoded.offsets]
        assert place == max(position for found in holding for position in found)
        assert place in holding[window]


def test_what_only_the_end_of_a_word_says_is_learnt_saved_and_served(tmp_path) -> None:
    checkpoint = trained("ner", splitting(tmp_path / "base"), tmp_path, tagged(60), epochs=6)
    assert max(point["entity_f1"] for point in checkpoint.training["history"]) > 0.95
    served = Predictor.from_checkpoint(checkpoint.path).answer(
        [{"tokens": ["the", "card41", "is", "card20"]}]
    )
    assert served[0]["tags"] == ["O", "B-new", "O", "O"]


def read_by(checkpoint: Checkpoint, contexts: list[str]) -> list[np.ndarray]:
    predictor = Predictor.from_checkpoint(checkpoint.path)
    asked = [
        get_problem("question_answering").example({"question": "is", "context": c})
        for c in contexts
    ]
    learner = predictor.learner
    encoded = learner.encode(predictor.tokenizer, rows_of(asked), 48, 8)
    assert all((spans[-1] == -1).all() for spans in encoded.offsets)
    return learner.run(predictor.model, encoded, 0, 256, 2)


def test_that_there_is_no_answer_is_told_by_who_has_read_the_context(tmp_path) -> None:
    """Whether the question can be answered is said by the context alone."""
    problem, rows = get_problem("question_answering"), []
    for i in range(48):
        word, known = ("card", "loan", "film")[i % 3], i % 2 == 0
        context = f"it was {'good' if known else 'bad'} and {word} was very"
        found = [{"text": word, "start": context.index(word)}] if known else []
        raw = {"context": context, "question": "is", "answers": found}
        content = problem.read(raw.get)
        rows.append(
            {"text": content.text, "text_pair": content.text_pair, "target": content.target}
        )
    base = save_tiny_writer(tmp_path / "base", "llama", words=WORDS)
    checkpoint = trained("question_answering", base, tmp_path, rows, epochs=8)
    good, bad = read_by(
        checkpoint, ["it was good and card was very", "it was bad and card was very"]
    )
    assert good[0] == pytest.approx(bad[0], abs=1e-5)
    assert bad[:, 0].argmax() == len(bad) - 1 > good[:, 0].argmax()
    best = max(point["exact_match"] for point in checkpoint.training["history"])
    assert best > 0.95
    made = predict(
        checkpoint, dataset(tmp_path / "test.parquet", rows[:4]), tmp_path / "p", PredictParams()
    )
    assert [json.loads(x) for x in read_predictions(made).predicted] == ["card", "", "film", ""]
