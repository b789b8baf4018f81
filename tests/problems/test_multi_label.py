"""Rows with any number of labels: how they are written, what is worth a warning, what is refused."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from builders import ingest_params, structured_rows, write_jsonl
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Bernoulli, kl_divergence

from pipeline_steps.data_params import ValidateParams
from pipeline_steps.data_preparation.ingest import ingest
from pipeline_steps.data_preparation.validate import validate
from pipeline_steps.errors import ConfigurationError, TrainingError
from pipeline_steps.fields import NotAValueError
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.inference.learners.catalog import get_learner
from pipeline_steps.params import parse_params
from pipeline_steps.problems.multi_label_classification import MultiLabelClassification, labels_of
from pipeline_steps.stability_params import FewShotParams
from pipeline_steps.training.combinations import refuse_combinations
from pipeline_steps.training.objectives.consistency import RDrop
from pipeline_steps.training.objectives.step import Step
from pipeline_steps.training.runs import baseline_score
from pipeline_steps.types import ValidationReport

PROBLEM = "multi_label_classification"
NAMES = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=6)
LABELS = st.lists(NAMES, max_size=5)


def read(labels):
    return MultiLabelClassification().read({"text": "a card", "labels": labels}.get)


def validated(root, rows, **settings) -> ValidationReport:
    write_jsonl(root / "data/raw/in.jsonl", rows)
    columns = {"text": "text", "label": None, "labels": "labels"}
    ingest(ingest_params({"path": "data/raw/in.jsonl"}, columns=columns), root, problem=PROBLEM)
    return validate(ValidateParams(**settings), PROBLEM, root)


def warnings_of(report) -> dict[str, int]:
    return {f.expectation: f.count for f in report.failures if f.severity == "warning"}


@given(LABELS, st.sampled_from([";", "|", " ; ", " | "]))
def test_every_spelling_of_labels_is_read_alike(labels, separator) -> None:
    expected = sorted(set(labels))
    for spelling in (labels, tuple(labels), json.dumps(labels), separator.join(labels)):
        found = read(spelling)
        assert labels_of(found.target) == expected
        assert found.repaired == (len(expected) < len(labels))


@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=4))
def test_a_list_may_hold_labels_with_separators_in_them(labels) -> None:
    expected = sorted({label.strip() for label in labels})
    assert labels_of(read(labels).target) == labels_of(read(json.dumps(labels)).target) == expected


def test_labels_of_a_csv_file_and_of_a_parquet_file_are_those_of_a_json_file(tmp_path) -> None:
    rows = [(f"text {i}", [["a", "b"], [], ["b"]][i % 3]) for i in range(30)]
    found = []
    for name in ("in.csv", "in.parquet", "in.jsonl"):
        root = tmp_path / name.partition(".")[2]
        root.mkdir()
        if name == "in.csv":
            lines = [f"{text},{';'.join(labels) or '[]'}" for text, labels in rows]
            (root / name).write_text("\n".join(["text,labels", *lines]) + "\n")
        elif name == "in.parquet":
            texts, labels = zip(*rows, strict=True)
            pq.write_table(pa.table({"text": list(texts), "labels": list(labels)}), root / name)
        else:
            write_jsonl(root / name, [{"text": t, "labels": some} for t, some in rows])
        columns = {"text": "text", "label": None, "labels": "labels"}
        made = ingest(ingest_params({"path": name}, columns=columns), root, problem=PROBLEM)
        found.append([labels_of(row["target"]) for row in pq.read_table(made.path).to_pylist()])
    assert found == [[labels for _, labels in rows]] * 3


@pytest.mark.parametrize("labels", [{"a": 1}, "['a', 'b']"])
def test_what_is_no_list_is_refused(labels) -> None:
    with pytest.raises(NotAValueError, match="where a list was expected"):
        read(labels)


def test_merged_and_empty_labels_are_warned_of_and_kept(tmp_path) -> None:
    rows = [{"text": f"text {i}", "labels": ["a", "b"]} for i in range(40)]
    rows[3]["labels"], rows[5]["labels"], rows[7]["labels"] = ["a", "a"], [], "b|b"
    report = validated(tmp_path, rows)
    assert report.quarantined == {}
    warnings = warnings_of(report)
    assert (warnings["labels_merged"], warnings["labels_empty"]) == (2, 1)


def test_a_comma_is_no_separator_and_is_warned_of(tmp_path) -> None:
    rows = [{"text": f"text {i}", "labels": "a;b" if i % 4 else "a, b"} for i in range(40)]
    report = validated(tmp_path, rows)
    assert report.quarantined == {}
    assert warnings_of(report)["label_with_comma"] == 10


def test_a_row_with_an_unknown_label_is_set_aside(tmp_path) -> None:
    rows = [{"text": f"text {i}", "labels": ["a", "b"][: i % 3]} for i in range(60)]
    rows[4]["labels"], rows[8]["labels"] = ["a", "c"], ["d"]
    report = validated(tmp_path, rows, labels=("a", "b"))
    assert report.quarantined == {"labels_unknown": 2}
    (failure,) = [f for f in report.failures if f.severity == "critical"]
    assert (failure.expectation, failure.column, failure.count) == ("labels_unknown", "target", 2)


def test_whatever_label_occurs_is_known_where_none_are_named(tmp_path) -> None:
    assert validated(tmp_path, structured_rows(PROBLEM, 40)).quarantined == {}


@pytest.mark.parametrize(
    "loss",
    [{"kind": "focal"}, {"label_smoothing": 0.1}, {"class_weights": "balanced"},
     {"class_weights": "effective"}],
)  # fmt: skip
def test_losses_about_one_class_of_several_are_refused(loss) -> None:
    values = {
        "problem": PROBLEM,
        "ingest": {"sources": [{"path": "a.csv"}]},
        "finetune": {"loss": loss},
    }
    with pytest.raises(ConfigurationError, match=f"finetune.loss.{next(iter(loss))}: .*each there"):
        parse_params(values, source="params.yaml")


def test_the_baseline_answers_the_labels_of_more_than_half_of_the_training_rows() -> None:
    learner, labels = get_learner(PROBLEM), ("a", "b", "c")
    seen = {}

    def scores_of(outputs):
        seen["answers"] = [a["labels"] for a in learner.answers(outputs, None, None, labels)]
        return {"micro_f1": 0.25}

    train = SimpleNamespace(labels=[[1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0] * 3])
    valid = SimpleNamespace(encoded=[None] * 2)
    scorer = SimpleNamespace(train_rows=train, valid_rows=valid, scores_of=scores_of)
    assert baseline_score(scorer, PROBLEM) == 0.25
    assert seen["answers"] == [["a"], ["a"]]  # b holds for exactly half of them


def logits(seed: int) -> SimpleNamespace:
    return SimpleNamespace(
        logits=torch.from_numpy(np.random.default_rng(seed).normal(0, 3, (5, 4)))
    )


@given(st.integers(0, 1_000), st.integers(1, 20))
def test_the_divergence_is_that_of_independent_labels(seed: int, n_items: int) -> None:
    ours, theirs = logits(seed), logits(seed + 1_001)
    found = get_learner(PROBLEM).divergence(ours, theirs, torch.zeros(5, 4), n_items)
    p, q = (Bernoulli(logits=outputs.logits) for outputs in (theirs, ours))
    assert float(found) == pytest.approx(float(kl_divergence(p, q).sum()) / n_items, rel=1e-4)


class TwoOpinions(torch.nn.Module):
    """Answers the two halves of a doubled batch with one of two outputs each."""

    def forward(self, input_ids: torch.Tensor) -> SimpleNamespace:
        assert len(input_ids) == 10
        return SimpleNamespace(logits=torch.cat([logits(1).logits, logits(2).logits]).float())


def test_consistency_is_the_mean_loss_and_the_divergence_both_ways() -> None:
    learner, truth = get_learner(PROBLEM), (torch.arange(20).reshape(5, 4) % 3 == 0).float()
    step = Step(
        TwoOpinions(), {"input_ids": torch.zeros(5, 3, dtype=torch.long)}, truth, learner, 5
    )
    loss = torch.nn.functional.binary_cross_entropy_with_logits
    one, two = logits(1).logits, logits(2).logits
    first, second = Bernoulli(logits=one), Bernoulli(logits=two)
    clean = (loss(one, truth.double()) + loss(two, truth.double())) / 2 * 4
    apart = (kl_divergence(first, second) + kl_divergence(second, first)).sum() / 5
    assert float(RDrop(alpha=2.0)(step)) == pytest.approx(float(clean + 0.5 * apart), rel=1e-5)


def test_an_empty_item_is_set_aside_and_so_is_a_row_that_says_nothing_of_labels(tmp_path) -> None:
    rows = [{"text": f"text {i}", "labels": ["a", "b"]} for i in range(40)]
    rows[2]["labels"], rows[6]["labels"] = ["a", " "], None
    report = validated(tmp_path, rows)
    assert report.quarantined == {"label_empty": 1, "target_missing": 1}


def test_a_label_of_few_rows_is_warned_of_and_kept(tmp_path) -> None:
    rows = [{"text": f"text {i}", "labels": ["a", "b"]} for i in range(40)]
    rows[9]["labels"] = ["a", "rare"]
    report = validated(tmp_path, rows, min_rows_per_label=5)
    assert report.quarantined == {}
    assert any("rare" in example for f in report.failures for example in f.examples)


def test_numbers_and_blanks_around_labels_mean_the_texts_that_they_are() -> None:
    assert labels_of(read([3, 3.0, " new york ", "3"]).target) == ["3", "new york"]
    assert labels_of(read(" 3 ; new york ;").target) == ["3", "new york"]
    assert labels_of(read("[]").target) == labels_of(read([]).target) == []


def test_ways_of_learning_that_need_one_label_are_refused() -> None:
    contrastive = {"objective": {"contrastive": {}}}
    values = {"problem": PROBLEM, "ingest": {"sources": [{"path": "a.csv"}]}}
    with pytest.raises(ConfigurationError, match=f"{PROBLEM} has none such; rdrop and smart work"):
        parse_params({**values, "finetune": contrastive}, source="params.yaml")
    few = FinetuneParams(few_shot=FewShotParams(), early_stopping_metric="micro_f1")
    with pytest.raises(TrainingError, match=f"few_shot and the problem {PROBLEM}"):
        refuse_combinations(few, PROBLEM)
