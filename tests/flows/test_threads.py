"""How torch's threads wait, and how many a service has, follow the machine, and the user's choice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.threads import scoring_threads, usable_cores, wait_policy


@pytest.mark.parametrize(
    ("load", "policy"), [(0.0, None), (0.4, None), (0.5, "passive"), (9.0, "passive")]
)
def test_threads_sleep_where_others_want_the_cores(load: float, policy: str | None) -> None:
    assert wait_policy(load).get("OMP_WAIT_POLICY") == policy


def test_what_the_user_has_set_stays() -> None:
    code = (
        "import os\nfrom flows import cli\nos.getloadavg = lambda: (9.0, 9.0, 9.0)\n"
        "cli._settle_environment()\nprint(os.environ['OMP_WAIT_POLICY'])"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env={**os.environ, "OMP_WAIT_POLICY": "active"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "active"


@pytest.mark.parametrize(
    ("cores", "workers", "threads"),
    [(1, 1, 1), (2, 1, 1), (2, 2, 1), (4, 1, 3), (4, 2, 1), (8, 2, 3), (64, 4, 15), (2, 8, 1)],
)
def test_a_core_of_each_worker_is_left_to_requests(cores: int, workers: int, threads: int) -> None:
    assert scoring_threads(cores, workers) == threads


@pytest.mark.parametrize(
    ("quotas", "own", "cores"),
    [
        ({}, "", 10_000),
        ({"cpu.max": "max 100000"}, "", 10_000),
        ({"cpu.max": "100000 100000"}, "", 1),
        ({"cpu.max": "20000 100000"}, "", 1),
        ({"a/cpu.max": "100000 100000", "a/b/cpu.max": "max 100000"}, "a/b", 1),
        ({"a/cpu.max": "100000 100000"}, "other", 10_000),
    ],
)
def test_a_containers_quota_bounds_the_cores(
    tmp_path: Path, quotas: dict[str, str], own: str, cores: int
) -> None:
    for name, content in quotas.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content + "\n")
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert usable_cores(tmp_path, own) == min(cores, here or 1)


@pytest.mark.parametrize(
    ("asked", "environment", "threads"), [("3", "", 3), ("3", "2", 3), ("None", "2", 2)]
)
def test_the_setting_counts_more_than_the_environment_and_that_more_than_the_default(
    asked: str, environment: str, threads: int
) -> None:
    code = (
        f"from flows import serving; serving._share_cores({asked}, 1)\n"
        "import torch; print(torch.get_num_threads())"
    )
    variables = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True,
        env=variables | ({"OMP_NUM_THREADS": environment} if environment else {}),
    )  # fmt: skip
    assert int(done.stdout) == threads
