"""A full disk and a directory without rights: a clear error, nothing lost, the next run ends well."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from permissions import obey_permissions
from tiny_models import save_tokenizer
from tiny_workspaces import change_params
from warm_commands import Ended, WarmCommands

from flows.storage_errors import explain, explained_storage_errors
from pipeline_steps.errors import DataError, RegistryError, StorageError

HOLDFAST = str(Path(sys.executable).with_name("holdfast"))
WITHOUT_DVC = {"skip": ["reproduce_data"]}
Trained = tuple[Path, dict[str, Any]]


@pytest.fixture(scope="module")
def wide_base(tmp_path_factory) -> Path:
    """Return a base model whose weights are larger than MLflow's empty database."""
    import torch
    from transformers import AutoModel, BertConfig

    path = tmp_path_factory.mktemp("bases") / "wide"
    torch.manual_seed(0)
    wide = BertConfig(
        vocab_size=64, hidden_size=128, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=512, max_position_embeddings=64, pad_token_id=0,
    )  # fmt: skip
    AutoModel.from_config(wide).save_pretrained(path)
    save_tokenizer(path)
    return path


def assert_refused(ended: Ended, *words: str) -> None:
    """Check for a clear error on standard error, and nothing else anywhere."""
    assert ended.code == 2, ended.stderr
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    assert ended.stderr.count("holdfast: ") == 1
    for part in (*words, "  expected: ", "  to fix it: free space or mend the permissions"):
        assert part in ended.stderr


@pytest.mark.parametrize(
    "kilobytes",
    [
        pytest.param(500, id="the record", marks=pytest.mark.slow),
        pytest.param(1200, id="the weights"),
        pytest.param(2500, id="the optimizer", marks=pytest.mark.slow),
    ],
)
def test_where_the_disk_is_full_training_says_so_and_goes_on_later(
    holdfast: WarmCommands, prepared: Path, wide_base: Path, kilobytes: int
) -> None:
    """No file may grow beyond a size: the database, the weights, or the resumable state fails."""
    change_params(
        prepared,
        finetune={"base_model": str(wide_base), "epochs": 1},
        gate={"floors": {"test/accuracy": 1.0}},  # a rejected version needs no smoke test
    )
    ended = holdfast("train", "--json", cwd=prepared, file_bytes=kilobytes * 1024, **WITHOUT_DVC)
    assert_refused(ended)
    ended = holdfast("train", "--json", cwd=prepared, **WITHOUT_DVC)
    assert ended.code == 0, ended.stderr
    assert (ended.printed["version"], ended.printed["reused"]) == (1, False)
    assert holdfast.records(prepared)["problems"] == []


@pytest.mark.slow
def test_where_the_disk_is_full_a_stage_says_so_and_the_next_run_converges(
    holdfast: WarmCommands, prepared: Path
) -> None:
    raw = prepared / "data/raw/train.jsonl"
    raw.write_text("".join(raw.read_text().splitlines(keepends=True)[:-20]))
    assert_refused(holdfast("prepare", "--json", cwd=prepared, file_bytes=9000))
    ended = holdfast("prepare", "--json", cwd=prepared)
    assert ended.code == 0, ended.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="root's rights are Linux's")
@pytest.mark.parametrize(
    "directory",
    [".holdfast", pytest.param(".holdfast/checkpoints", marks=pytest.mark.slow), "data"],
)
def test_a_directory_that_cannot_be_written_to_is_named(
    holdfast: WarmCommands, trained: Trained, directory: str
) -> None:
    root, first = trained
    change_params(root, finetune={"seed": 1}, split={"seed": 1})
    (root / directory).chmod(0o555)
    done = subprocess.run(
        [HOLDFAST, "train", "--json"], cwd=root, capture_output=True, text=True, check=False,
        preexec_fn=obey_permissions,
    )  # fmt: skip
    (root / directory).chmod(0o755)
    assert_refused(
        Ended(0, done.returncode, done.stdout, done.stderr), "Permission denied", str(root)
    )
    ended = holdfast("train", "--json", cwd=root)
    assert ended.code == 0, ended.stderr
    assert ended.printed["fingerprint"] != first["fingerprint"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="root's rights are Linux's")
def test_a_new_workspace_where_nothing_can_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("text,label\na,b\n")
    (tmp_path / "locked").mkdir(mode=0o555)
    done = subprocess.run(
        [HOLDFAST, "init", "locked/new", "--train", "mine.csv"], cwd=tmp_path, text=True,
        capture_output=True, check=False, preexec_fn=obey_permissions,
    )  # fmt: skip
    assert_refused(Ended(0, done.returncode, done.stdout, done.stderr), "Permission denied")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_what_the_system_refuses_is_named_with_its_file(number: int) -> None:
    refused = explain(OSError(number, os.strerror(number), "/there/file"))
    assert refused is not None
    assert refused.received == f"{os.strerror(number)}: /there/file"


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail] file write failed"),
        RegistryError("MLflow refused: database or disk is full", expected="", fix=""),
        OSError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_what_a_library_says_of_the_disk_is_understood(error: Exception) -> None:
    with pytest.raises(StorageError, match="free space or mend"), explained_storage_errors():
        raise error


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "No such file or directory", "a"),
        ValueError("a bug"),
        DataError("Permission denied", expected="", fix=""),
        KeyboardInterrupt(),
    ],
)
def test_other_errors_pass_as_they_are(error: BaseException) -> None:
    with pytest.raises(type(error)) as raised, explained_storage_errors():
        raise error
    assert raised.value is error


def test_the_cause_of_an_error_is_asked_too() -> None:
    error = RuntimeError("could not save")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device", "weights")
    refused = explain(error)
    assert refused is not None
    assert refused.received == "No space left on device: weights"
