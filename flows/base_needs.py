"""What a problem needs of the base model: looked at before the data are prepared."""

from __future__ import annotations

import json
from pathlib import Path

from pipeline_steps.params import Params
from pipeline_steps.problem_defaults import WRITING


def refuse_unfit_base(params: Params) -> None:
    """Refuse a base model that cannot write where texts are to be written.

    Whether it is there as a whole is asked where the training is planned.

    Raises
    ------
    CheckpointError
        If it is an encoder alone, or nowhere.
    """
    if params.problem not in WRITING:
        return
    from pipeline_steps.inference.base_model import base_configuration

    path = base_configuration(params.finetune.base_model)
    if _may_be_an_encoder(path / "config.json"):  # only then torch is worth the wait
        from pipeline_steps.inference.learners.language_model import read_config

        read_config(path)


def _may_be_an_encoder(config: Path) -> bool:
    """Return whether a configuration is there and names no decoder beside an encoder."""
    try:
        content = json.loads(config.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return False
    return not content.get("is_encoder_decoder", False)
