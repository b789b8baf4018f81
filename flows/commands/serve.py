"""``holdfast serve``: the champion over HTTP."""

from __future__ import annotations

import socket
from pathlib import Path

from flows.pipeline import say
from flows.serving import RegistryVersions, open_traffic_log, refuse_without_libraries, serve_here
from flows.serving_processes import serve_from_several
from flows.workspace import Workspace
from pipeline_steps.errors import RegistryError, UsageError

_BACKLOG = 2_048


def run_serve(root: Path, host: str, port: int, workers: int) -> None:
    """Serve the workspace's champion until SIGTERM or an interrupt.

    Raises
    ------
    MissingDependencyError
        If the extra ``serve`` is not installed.
    RegistryError
        If there is no champion.
    UsageError
        If the address cannot be listened on.
    """
    refuse_without_libraries()
    workspace = Workspace.open(root)
    _refuse_without_champion(workspace)
    open_traffic_log(workspace).close()  # made before several workers would make it
    with _listening(host, port) as bound:
        address = f"http://{host}:{bound.getsockname()[1]}"

        def announce() -> None:
            name = workspace.params.register_.model_name
            say(f"serving {name} at {address} (docs: {address}/docs)")

        if workers == 1:
            serve_here(workspace, bound, on_start=announce)
            return
        announce()
        serve_from_several(workspace, bound, workers)


def _refuse_without_champion(workspace: Workspace) -> None:
    versions = RegistryVersions(workspace)
    if versions.champion() is None:
        raise RegistryError(
            f"{versions.name} has no champion yet",
            expected="a version that the gate let pass",
            fix="holdfast train",
        )


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise UsageError(
            f"{host} port {port} cannot be listened on: {error.strerror or error}",
            expected="an address of this machine and a free port",
            fix="name another one: holdfast serve --port NUMBER",
        ) from error
