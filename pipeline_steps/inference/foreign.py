"""A model directory of the Hugging Face kind that Holdfast did not write, as a predictor.

Only safetensors are read, and no code that lies beside the weights is run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline_steps.errors import CheckpointError, ConfigurationError
from pipeline_steps.inference.base_model import weights_digest
from pipeline_steps.inference.checkpoint import META
from pipeline_steps.problem_defaults import WRITING

_BY_HEAD = {
    "ForSequenceClassification": "text_classification",
    "ForTokenClassification": "ner",
    "ForQuestionAnswering": "question_answering",
}
_READ = (*_BY_HEAD.values(), "multi_label_classification", *sorted(WRITING))


def is_ours(path: Path) -> bool:
    """Return whether a directory is a checkpoint that Holdfast wrote."""
    return (path / META).is_file()


def problem_of_directory(path: Path, asked: str | None = None) -> str:
    """Return what the model in a directory is for: what was asked, or what its head is.

    Raises
    ------
    CheckpointError
        If there is no model with safetensors, or one that predicts a number.
    ConfigurationError
        If its head is for something else than was asked, or for several things.
    """
    config = read_config(path)
    weights_digest(path)  # refuses a directory without safetensors
    _refuse_regression(path, config)
    found = _by_head(config)
    if asked is None and found is None:
        raise ConfigurationError(
            f"{path} holds {', '.join(config.get('architectures') or ['no named architecture'])}",
            expected=f"a head that says what it is for: {', '.join(_BY_HEAD)}",
            fix=f"say what it is for: --problem NAME, one of {', '.join(_READ)}",
        )
    if asked is not None and (asked not in _READ or (found is not None and found != asked)):
        raise ConfigurationError(
            f"--problem is {asked}, and {path} holds a model for {found or 'writing'}",
            expected=f"one of {', '.join(_READ)}, as the model's head is",
            fix="leave --problem out, or name another model; relations and replies are read from "
            "Holdfast's own checkpoints",
        )
    return str(asked or found)


def read_config(path: Path) -> dict[str, Any]:
    """Return ``config.json`` of a model directory.

    Raises
    ------
    CheckpointError
        If there is none.
    """
    try:
        content = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is no model directory: {error}",
            expected="config.json, tokenizer files and model.safetensors, as save_pretrained "
            "writes them",
            fix="name the directory that holds them: --model DIR",
        ) from error
    return dict(content)


def label_names(path: Path, renamed: Mapping[str, str]) -> tuple[str, ...]:
    """Return the labels of a model in the order of its outputs, as the data call them.

    Parameters
    ----------
    path : Path
        The model directory; ``id2label`` of its config names the outputs.
    renamed : mapping
        The model's name of a label -> the data's.

    Raises
    ------
    ConfigurationError
        If a label is renamed that the model does not have, or two get one name.
    """
    config = read_config(path)
    named = config.get("id2label") or {str(i): f"LABEL_{i}" for i in range(2)}
    own = [str(named[key]) for key in sorted(named, key=int)]
    unknown = sorted(set(renamed) - set(own))
    found = tuple(renamed.get(name, name) for name in own)
    if unknown or len(set(found)) < len(found):
        wrong = f"no label {unknown[0]}" if unknown else "two outputs of one name"
        raise ConfigurationError(
            f"with these names the model has {wrong}: its labels are {', '.join(own[:20])}",
            expected="--label MODELS=DATAS, each label of the model once",
            fix="mend the --label options",
        )
    return found


def _by_head(config: Mapping[str, Any]) -> str | None:
    names: Sequence[str] = config.get("architectures") or ()
    found = {problem for end, problem in _BY_HEAD.items() for name in names if name.endswith(end)}
    if len(found) != 1:
        return None
    several = config.get("problem_type") == "multi_label_classification"
    return "multi_label_classification" if several else found.pop()


def _refuse_regression(path: Path, config: Mapping[str, Any]) -> None:
    sequence = _by_head(config) == "text_classification"
    named = config.get("id2label")
    if sequence and (
        config.get("problem_type") == "regression" or (named is not None and len(named) == 1)
    ):
        raise CheckpointError(
            f"the model in {path} has one output: it predicts a number, and no label",
            expected="a classifier with an output for each label",
            fix="name a classifier; numbers are not judged here",
        )
