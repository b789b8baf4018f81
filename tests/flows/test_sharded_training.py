"""Two processes that share the weights out learn what one learns, also after an interruption."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from builders import structured_examples, write_examples
from safetensors.torch import load_file
from tiny_models import WORDS, save_tiny_model
from tiny_writers import save_tiny_writer

from pipeline_steps.digests import file_digest
from pipeline_steps.errors import TrainingError
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.training.__main__ import Job
from pipeline_steps.training.finetune import finetune
from pipeline_steps.types import DatasetRef

PROGRAM = """
import sys
from pathlib import Path

from torch import distributed

from pipeline_steps.training.__main__ import Job
from pipeline_steps.training.finetune import finetune

job = Job.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
given = (job.train, job.valid, job.params, job.output)
distributed.init_process_group("gloo")


def stop(number, scores):
    if number == 3:
        raise KeyboardInterrupt


try:
    finetune(*given, work=job.work, problem=job.problem, listener=stop)
except KeyboardInterrupt:
    assert len(list(job.work.glob("checkpoint-*"))) == 2
    finetune(*given, work=job.work, problem=job.problem)
    distributed.barrier()
    if distributed.get_rank() == 0:
        (job.output.parent / "resumed").touch()
distributed.destroy_process_group()
"""


def dataset(path: Path, n: int) -> DatasetRef:
    rows = []
    for i in range(n):
        words = [WORDS[(i * 7 + j * j) % 9] for j in range(3 + i % 9)]
        rows.append({"text": " ".join([*words, ("good", "bad")[i % 2]]), "label": "ab"[i % 2]})
    write_examples(path, rows)
    return DatasetRef(
        name=path.stem, split=path.stem, path=path, digest=file_digest(path), n_examples=n
    )


def params(base: Path, **settings: Any) -> FinetuneParams:
    return FinetuneParams.model_validate(
        {"base_model": str(base), "epochs": 2, "batch_tokens": 48, "accumulation_steps": 4,
         "learning_rate": 1e-3, "precision": "fp32", "checkpoints_per_epoch": 2, **settings}
    )  # fmt: skip


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Return a tiny model without dropout: processes draw masks of their own."""
    path = save_tiny_model(tmp_path / "base")
    config = path / "config.json"
    config.write_text(config.read_text().replace('_dropout_prob": 0.1', '_dropout_prob": 0.0'))
    return path


def translations(path: Path, n: int) -> DatasetRef:
    write_examples(path, structured_examples("translation", n))
    return DatasetRef(
        name=path.stem, split=path.stem, path=path, digest=file_digest(path), n_examples=n
    )


def test_shared_out_weights_learn_what_whole_ones_learn_also_after_an_interruption(
    base: Path, tmp_path: Path
) -> None:
    data = (dataset(tmp_path / "train.parquet", 101), dataset(tmp_path / "valid.parquet", 20))
    assert_alike(data, base, tmp_path, "text_classification")


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "kind"), [("gpt2", "lora"), ("t5", "full")])
def test_a_model_that_writes_and_one_with_adapters_are_shared_out_too(
    architecture: str, kind: str, tmp_path: Path
) -> None:
    data = [translations(tmp_path / f"{name}.parquet", n) for name, n in (("t", 60), ("v", 6))]
    base = save_tiny_writer(tmp_path / "base", architecture, words=WORDS)
    generation = {"max_new_tokens": 5, "validation_rows": 3}
    settings = {"tuning": {"kind": kind}, "generation": generation, "learning_rate": 1e-2}
    assert_alike(data, base, tmp_path, "translation", early_stopping_metric="loss", **settings)


def assert_alike(data: Any, base: Path, tmp_path: Path, problem: str, **settings: Any) -> None:
    asked, work = params(base, **settings), tmp_path / "alone-work"
    alone = finetune(*data, asked, tmp_path / "alone", work=work, problem=problem)
    hardware = {"sharded": True, "gradient_checkpointing": True}
    job = Job(
        train=data[0], valid=data[1], params=params(base, **settings, hardware=hardware),
        output=tmp_path / "shared", work=tmp_path / "work", problem=problem,
    )  # fmt: skip
    (tmp_path / "job.json").write_text(job.model_dump_json(), encoding="utf-8")
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [sys.executable, "-m", *launcher, "program.py", "job.json"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "resumed").exists()
    assert alone.training["steps"] > 4
    weights = load_file(tmp_path / "alone/model.safetensors")
    found = load_file(tmp_path / "shared/model.safetensors")
    assert set(found) == set(weights)
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, weights[name], atol=1e-5, rtol=1e-4)


def test_one_process_has_nobody_to_share_with(base: Path, tmp_path: Path) -> None:
    rows = dataset(tmp_path / "train.parquet", 8)
    asked = params(base, hardware={"sharded": True})
    with pytest.raises(TrainingError, match=r"hardware\.sharded and one process"):
        finetune(rows, rows, asked, tmp_path / "out", work=tmp_path / "work")
