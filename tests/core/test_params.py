"""``params.yaml``: all mistakes at once, each with its place; what is valid comes back as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline_steps.errors import ConfigurationError
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.params import Params, load_params, parse_params

SMALLEST: dict[str, Any] = {"ingest": {"sources": [{"path": "data/raw/a.csv"}]}}


def mistakes(values: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        parse_params(values, source="params.yaml")
    return [line for line in caught.value.received.splitlines() if line.startswith("  - ")]


def test_defaults_come_back_through_yaml() -> None:
    params = parse_params(SMALLEST, source="a test")
    text = yaml.safe_dump(params.model_dump(mode="json", by_alias=True))
    assert parse_params(yaml.safe_load(text), source="a test") == params


def test_all_mistakes_are_reported_at_once_with_their_places() -> None:
    values = {
        **SMALLEST,
        "finetune": {"epochs": 0, "tuning": {"kind": "magic"}, "learningrate": 1e-3},
        "split": {"valid_fraction": 2.0},
        "gait": {},
    }
    found = "\n".join(mistakes(values))
    for place in ("finetune.epochs", "finetune.tuning", "split.valid_fraction"):
        assert f"  - {place}: " in found
    assert "finetune.learningrate: unknown key; did you mean 'learning_rate'?" in found
    assert "gait: unknown key; did you mean 'gate'?" in found
    assert len(found.splitlines()) == 5


def test_a_mistake_inside_a_list_is_named_once_where_it_is() -> None:
    values = {"ingest": {"sources": [{"path": "a", "rol": "train"}]}}
    assert mistakes(values) == ["  - ingest.sources.0.rol: unknown key; did you mean 'role'?"]


@pytest.mark.parametrize(
    ("finetune", "message"),
    [
        (
            {"tuning": {"kind": "lora", "rnak": 3}},
            "finetune.tuning.rnak: unknown key; did you mean 'rank'?",
        ),
        ({"tuning": {"kind": "lora", "rank": 0}}, "finetune.tuning.rank: Input should be greater"),
        (
            {"tuning": {"kind": "lora", "target_modules": "query"}},
            "such as [query, value], the word all-linear, or null (received 'query')",
        ),
        (
            {"tuning": {"kind": "adalora", "target_modules": []}},
            "finetune.tuning.target_modules: a list of names",
        ),
        ({"tuning": {"rank": 3}}, "finetune.tuning: Unable to extract tag"),
        ({"tuning": {"kind": "head", "rank": 3}}, "known keys: kind"),
        ({"method": "lora"}, "finetune.method: unknown key"),
    ],
)
def test_a_mistake_in_a_section_of_several_kinds_is_named_where_it_stands(
    finetune: dict[str, Any], message: str
) -> None:
    (found,) = mistakes({**SMALLEST, "finetune": finetune})
    assert message in found


def test_an_unknown_key_without_a_near_one_lists_the_known() -> None:
    (found,) = mistakes({**SMALLEST, "predict": {"zzz": 1}})
    assert "known keys: batch_tokens, precision" in found


@pytest.mark.parametrize("values", [None, [], "text", 3, {}])
def test_values_that_are_no_parameters_at_all_are_refused(values: Any) -> None:
    assert mistakes(values)


def test_a_value_out_of_range_is_shown_as_received() -> None:
    (found,) = mistakes({**SMALLEST, "evaluate": {"confidence": 95}})
    assert "received 95" in found


@pytest.mark.parametrize(
    "section",
    [
        {"suites": {"noise": [{"name": "a", "rate": 0.1, "severity": 1}]}},
        {"split": {"valid_fraction": 0.5, "test_fraction": 0.5}},
        {"finetune": {"tuning": {"rank": 3}}},
        {"ingest": {}},
    ],
)
def test_a_mistake_between_keys_does_not_repeat_the_section(section: dict[str, Any]) -> None:
    (found,) = mistakes({**SMALLEST, **section})
    assert "received" not in found
    assert "Value error" not in found


def test_shares_that_leave_nothing_to_train_on_are_refused() -> None:
    split = {"valid_fraction": 0.5, "test_fraction": 0.5}
    (found,) = mistakes({**SMALLEST, "split": split})
    assert "add up to 1.00" in found


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [1", "is not valid YAML"),
        (b"a: \xff\xfe", "is not valid YAML"),
        (b"", "mistake"),
        (b"- 1\n", "mistake"),
    ],
)
def test_a_broken_file_is_a_clear_error(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "params.yaml").write_bytes(content)
    with pytest.raises(ConfigurationError, match=message):
        load_params(tmp_path / "params.yaml")


def test_a_missing_file_says_how_to_make_a_workspace(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="holdfast init"):
        load_params(tmp_path / "params.yaml")


def test_parameters_cannot_be_changed_after_they_were_read() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        FinetuneParams().epochs = 3  # type: ignore[misc]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["ingest", "sources", "finetune", "lora", "path", "x"]), inner
            )
        ),
        max_leaves=8,
    )
)
def test_whatever_a_file_holds_the_answer_is_parameters_or_a_refusal(values: Any) -> None:
    try:
        params = parse_params(values, source="a test")
    except ConfigurationError:
        return
    assert isinstance(params, Params)


def test_a_column_of_another_problem_is_a_mistake() -> None:
    with pytest.raises(ConfigurationError, match=r"columns\.tags: text_classification has no such"):
        parse_params(
            {"ingest": {"sources": [{"path": "a.csv"}], "columns": {"tags": "t"}}}, source="p"
        )


def test_a_column_that_a_problem_needs_cannot_be_null() -> None:
    with pytest.raises(ConfigurationError, match=r"ingest\.columns\.answers: .* needs it"):
        parse_params(
            {
                "problem": "question_answering",
                "ingest": {"sources": [{"path": "a.csv"}], "columns": {"answers": None}},
            },
            source="p",
        )


def test_what_params_say_is_not_overridden_by_the_problem() -> None:
    params = parse_params(
        {
            "problem": "ner",
            "ingest": {"sources": [{"path": "a.csv"}], "columns": {"tokens": "words"}},
            "gate": {"floors": {}},
            "finetune": {"epochs": 2, "early_stopping_metric": "loss"},
        },
        source="p",
    )
    assert params.gate.floors == {}
    assert params.gate.superiority == ("test/headline",)
    assert (params.finetune.epochs, params.finetune.early_stopping_metric) == (2, "loss")
    assert (params.ingest.columns.tokens, params.ingest.columns.tags) == ("words", "tags")


def test_early_stopping_looks_at_a_metric_of_the_problem() -> None:
    with pytest.raises(ConfigurationError, match="early_stopping_metric: 'entity_f1' is none of"):
        parse_params(
            {
                "ingest": {"sources": [{"path": "a.csv"}]},
                "finetune": {"early_stopping_metric": "entity_f1"},
            },
            source="p",
        )


def test_a_policy_says_what_is_better_and_a_key_beside_it_comes_first(tmp_path: Path) -> None:
    """The problem's own floor is filled in only where neither says one."""
    (tmp_path / "ours.yaml").write_text("floors: {test/accuracy: 0.9}\nalpha: 0.2\n")
    file = tmp_path / "params.yaml"
    text = "ingest: {sources: [{path: a.csv}]}\ngate: {policy: %s, min_rows: 7}\n"
    file.write_text(text % "ours.yaml")
    gate = load_params(file).gate
    assert (gate.floors, gate.alpha, gate.min_rows) == ({"test/accuracy": 0.9}, 0.2, 7)
    file.write_text(text % "refresh")
    gate = load_params(file).gate
    assert (gate.superiority, gate.looks) == (("window*/headline",), 4)
    assert gate.floors == {"test/accuracy": 0.5}
    file.write_text(text % "lax")
    with pytest.raises(ConfigurationError, match="gate: there is no policy 'lax'"):
        load_params(file)


def test_slices_that_the_gate_asks_about_and_nobody_compares_are_a_mistake() -> None:
    values = {**SMALLEST, "gate": {"min_slice_rows": 10}}
    with pytest.raises(ConfigurationError, match=r"10 is below evaluate\.min_slice_rows, 20"):
        parse_params(values, source="a test")
