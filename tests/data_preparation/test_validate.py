"""Bad rows go to quarantine, a bad file is refused, and selective quarantine is noticed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from builders import rows, write_examples
from scipy.stats import fisher_exact

from pipeline_steps.data_preparation.selective import selective_values
from pipeline_steps.data_preparation.validate import validate, validate_examples
from pipeline_steps.errors import ValidationBlockedError
from pipeline_steps.params import ValidateParams

LOOSE = ValidateParams(max_quarantined_share=0.9)


def check(tmp_path: Path, content: list[dict], params: ValidateParams = LOOSE):
    path = write_examples(tmp_path / "in.parquet", content)
    return validate_examples(
        path, params, "text_classification", tmp_path / "out",
        quarantine_directory=tmp_path / "aside",
    )  # fmt: skip


def aside(tmp_path: Path) -> dict[str, str]:
    table = pq.read_table(tmp_path / "aside/rows.parquet").to_pylist()
    return {row["example_id"]: row["reason"] for row in table}


BAD_ROWS = {
    "text_missing": {"text": None},
    "label_missing": {"label": None},
    "text_too_short": {"text": "   "},
    "text_too_long": {"text": "x" * 5001},
    "replacement_characters": {"text": "my ca\ufffdrd"},
    "encoding_damage": {"text": "my cafÃ© card"},
}


@pytest.mark.parametrize("reason", BAD_ROWS)
def test_each_kind_of_bad_row_is_set_aside_under_its_reason(tmp_path: Path, reason: str) -> None:
    content = rows(40)
    content[7] |= BAD_ROWS[reason]
    report = check(tmp_path, content)
    assert aside(tmp_path) == {"r7": reason}
    assert report.quarantined == {reason: 1}
    assert report.n_kept == 39
    assert report.failures[0].examples == ("r7",)


def test_clean_rows_are_all_kept(tmp_path: Path) -> None:
    report = check(tmp_path, rows(40))
    assert (report.n_kept, report.failures, report.success) == (40, (), True)


def test_several_reasons_stand_in_the_detail(tmp_path: Path) -> None:
    content = rows(40)
    content[3] |= {"text": "Ã©" * 3000, "label": None}
    check(tmp_path, content)
    row = pq.read_table(tmp_path / "aside/rows.parquet").to_pylist()[0]
    assert set(row["detail"].split(", ")) == {"label_missing", "text_too_long", "encoding_damage"}


def test_a_repeated_row_and_a_repeated_id_keep_the_first(tmp_path: Path) -> None:
    content = rows(40)
    content[10] = dict(content[2])
    content[20]["example_id"] = "r5"
    report = check(tmp_path, content)
    assert report.quarantined == {"duplicate_id": 1, "duplicate_row": 1}
    kept = pq.read_table(tmp_path / "out/examples.parquet")["example_id"].to_pylist()
    assert "r2" in kept
    assert "r10" not in kept
    assert kept.count("r5") == 1


def test_one_text_with_two_labels_is_a_warning_and_stays(tmp_path: Path) -> None:
    content = rows(40)
    content[9]["text"] = content[1]["text"]
    content[9]["label"] = "other"
    report = check(tmp_path, content)
    warning = next(f for f in report.failures if f.expectation == "one_text_several_labels")
    assert (warning.severity, warning.count, report.n_kept) == ("warning", 2, 40)


def test_an_unknown_label_is_set_aside_where_labels_are_declared(tmp_path: Path) -> None:
    params = LOOSE.model_copy(update={"labels": ("label0", "label1")})
    assert check(tmp_path, rows(60), params).quarantined == {"label_unknown": 20}


@pytest.mark.parametrize("batch_rows", [7, 40, 1000])
def test_chunks_change_nothing(tmp_path: Path, batch_rows: int) -> None:
    content = rows(100)
    content[50]["text"] = None
    content[99] = dict(content[0])
    params = LOOSE.model_copy(update={"batch_rows": batch_rows})
    report = check(tmp_path, content, params)
    assert aside(tmp_path) == {"r50": "text_missing", "r99": "duplicate_row"}
    assert report.n_kept == 98


BLOCKED = {
    "too much set aside": (
        [{"text": None, "label": f"label{i % 3}"} for i in range(10)], {"max_quarantined_share": 0.1},
        "would be set aside; the cap is 10.0%",
    ),
    "too few rows": ([], {"min_rows": 500}, "500 are needed"),
}  # fmt: skip


@pytest.mark.parametrize("case", BLOCKED)
def test_a_bad_file_is_refused_with_the_number_and_the_bound(tmp_path: Path, case: str) -> None:
    extra, settings, words = BLOCKED[case]
    report = check(tmp_path, [*rows(40), *extra], ValidateParams(**settings))
    assert not report.success
    assert words in report.blocked_because[0]


def test_one_class_only_is_refused(tmp_path: Path) -> None:
    report = check(tmp_path, rows(40, labels=1))
    assert report.blocked_because == ("1 label is left: label0; a classifier needs two",)


def test_quarantine_that_takes_one_label_out_is_refused(tmp_path: Path) -> None:
    content = rows(300)
    for row in content[:120]:
        if row["label"] == "label1":
            row["text"] = None
    report = check(tmp_path, content)
    assert len(report.blocked_because) == 1
    assert "40 of 100 rows of label 'label1'" in report.blocked_because[0]


def test_quarantine_spread_over_labels_is_let_through(tmp_path: Path) -> None:
    content = rows(300)
    for row in content[:120]:
        row["text"] = None
    assert check(tmp_path, content).blocked_because == ()


def test_the_stage_writes_its_report_before_it_refuses(tmp_path: Path) -> None:
    write_examples(tmp_path / "data/ingested/examples.parquet", rows(40, labels=1))
    (tmp_path / "data/ingested/report.json").write_text('{"n_rejected": 0}')
    with pytest.raises(ValidationBlockedError, match="a classifier needs two"):
        validate(ValidateParams(), "text_classification", tmp_path)
    report = json.loads((tmp_path / "data/validated/report.json").read_text())
    assert report["success"] is False


def test_rows_that_could_not_be_read_count_in_the_share(tmp_path: Path) -> None:
    write_examples(tmp_path / "data/ingested/examples.parquet", rows(40))
    (tmp_path / "data/ingested/report.json").write_text('{"n_rejected": 10}')
    with pytest.raises(ValidationBlockedError, match=r"20\.0% of the rows would be set aside"):
        validate(ValidateParams(), "text_classification", tmp_path)


def test_the_selective_test_is_fishers() -> None:
    found = selective_values({"a": 50, "b": 150}, {"a": 20, "b": 10}, alpha=0.05, min_excess=0.1)[0]
    expected = fisher_exact([[20, 30], [10, 140]], alternative="greater").pvalue
    assert found.p_value == pytest.approx(expected)
    assert (found.value, found.share) == ("a", 0.4)
    assert found.share_elsewhere == pytest.approx(10 / 150)


def test_blind_quarantine_is_rarely_called_selective() -> None:
    """Under the null hypothesis over 20 labels the family-wise false-alarm rate is at most alpha."""
    generator = np.random.default_rng(0)
    totals = {f"l{i}": 50 for i in range(20)}
    alarms = 0
    for _ in range(300):
        taken = generator.multivariate_hypergeometric([50] * 20, 100)
        quarantined = dict(zip(totals, taken.tolist(), strict=True))
        alarms += bool(selective_values(totals, quarantined, alpha=0.05, min_excess=0.0))
    assert alarms / 300 <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 300)
