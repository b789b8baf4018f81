"""``holdfast deploy``: the loop's deployments on a Prefect server, for a worker to run."""

from __future__ import annotations

from flows.workspace import Workspace


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
        If a schedule cannot be read, no server is set, or it does not answer.
    """
    from flows.deployments import Schedules, apply, check_server, checked_cron, deployments

    asked = {"monitor": monitor, "retrain": retrain}
    schedules = Schedules(
        **{name: None if at == "never" else checked_cron(at) for name, at in asked.items()}
    )
    check_server()
    name = workspace.params.register_.model_name
    return apply(deployments(workspace.root, schedules, pool=pool, model_name=name), pool)
