"""The sample corpus and the packaged MiniLM through the command line, as a new user meets them."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline_steps.data_preparation.sample_corpus import CORPUS, generate

REPOSITORY = Path(__file__).resolve().parents[2]
HOLDFAST = str(Path(sys.executable).with_name("holdfast"))


def holdfast(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "PREFECT_HOME"}
    done = subprocess.run(
        [HOLDFAST, *arguments], cwd=root, capture_output=True, text=True, check=False,
        env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


def readable_rows(path: Path) -> list[dict[str, Any]]:
    rows = []
    for line in gzip.decompress(path.read_bytes()).splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:  # the corpus has broken lines on purpose
            continue
    return rows


def test_a_users_own_file_becomes_a_promoted_version(tmp_path: Path) -> None:
    """Three intents of the corpus, one epoch: enough for MiniLM to be better than chance."""
    generate(tmp_path)
    wanted = ("transfer_pending", "login_problem", "fee_question")
    rows = [r for r in readable_rows(tmp_path / CORPUS) if r["intent"] in wanted][:330]
    mine = tmp_path / "mine.jsonl"
    mine.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    holdfast(
        tmp_path, "init", "w", "--train", "mine.jsonl", "--text-column", "message",
        "--label-column", "intent", "--domain-column", "channel",
    )  # fmt: skip
    params = yaml.safe_load((tmp_path / "w/params.yaml").read_text())
    params["finetune"] |= {"epochs": 2, "max_length": 48}
    params["evaluate"]["bootstrap_resamples"] = 200
    (tmp_path / "w/params.yaml").write_text(yaml.safe_dump(params))
    result = json.loads(holdfast(tmp_path / "w", "train", "--json").stdout)
    assert (result["version"], result["verdict"], result["reused"]) == (1, "PROMOTE", False)
    assert result["metrics"]["test/accuracy"]["ci_low"] > 1 / 3


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> tuple[Path, str]:
    """Return a copy of the sample workspace after ``holdfast demo``, and what that printed."""
    root = tmp_path_factory.mktemp("sample")
    (root / "data").mkdir()
    for name in ("params.yaml", "dvc.yaml", ".dvcignore", "data/behaviour.yaml"):
        shutil.copyfile(REPOSITORY / name, root / name)
    subprocess.run(
        [sys.executable, "-P", "-m", "dvc", "init", "--no-scm", "-q"], cwd=root, check=True
    )
    return root, holdfast(root, "demo").stdout


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_demo_ends_in_a_promoted_version_and_says_where_all_is(
    sample: tuple[Path, str],
) -> None:
    root, text = sample
    assert "Verdict: PROMOTE" in text
    for suite in ("test", "shift_time", "shift_domain", "typos"):
        assert f"\n{suite} " in text
    assert f"mlflow ui --backend-store-uri sqlite:///{root}/.holdfast/mlflow.db" in text
    assert f"PREFECT_HOME={root}/.holdfast/prefect" in text
    reports = [*(root / ".holdfast").glob("r*/*/report.html")]
    assert len(reports) == 3  # of two runs and of the retrain that led to the second
    played = json.loads((root / ".holdfast/demo.json").read_text())
    assert played["first"]["report"] in text
    assert played["second"]["retrain"]["report"] in text
    assert json.loads(holdfast(root, "ledger", "verify", "--json").stdout) == []


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_second_demo_does_no_work_again_and_says_so(sample: tuple[Path, str]) -> None:
    root, first = sample
    started = time.monotonic()
    second = holdfast(root, "demo").stdout
    assert time.monotonic() - started < 60  # asked for: 30 s on a machine of its own
    assert "nothing to do: this run was finished before" in second
    assert second.splitlines()[1:] == first.splitlines()[1:]


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_harmless_change_is_not_retrained_on_and_new_words_are(sample: tuple[Path, str]) -> None:
    """The second act, with room for another machine's arithmetic."""
    second = json.loads((sample[0] / ".holdfast/demo.json").read_text())["second"]
    assert second["harmless"]["decision"] != "RETRAIN"
    assert second["harmful"]["decision"] == "RETRAIN"
    assert second["harmful"]["n_asked"] <= 150
    repair = second["retrain"]["repair"]
    assert repair["verdict"] == "FIXED"
    assert repair["after"] > repair["before"] + 0.1
    log = json.loads(holdfast(sample[0], "ledger", "log", "--json").stdout)
    assert [e["event"] for e in log].count("retrain_admitted") == 1
    assert [e["event"] for e in log].count("champion_moved") == 2


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_sample_is_learnt_well_and_its_shifts_cost_accuracy(sample: tuple[Path, str]) -> None:
    """The numbers of the documentation, with room for another machine's arithmetic."""
    played = json.loads((sample[0] / ".holdfast/demo.json").read_text())
    metrics = played["first"]["metrics"]
    assert metrics["test/accuracy"]["value"] > 0.75
    assert metrics["shift_domain/accuracy"]["value"] < metrics["test/accuracy"]["value"]
