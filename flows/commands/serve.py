"""``holdfast serve``: the champion over HTTP."""

from __future__ import annotations

from pathlib import Path

from flows.listening import listening
from flows.pipeline import say
from flows.registry_access import no_champion
from flows.serving import RegistryVersions, open_traffic_log, refuse_without_libraries, serve_here
from flows.serving_processes import serve_from_several
from flows.workspace import Workspace


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
    if RegistryVersions(workspace).champion() is None:
        raise no_champion(workspace, "a version that the gate let pass")
    open_traffic_log(workspace).close()  # made before several workers would make it
    with listening(host, port, workers) as sockets:
        address = f"http://{host}:{sockets[0].getsockname()[1]}"

        def announce() -> None:
            name = workspace.params.register_.model_name
            say(f"serving {name} at {address} (docs: {address}/docs)")

        if workers == 1:
            serve_here(workspace, sockets[0], on_start=announce)
            return
        serve_from_several(workspace, sockets, announce)
