"""``holdfast deploy``: the loop's deployments on a Prefect server, for a worker to run."""

from __future__ import annotations

from flows.workspace import Workspace
from pipeline_steps.errors import ConfigurationError


def deploy(workspace: Workspace, *, monitor: str, retrain: str, pool: str) -> list[str]:
    """Return the names of the deployments that the server knows now.

    Parameters
    ----------
    workspace : Workspace
        What the flows will work in.
    monitor, retrain : str
        When they start by schedule: cron in UTC, or ``never``.
    pool : str
        Work pool; one of processes is made where there is none of that name.

    Raises
    ------
    ConfigurationError
        If no server is set, or it does not answer.
    """
    from flows.deployments import Schedules, apply, deployments, server_address

    if not server_address():
        raise ConfigurationError(
            "PREFECT_API_URL is not set: schedules and events need a server that stays",
            expected="the address of a Prefect server, such as http://127.0.0.1:4200/api",
            fix="prefect server start, then PREFECT_API_URL=http://127.0.0.1:4200/api "
            "holdfast deploy",
        )
    name = workspace.params.register_.model_name
    schedules = Schedules(monitor=_cron(monitor), retrain=_cron(retrain))
    return apply(deployments(workspace.root, schedules, pool=pool, model_name=name), pool)


def _cron(asked: str) -> str | None:
    return None if asked == "never" else asked
