"""Processes that train together: how long one waits for the others."""

from __future__ import annotations

import socket
from datetime import timedelta

import torch
from torch import distributed

from pipeline_steps.training.processes import begin_together


def test_who_waits_for_a_long_validation_of_the_leader_is_patient(monkeypatch) -> None:
    """Ten minutes, torch's own patience with GPUs, would end the run."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    asked = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1"}
    for name, value in {**asked, "MASTER_PORT": str(port)}.items():
        monkeypatch.setenv(name, value)
    begin_together()
    try:
        backend = distributed.group.WORLD._get_backend(torch.device("cpu"))
        assert backend.options._timeout >= timedelta(days=1)
    finally:
        distributed.destroy_process_group()
