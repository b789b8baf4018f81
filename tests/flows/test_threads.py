"""The wait policy of OpenMP follows the machine's load, and never the user's own choice."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from flows.threads import wait_policy


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
