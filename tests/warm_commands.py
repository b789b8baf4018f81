"""``holdfast`` commands as processes of their own that need not import everything anew.

A server process imports what training needs and forks a child for each command; the child runs
the command line's own ``main``. Importing torch, transformers and MLflow anew would take most of
the time of a test. A child can be told to end itself at a point that no run before it has passed:
after a step, or after a write to MLflow or the ledger.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

HERE = Path(__file__).resolve().parent
_WRITES = {
    "Tracker": (
        *("start_run", "log_model", "register", "set_alias", "delete_alias", "tag_version"),
        *("log_reports", "log_files", "finish_run", "tag_model"),
    ),
    "Ledger": ("append", "append_once", "decide", "move_champion"),
}
_IMPORTED = (
    *("flows.cli", "flows.commands.train", "flows.commands.init", "flows.train"),
    *("mlflow.pyfunc", "transformers", "pipeline_steps.training.finetune"),
    *("pipeline_steps.inference.predict", "pipeline_steps.registry.promote"),
    *("pipeline_steps.registry.tracking", "flows.commands.tune", "optuna"),
)
_EVERY = {"training_step": 6}
"""Of some points only every n-th is one to stop at."""


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    pid: int
    code: int
    stdout: str
    stderr: str

    @property
    def printed(self) -> Any:
        """The one JSON object on standard output; anything beside it is an error."""
        return json.loads(self.stdout)


class WarmCommands:
    """Runs commands, one at a time."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        importlib.import_module("warm_registry").start()  # its commands can only ask it
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(HERE / "warm_commands.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def __call__(self, *arguments: str, cwd: Path, **settings: Any) -> Ended:
        """Return a command that was run in ``cwd`` and has ended.

        ``settings``: ``environment`` (variables to add), ``stops`` (a file of the points that were
        passed: see :class:`Stops`), ``only`` (points to stop at), ``how`` (the signal), ``during``
        (a step that is interrupted after a second), ``skip`` (steps left out), ``file_bytes`` (no
        file may grow beyond), ``fresh`` (a smoke test starts a process of its own), ``task``
        (``module.function``, run in place of a command).
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        outputs = [self.scratch / name for name in ("stdout", "stderr")]
        request = {"arguments": arguments, "cwd": str(cwd), "outputs": [str(o) for o in outputs]}
        self.process.stdin.write(json.dumps({**request, **settings}, default=str) + "\n")
        self.process.stdin.flush()
        pid, code = json.loads(self.process.stdout.readline())
        return Ended(pid, code, *(output.read_text(encoding="utf-8") for output in outputs))

    def records(self, root: Path) -> dict[str, Any]:
        """Return what MLflow and the ledger know of a workspace."""
        ended = self(cwd=root, task="warm_commands.show_records")
        assert ended.code == 0, ended.stderr
        return dict(ended.printed)


class Stops:
    """Ends this process at the first point that is not in a file of points; it is added there."""

    def __init__(self, file: Path, how: signal.Signals, only: list[str] | None) -> None:
        self.file, self.how, self.only = file, how, only
        self.seen = set(file.read_text().splitlines()) if file.exists() else set()
        self.counts: Counter[str] = Counter()

    def point(self, name: str) -> None:
        if self.only is not None and name not in self.only:
            return
        self.counts[name] += 1
        if self.counts[name] % _EVERY.get(name, 1):
            return
        numbered = f"{name} {self.counts[name]}"
        if numbered in self.seen:
            return
        with self.file.open("a") as file:
            file.write(numbered + "\n")
        self.seen.add(numbered)
        os.kill(os.getpid(), self.how)

    def install(self) -> None:
        from sqlalchemy import MetaData

        from pipeline_steps.registry import ledger, tracking
        from pipeline_steps.training.trainer import StableTrainer

        for kind in (tracking.Tracker, ledger.Ledger):
            for name in _WRITES[kind.__name__]:
                setattr(kind, name, self.after(getattr(kind, name), f"{kind.__name__}.{name}"))
        MetaData.create_all = self.after(MetaData.create_all, "create_all")
        StableTrainer.training_step = self.after(StableTrainer.training_step, "training_step")

    def after(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        @functools.wraps(function)
        def stopped(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            self.point(name)
            return result

        return stopped


def wrap_steps(stops: Stops | None, skip: list[str], during: str | None) -> None:
    """Let commands call their steps through here."""
    from flows import cli
    from flows.command_line import application
    from flows.commands import train

    def call(step: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        name = step.__name__
        if name in skip:
            return None
        if name == during:
            threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
        result = step(*args, **kwargs)
        if stops is not None:
            stops.point(name)
        return result

    train.call_directly = cli.call_directly = application.call_directly = call


def show_records() -> None:
    """Print, as JSON, the runs, versions, aliases and ledger entries of the workspace here."""
    from flows.commands.ledger import verify
    from flows.registry_access import open_ledger, open_tracker
    from flows.workspace import Workspace

    workspace = Workspace.open(Path.cwd())
    name = workspace.params.register_.model_name
    tracker = open_tracker(workspace)
    runs = tracker.client.search_runs([tracker.experiment_id])
    versions = tracker.client.search_model_versions(f"name = '{name}'")
    models = tracker.client.search_registered_models(filter_string=f"name = '{name}'")
    content = {
        "runs": [
            {
                "id": run.info.run_id,
                "status": run.info.status,
                "tags": run.data.tags,
                "params": run.data.params,
                "metrics": run.data.metrics,
                "inputs": {i.dataset.name: i.dataset.digest for i in run.inputs.dataset_inputs},
                "files": [a.path for a in tracker.client.list_artifacts(run.info.run_id, "reports")],
            }
            for run in runs
        ],
        "versions": {v.version: v.tags for v in versions},
        "aliases": {alias: int(v) for model in models for alias, v in model.aliases.items()},
        "ledger": [e.model_dump(mode="json") for e in open_ledger(workspace).entries(name)],
        "problems": verify(workspace),
    }  # fmt: skip
    print(json.dumps(content))  # noqa: T201


def remove_champion_alias() -> None:
    """Do by hand what only a promotion may do."""
    from flows.registry_access import open_tracker
    from flows.workspace import Workspace

    workspace = Workspace.open(Path.cwd())
    open_tracker(workspace).delete_alias(workspace.params.register_.model_name, "champion")


def end_after(function: Callable[[Any], None], argument: Any) -> NoReturn:
    """Call a function and end this process as Python does, but without taking modules apart.

    That takes seconds for what training imports: threads are waited for, what was registered for
    the end is called, and the memory is left to the system.
    """
    code = 0
    try:
        function(argument)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)  # noqa: T201
    except Exception:  # noqa: BLE001 - said and counted as Python does it; an interrupt goes its way
        traceback.print_exc()
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def run(request: dict[str, Any]) -> None:
    """Be the command that was asked for."""
    os.setsid()
    for descriptor, name in enumerate([os.devnull, *request["outputs"]]):
        flags = os.O_RDONLY if descriptor == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        opened = os.open(name, flags, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.chdir(request["cwd"])
    os.environ.update(request.get("environment", {}))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    stops = None
    if request.get("stops"):
        how = signal.Signals(request.get("how", signal.SIGKILL))
        stops = Stops(Path(request["stops"]), how, request.get("only"))
        stops.install()
    if stops or request.get("skip") or request.get("during"):
        wrap_steps(stops, request.get("skip", []), request.get("during"))
    if request.get("file_bytes"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["file_bytes"],) * 2)
    sys.argv = ["holdfast", *request["arguments"]]
    if request.get("task"):
        module, _, function = request["task"].partition(".")
        getattr(importlib.import_module(module), function)()
        return
    from flows.cli import main

    main()


def serve() -> None:
    for module in _IMPORTED:
        importlib.import_module(module)
    # Only now: before, the directory tests/flows would be taken for the package.
    sys.path.append(str(HERE))
    real = importlib.import_module("warm_registry").install()
    # A child shares what was imported: a collection that looked at all of it would copy it.
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            request = json.loads(line)
            # A kill in the middle of making MLflow's tables needs them to be made.
            real.put_back(database="stops" in request, smoke_test="fresh" in request)
            end_after(run, request)
        _, status = os.waitpid(child, 0)
        print(json.dumps([child, os.waitstatus_to_exitcode(status)]), flush=True)  # noqa: T201


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        serve()
