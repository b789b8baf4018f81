"""What our parameters become in transformers' own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.training.arguments import training_arguments


@pytest.mark.parametrize(("share", "steps"), [(0.0, 0), (0.1, 8), (0.5, 40), (1.0, 80)])
def test_the_share_of_steps_to_warm_up_in_is_a_share_up_to_all_of_them(
    share: float, steps: int, tmp_path: Path
) -> None:
    arguments = training_arguments(
        FinetuneParams(warmup_fraction=share),
        tmp_path,
        steps_per_epoch=10,
        precision="fp32",
        device=torch.device("cpu"),
        show_progress=False,
    )
    assert arguments.get_warmup_steps(80) == steps
