"""Ids: never the same twice, whoever asks for them, and in the order of time."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from pipeline_steps.serving.identifiers import prediction_id, request_id

FORK = """
import os
from pipeline_steps.serving.identifiers import request_id
def say():
    os.write(1, f"{request_id()}\\n".encode())  # one write: print may make two, and lines mix
say()  # more are ready now
child = os.fork()
say()
if child:
    os.waitpid(child, 0)
"""


def test_ids_of_several_threads_are_all_different_and_whole() -> None:
    with ThreadPoolExecutor(4) as pool:
        of_threads = pool.map(lambda _: [request_id() for _ in range(2_000)], range(4))
        found = [one for some in of_threads for one in some]
    assert len(set(found)) == 8_000
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in found)


def test_a_forked_process_has_ids_of_its_own() -> None:
    # In a process of its own: a fork of one with threads may hang.
    said = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, check=True)
    assert len(set(said.stdout.split())) == 3


def test_ids_of_predictions_sort_by_their_milliseconds() -> None:
    first = prediction_id()
    time.sleep(0.002)
    second = prediction_id()
    assert first < second
    assert {len(first), len(second)} == {32}
    assert abs(int(first[:12], 16) - time.time() * 1_000) < 60_000
