"""Bad rows go to quarantine, a bad file is refused, and selective quarantine is noticed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders import ingest_params, rows, write_examples, write_jsonl
from scipy.stats import fisher_exact

from pipeline_steps.data_params import ValidateParams
from pipeline_steps.data_preparation.ingest import ingest
from pipeline_steps.data_preparation.selective import selective_values
from pipeline_steps.data_preparation.tally import UnreadRows
from pipeline_steps.data_preparation.validate import validate, validate_examples
from pipeline_steps.errors import DataError, ValidationBlockedError
from pipeline_steps.types import EXAMPLE_COLUMNS

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
    "id_missing": {"example_id": None},
}

DAMAGED = {
    "Latin-1": "café".encode().decode("latin-1"),
    "Windows-1252 capital": "MÜNCHEN".encode().decode("cp1252"),
    "Windows-1252 apostrophe": "it\u2019s".encode().decode("cp1252"),
    "Cyrillic": "карта".encode().decode("latin-1"),
    "no-break space": "10\u00a0EUR".encode().decode("latin-1"),
    "a control character": "ca\x00rd",
    "a C1 control character": "ca\x93rd",
}
WHOLE = [
    "São João, MAÇÃ e “MANHÔ",
    "ÎN ÂNUL „ÂLA”",
    "карта и Ñandú Ð",
    "tab\tand\nline",
    "5 °C, 3 €",
]


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_encodings_are_set_aside(tmp_path: Path, case: str) -> None:
    content = rows(40)
    content[7]["text"] = DAMAGED[case]
    assert check(tmp_path, content).quarantined == {"encoding_damage": 1}


def test_foreign_letters_are_no_damage(tmp_path: Path) -> None:
    content = [*rows(40), *({"text": text, "label": "label0"} for text in WHOLE)]
    assert check(tmp_path, content).quarantined == {}


@pytest.mark.parametrize("reason", BAD_ROWS)
def test_each_kind_of_bad_row_is_set_aside_under_its_reason(tmp_path: Path, reason: str) -> None:
    content = rows(40)
    content[7] |= BAD_ROWS[reason]
    report = check(tmp_path, content)
    named = None if reason == "id_missing" else "r7"
    assert aside(tmp_path) == {named: reason}
    assert report.quarantined == {reason: 1}
    assert report.n_kept == 39
    assert report.failures[0].examples == (f"{named}",)
    assert report.failures[0].column in EXAMPLE_COLUMNS


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


def test_rows_that_are_set_aside_contradict_nobody(tmp_path: Path) -> None:
    """Blank texts of several labels are bad rows, not one text with several labels."""
    content = rows(40)
    for i, text in [(3, " "), (4, " "), (8, ""), (9, ""), (12, None), (13, None)]:
        content[i]["text"] = text
    content[20] |= {"text": content[21]["text"], "label": None}
    report = check(tmp_path, content)
    assert report.n_kept == 33
    assert "one_text_several_labels" not in {f.expectation for f in report.failures}


def test_an_unknown_label_is_set_aside_where_labels_are_declared(tmp_path: Path) -> None:
    params = LOOSE.model_copy(update={"labels": ("label0", "label1")})
    assert check(tmp_path, rows(60), params).quarantined == {"label_unknown": 20}


@pytest.mark.parametrize("batch_rows", [7, 40])
def test_chunks_change_nothing(tmp_path: Path, batch_rows: int) -> None:
    content = rows(100)
    content[50]["text"] = None
    content[99] = dict(content[0])
    content[30]["label"] = "rare"
    content[31] |= {"text": content[30]["text"], "example_id": "r2"}
    results = []
    for size in (batch_rows, 1000):
        report = check(tmp_path, content, LOOSE.model_copy(update={"batch_rows": size}))
        kept = pq.read_table(tmp_path / "out/examples.parquet")
        results.append((report, aside(tmp_path), kept.to_pylist()))
    assert results[0] == results[1]
    assert results[0][1] == {"r50": "text_missing", "r99": "duplicate_row", "r2": "duplicate_id"}


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
    assert report.blocked_because == ("1 label is left: label0; text_classification needs 2",)


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
    (tmp_path / "data/ingested/report.json").write_text('{"rejected": {}}')
    with pytest.raises(ValidationBlockedError, match="text_classification needs 2"):
        validate(ValidateParams(), "text_classification", tmp_path)
    report = json.loads((tmp_path / "data/validated/report.json").read_text())
    assert report["success"] is False


def test_rows_that_could_not_be_read_count_in_the_share(tmp_path: Path) -> None:
    write_examples(tmp_path / "data/ingested/examples.parquet", rows(40))
    (tmp_path / "data/ingested/report.json").write_text('{"rejected": {"malformed_json": 10}}')
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


def test_repeats_count_neither_for_the_cap_nor_as_selective(tmp_path: Path) -> None:
    """The first of equal rows stays: nothing that could be learnt is lost."""
    content = rows(100)
    content += [dict(row) for row in content[:60] if row["label"] == "label1"]
    report = check(tmp_path, content, ValidateParams(max_quarantined_share=0.05))
    assert report.quarantined == {"duplicate_row": 20}
    assert report.blocked_because == ()


def test_a_repeated_id_with_another_text_counts_for_the_cap(tmp_path: Path) -> None:
    content = rows(40) + [
        row | {"example_id": "r0", "text": f"new {i}"} for i, row in enumerate(rows(9))
    ]
    [blocked] = check(tmp_path, content, ValidateParams()).blocked_because
    assert "most often: duplicate_id (9)" in blocked


@pytest.mark.parametrize("column", ["domain", "source", "group"])
def test_quarantine_that_takes_one_group_out_is_refused(tmp_path: Path, column: str) -> None:
    content = [row | {column: f"g{i % 5}"} for i, row in enumerate(rows(300))]
    for row in content[:100]:
        if row[column] == "g3":
            row["text"] = "x" * 6000
    [blocked] = check(tmp_path, content).blocked_because
    assert f"20 of 60 rows of {column} 'g3' (33.3%, elsewhere 0.0%" in blocked


def test_rows_that_ingest_set_aside_count_as_taken_from_their_file(tmp_path: Path) -> None:
    content = [
        row | {"source": "b.jsonl" if i % 2 else "a.jsonl"} for i, row in enumerate(rows(200))
    ]
    unread = UnreadRows(by_reason={"malformed_json": 60}, by_value={"source": {"b.jsonl": 60}})
    path = write_examples(tmp_path / "in.parquet", content)
    report = validate_examples(
        path, LOOSE, "text_classification", tmp_path / "out",
        quarantine_directory=tmp_path / "aside", unread=unread,
    )  # fmt: skip
    assert "60 of 160 rows of source 'b.jsonl'" in report.blocked_because[0]
    assert report.n_rows == 260


def test_all_reasons_to_refuse_are_named_at_once(tmp_path: Path) -> None:
    content = rows(30, labels=1) + [{"text": None, "label": "label0"}] * 10
    report = check(tmp_path, content, ValidateParams(min_rows=100))
    assert len(report.blocked_because) == 3


def test_a_file_without_any_row_is_refused(tmp_path: Path) -> None:
    report = check(tmp_path, [])
    assert (report.n_kept, report.success) == (0, False)
    assert "0 rows are left" in report.blocked_because[0]


def test_one_row_is_counted_in_the_singular(tmp_path: Path) -> None:
    report = check(tmp_path, rows(1))
    assert report.blocked_because[0].startswith("1 row is left; 20 are needed")


def test_set_aside_rows_name_their_line_in_the_raw_file(tmp_path: Path) -> None:
    lines = [json.dumps(row) for row in rows(40)]
    lines[10:10] = ["{broken", json.dumps({"text": " ", "label": "label0"})]
    (tmp_path / "raw.jsonl").write_text("\n".join(lines))
    ingest(ingest_params({"path": "raw.jsonl"}), tmp_path)
    validate(LOOSE, "text_classification", tmp_path)
    [row] = pq.read_table(tmp_path / "data/quarantine/validate/rows.parquet").to_pylist()
    assert (row["source_file"], row["line"], row["reason"]) == ("raw.jsonl", 12, "text_too_short")


def test_unreadable_dates_are_a_warning_with_examples(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "raw.jsonl", [row | {"at": "soon"} for row in rows(40)])
    ingest(ingest_params({"path": "raw.jsonl"}, columns={"timestamp": "at"}), tmp_path)
    [warning] = validate(LOOSE, "text_classification", tmp_path).failures
    assert (warning.expectation, warning.severity, warning.count) == (
        "timestamp_unparsed",
        "warning",
        40,
    )
    assert warning.examples[0] == "raw.jsonl:1: 'soon'"


def test_a_file_that_holds_no_examples_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "in.parquet")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1")
    for name, message in (
        ("in", "has the columns text"),
        ("cut", "corrupt"),
        ("no", "there is no"),
    ):
        with pytest.raises(DataError, match=message):
            validate_examples(
                tmp_path / f"{name}.parquet", LOOSE, "text_classification", tmp_path / "out",
                quarantine_directory=tmp_path / "aside",
            )  # fmt: skip


def test_a_group_of_few_rows_cannot_block_but_a_label_can(tmp_path: Path) -> None:
    """One customer's four broken messages are no bias; a label without a row left is."""
    content = [row | {"group": f"g{i // 4}"} for i, row in enumerate(rows(400))]
    for row in content[:4]:
        row["text"] = None
    assert check(tmp_path, content).blocked_because == ()
    for row in content[:4]:
        row["label"] = "rare"
    [blocked] = check(tmp_path, content).blocked_because
    assert "4 of 4 rows of label 'rare'" in blocked


def test_rows_that_could_not_be_read_are_in_the_account_with_their_reasons(tmp_path: Path) -> None:
    lines = [json.dumps(row) for row in rows(40)]
    lines += ["{broken", '{"text": 1, "label": "label0"}', lines[0], lines[1]]
    (tmp_path / "raw.jsonl").write_text("\n".join(lines))
    ingest(ingest_params({"path": "raw.jsonl"}), tmp_path)
    report = validate(ValidateParams(), "text_classification", tmp_path)
    assert report.quarantined == {
        "duplicate_row": 2, "malformed_json": 1, "text_not_a_string": 1,
    }  # fmt: skip
    assert report.n_rows - report.n_kept == sum(report.quarantined.values())


def test_too_many_unread_rows_are_refused_with_the_reason_that_cost_them(tmp_path: Path) -> None:
    lines = [json.dumps(row) for row in rows(40)]
    lines += ["{broken"] * 9 + lines[:20]
    (tmp_path / "raw.jsonl").write_text("\n".join(lines))
    ingest(ingest_params({"path": "raw.jsonl"}), tmp_path)
    with pytest.raises(ValidationBlockedError, match=r"most often: malformed_json \(9\)\n"):
        validate(ValidateParams(), "text_classification", tmp_path)


def test_labels_that_differ_in_their_case_alone_are_warned_of(tmp_path: Path) -> None:
    names = ("card lost", "Card_Lost", "fee", "Fee", "pin")
    lines = [{**row, "label": names[i % 5]} for i, row in enumerate(rows(40))]
    write_jsonl(tmp_path / "raw.jsonl", lines)
    ingest(ingest_params({"path": "raw.jsonl"}), tmp_path)
    report = validate(ValidateParams(), "text_classification", tmp_path)
    (found,) = [f for f in report.failures if f.expectation == "labels_alike"]
    assert (found.count, found.severity) == (4, "warning")
    assert found.examples == ("Card_Lost / card lost", "Fee / fee")
