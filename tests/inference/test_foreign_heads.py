"""Model directories of others: read as transformers reads them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from foreign_models import save_foreign_model
from transformers import (
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from pipeline_steps.errors import CheckpointError, ConfigurationError
from pipeline_steps.inference.examples_file import ExampleRows
from pipeline_steps.inference.foreign import problem_of_directory
from pipeline_steps.inference.foreign_heads import ReadsPairs, load_foreign
from pipeline_steps.inference.learners.windows import encode_windows
from pipeline_steps.inference.readings import Reading
from pipeline_steps.inference.saliency import word_saliencies
from pipeline_steps.inference.tokenization import load_tokenizer
from pipeline_steps.problems.ner import target_of

TAGS = ("B-card", "I-card", "O")  # O is last, as in many models


def rows(texts: list[str], pairs: list[str | None], targets: list[str]) -> ExampleRows:
    n = len(texts)
    return ExampleRows([str(i) for i in range(n)], texts, pairs, [""] * n, targets, {})


def ask_for_token_types(path: Path) -> None:
    config = json.loads((path / "tokenizer_config.json").read_text(encoding="utf-8"))
    config["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    (path / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")


@pytest.mark.parametrize("architecture", ["bert", "roberta"])
def test_a_model_whose_tokenizer_was_not_copied_is_refused(
    tmp_path: Path, architecture: str
) -> None:
    """Transformers makes a tokenizer of special tokens, to which all texts are alike."""
    path = save_foreign_model(tmp_path / "m", ("no", "yes"), architecture=architecture)
    for file in path.iterdir():
        if file.name not in ("config.json", "model.safetensors"):
            file.unlink()
    with pytest.raises(CheckpointError, match=r"no tokenizer can be loaded.*no words"):
        load_foreign(path, "text_classification", renamed={})


def test_tags_are_those_of_the_model_wherever_it_has_its_outside(tmp_path: Path) -> None:
    path = save_foreign_model(tmp_path / "m", TAGS, problem="ner")
    words = ["my", "card", "is", "bad"]
    table = load_foreign(path, "ner", renamed={}).table(
        rows([" ".join(words)], [None], [target_of(words, ["O"] * 4)])
    )
    model = AutoModelForTokenClassification.from_pretrained(path).eval()
    tokens = load_tokenizer(path)(" ".join(words), return_tensors="pt")
    with torch.inference_mode():
        logits = model(tokens["input_ids"], tokens["attention_mask"]).logits[0, 1:-1]
    said = [TAGS[int(place)] for place in logits.argmax(dim=-1)]
    told = json.loads(str(table.predicted[0]))
    assert [tag[2:] for tag in told] == [tag[2:] for tag in said]


def test_labels_that_are_no_tags_are_refused_for_ner(tmp_path: Path) -> None:
    path = save_foreign_model(tmp_path / "m", ("LABEL_0", "LABEL_1"), problem="ner")
    with pytest.raises(ConfigurationError, match="the model's labels are LABEL_0, LABEL_1"):
        load_foreign(path, "ner", renamed={})
    named = {"LABEL_0": "O", "LABEL_1": "B-card"}
    assert load_foreign(path, "ner", renamed=named).labels == ("O", "B-card")


def test_start_and_end_of_an_answer_are_those_of_the_model_with_its_token_types(
    tmp_path: Path,
) -> None:
    path = save_foreign_model(tmp_path / "m", ("a", "b"), problem="question_answering")
    ask_for_token_types(path)
    predictor = load_foreign(path, "question_answering", renamed={}, unanswerable=False)
    question, context = "the number", "my card number is good and the fee is bad"
    windows = encode_windows(predictor.tokenizer, [context], 64, 8, before=[question])
    [ours] = predictor.learner.run(predictor.model, windows, 0, 512, 1)
    model = AutoModelForQuestionAnswering.from_pretrained(path).eval()
    ids = torch.tensor(windows.token_ids)
    types = torch.tensor([[0] * 4 + [1] * (ids.shape[1] - 4)])  # [CLS] the number [SEP]
    with torch.inference_mode():
        found = model(ids, token_type_ids=types)
        untyped = model(ids)
    wanted = torch.stack([found.start_logits[0], found.end_logits[0]], dim=-1).numpy()
    assert ours == pytest.approx(wanted, abs=1e-5)
    assert not torch.allclose(found.start_logits, untyped.start_logits, atol=1e-4)
    assert predictor.labels == ("answer",)


def test_the_gradient_of_a_pair_is_that_of_the_model_with_its_token_types(tmp_path: Path) -> None:
    path = save_foreign_model(tmp_path / "m", ("a", "b"))
    ask_for_token_types(path)
    predictor = load_foreign(path, "text_classification", renamed={})
    assert isinstance(predictor.model, ReadsPairs)
    [ours] = word_saliencies(predictor, [Reading("card", "bad", 1, [(0, 0, 4), (1, 0, 3)])])
    model = AutoModelForSequenceClassification.from_pretrained(path).eval()
    ids = torch.tensor(predictor.encode(["card"], ["bad"]).token_ids)  # [CLS] card [SEP] bad [SEP]

    def lengths(types: list[int]) -> list[float]:
        vectors = model.get_input_embeddings()(ids).detach().requires_grad_()
        logits = model(inputs_embeds=vectors, token_type_ids=torch.tensor([types])).logits
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor([1]))
        (gradient,) = torch.autograd.grad(loss, vectors)
        found: list[float] = gradient[0].norm(dim=-1)[[1, 3]].tolist()
        return found

    assert ours == pytest.approx(lengths([0, 0, 0, 1, 1]), rel=1e-4)
    assert ours != pytest.approx(lengths([0] * 5), rel=1e-3)


def test_a_model_without_token_types_gets_none(tmp_path: Path) -> None:
    path = save_foreign_model(tmp_path / "m", ("a", "b"), architecture="distilbert")
    predictor = load_foreign(path, "text_classification", renamed={})
    assert not isinstance(predictor.model, ReadsPairs)


def test_the_head_says_what_a_model_is_for(tmp_path: Path) -> None:
    several = {"problem_type": "multi_label_classification"}
    for name, problem, config in (
        ("c", "text_classification", {}),
        ("n", "ner", {}),
        ("q", "question_answering", {}),
        ("m", "multi_label_classification", several),
    ):
        head = "text_classification" if config else problem
        path = save_foreign_model(tmp_path / name, ("a", "b"), problem=head, **config)
        assert problem_of_directory(path) == problem
    with pytest.raises(ConfigurationError, match=r"--problem is ner, and .* for text_class"):
        problem_of_directory(tmp_path / "c", "ner")
    with pytest.raises(CheckpointError, match="is no model directory"):
        problem_of_directory(tmp_path)
