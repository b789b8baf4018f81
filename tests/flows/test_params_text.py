"""params.yaml as it is written: every key with its comment, and read back as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from flows.commands.params_text import params_text
from pipeline_steps.data_params import IngestParams, NoiseParams, SourceParams, SuitesParams
from pipeline_steps.params import Params, load_params, parse_params
from pipeline_steps.section import Section

REPOSITORY = Path(__file__).resolve().parents[2]


def every_section(section: type[Section]) -> set[type[Section]]:
    found = {section}
    for field in section.model_fields.values():
        for kind in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(kind, type) and issubclass(kind, Section):
                found |= every_section(kind)
    return found


@pytest.mark.parametrize("section", sorted(every_section(Params), key=lambda s: s.__name__))
def test_every_parameter_is_described(section: type[Section]) -> None:
    assert [n for n, field in section.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(
    "params",
    [
        Params(ingest=IngestParams(sources=(SourceParams(path="a: b #c.csv", role="suite:x.y"),))),
        Params(
            ingest=IngestParams(sources=(SourceParams(path="ä"), SourceParams(path="yes"))),
            suites=SuitesParams(noise=(NoiseParams(name="null"), NoiseParams(name="b", rate=1e-9))),
            gate={"floors": {}, "non_inferiority": {"test/accuracy": 0.01}, "superiority": ()},
        ),
        *(
            Params(
                ingest=IngestParams(sources=(SourceParams(path="a.csv"),)),
                finetune={"tuning": tuning},
            )
            for tuning in (
                {"kind": "head"},
                {"kind": "top_layers"},
                {"kind": "bitfit"},
                {"kind": "lora"},
                {"kind": "lora", "target_modules": ("query", "value")},
                {"kind": "lora", "target_modules": "all-linear"},
                {"kind": "ia3"},
                {"kind": "houlsby"},
                {"kind": "pfeiffer"},
                {"kind": "prompt"},
                {"kind": "prefix"},
                {"kind": "in_context"},
            )
        ),
    ],
)
def test_params_text_is_read_back_as_it_was(params: Params) -> None:
    assert parse_params(yaml.safe_load(params_text(params)), source="text") == params


def test_params_yaml_shows_no_column_of_another_problem() -> None:
    values = {"problem": "ner", "ingest": {"sources": [{"path": "a.csv"}]}}
    text = params_text(parse_params(values, source="text"))
    assert "tags: tags" in text
    assert "question:" not in text


def test_the_sample_workspace_has_every_parameter_with_its_comment() -> None:
    file = REPOSITORY / "params.yaml"
    assert file.read_text(encoding="utf-8") == params_text(load_params(file)), (
        "write what params_text(load_params(...)) returns into params.yaml"
    )
