"""The workflows that ``holdfast init`` writes: their commands exist, and do what they say.

The steps of the GitHub job and the script of the GitLab one run here as they stand, in fresh clones
of a scratch repository.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from tiny_workspaces import change_params, make_workspace

from flows.cli import app

REPOSITORY = Path(__file__).resolve().parents[2]
TEMPLATES = REPOSITORY / "flows/templates"
INSTALLED = {"INSTALL_HOLDFAST": "pip"}  # pip finds itself there, and asks nobody
LEARNS = {"epochs": 8, "learning_rate": 2e-2, "batch_tokens": 128}


def github_steps() -> dict[str, dict[str, Any]]:
    """Return the named steps of the job, by name."""
    job = yaml.safe_load((TEMPLATES / "github.yaml").read_text())["jobs"]["verdict"]
    return {step["name"]: step for step in job["steps"] if "name" in step}


def gitlab_script() -> list[str]:
    return list(yaml.safe_load((TEMPLATES / "gitlab.yaml").read_text())["verdict"]["script"])


INSTALLS = {
    "github": lambda: github_steps()["install"]["run"],
    "gitlab": lambda: next(line for line in gitlab_script() if "pip install" in line),
}


@pytest.mark.parametrize("more", ["", "dvc-s3", "dvc-s3 dvc-ssh"])
@pytest.mark.parametrize("place", sorted(INSTALLS))
def test_what_is_installed_is_named_by_variables(tmp_path: Path, place: str, more: str) -> None:
    """The extras of a ledger and the plug-ins of a remote are part of it."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    python.chmod(0o755)
    asked = "holdfast[postgres] @ git+https://host/holdfast@v0.1.0"
    settings = {"INSTALL_HOLDFAST": asked, "INSTALL_MORE": more}
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", **settings}
    script = ("bash", "-eo", "pipefail", "-c", INSTALLS[place]())
    printed = run(*script, cwd=tmp_path, env=environment).splitlines()
    assert printed == ["-m", "pip", "install", asked, *more.split()]
    del environment["INSTALL_HOLDFAST"]
    refused = subprocess.run(script, env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "INSTALL_HOLDFAST: is not set" in refused.stderr


def test_both_templates_take_pins() -> None:
    assert "PIP_CONSTRAINT" in github_steps()["install"]["env"]
    assert "PIP_CONSTRAINT" in (TEMPLATES / "gitlab.yaml").read_text()  # pip reads the variable


@pytest.mark.parametrize("text", ["github.yaml", "gitlab.yaml"])
def test_every_command_of_a_template_exists(text: str) -> None:
    group: Any = typer.main.get_command(app)
    content = re.sub(r"^\s*#.*$", "", (TEMPLATES / text).read_text(), flags=re.MULTILINE)
    found = re.findall(r"\bholdfast ((?:[a-z]+ ?)+)((?:--[a-z-]+|[^\n|&;])*)", content)
    assert {words.split()[0] for words, _ in found} == {
        *("ledger", "prepare", "train", "gate", "promote"),
    }  # fmt: skip
    for words, rest in found:
        command: Any = group
        for word in words.split():
            command = command.commands[word]
        options = {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
        assert set(re.findall(r"--[a-z-]+", rest)) <= options


def test_both_templates_run_the_same_commands() -> None:
    ours = "\n".join(s["run"] for s in github_steps().values())
    theirs = "\n".join(gitlab_script())
    for line in ("holdfast ledger verify", "dvc pull $files", "git diff --exit-code -- dvc.lock",
                 "holdfast train --no-promote --json | tee train.json", 'test -n "$files"'):  # fmt: skip
        assert line in ours
        assert line in theirs


def test_a_change_of_a_policy_starts_both() -> None:
    github = yaml.safe_load((TEMPLATES / "github.yaml").read_text())[True]  # YAML 1.1 reads `on` so
    gitlab = yaml.safe_load((TEMPLATES / "gitlab.yaml").read_text())
    assert github["pull_request"]["paths"] == github["push"]["paths"]
    assert {"params.yaml", "policies/**"} <= set(github["push"]["paths"])
    for rule in gitlab["verdict"]["rules"]:
        assert {"params.yaml", "policies/**/*"} <= set(rule["changes"])


def test_only_a_push_to_main_promotes_and_nothing_else_is_skipped() -> None:
    conditions = {name: step.get("if") for name, step in github_steps().items()}
    condition = conditions.pop("promote")
    assert "github.event_name == 'push' && github.ref == 'refs/heads/main'" in condition
    assert set(conditions.values()) == {None}
    assert "continue-on-error" not in (TEMPLATES / "github.yaml").read_text()
    assert "allow_failure" not in (TEMPLATES / "gitlab.yaml").read_text()


@dataclass
class Runner:
    """A scratch repository, and what a runner has: a place for clones, settings, programs."""

    root: Path
    origin: Path
    environment: dict[str, str] = field(default_factory=dict)

    def clone(self, name: str) -> Path:
        target = self.root / name
        run("git", "clone", "-q", str(self.origin), str(target), cwd=self.root)
        return target

    def step(
        self, checkout: Path, name: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Return a step of the job after it has run as GitHub runs it."""
        return subprocess.run(
            ["bash", "-eo", "pipefail", "-c", github_steps()[name]["run"]],
            cwd=checkout, env=self.environment | environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    def script(
        self, checkout: Path, *, branch: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Return the job after GitLab's shell has run its lines, one after another in one shell.

        Without ``branch`` it is the pipeline of a merge request.
        """
        settings = {"CI_COMMIT_BRANCH": branch, "CI_DEFAULT_BRANCH": "main"}
        return subprocess.run(
            ["bash", "-eo", "pipefail", "-c", "\n".join(gitlab_script())],
            cwd=checkout, env=self.environment | INSTALLED | settings | environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def job(self, checkout: Path, *names: str) -> None:
        for name in names:
            ended = self.step(checkout, name)
            assert ended.returncode == 0, f"{name}: {ended.stdout}\n{ended.stderr}"


def run(*words: str, cwd: Path, **settings: Any) -> str:
    ended = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False, **settings)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture
def runner(tmp_path: Path, tiny_base: Path) -> Runner:
    """Return a repository whose main has a champion, in servers that every clone reaches."""
    programs = tmp_path / "bin"
    programs.mkdir()
    python = shlex.quote(sys.executable)
    for name, code in (("holdfast", "flows.cli"), ("dvc", "dvc.cli")):
        script = f"#!/bin/sh\nexec {python} -P -c 'import sys; from {code} import main; sys.exit(main())' \"$@\"\n"
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)
    servers = tmp_path / "servers"
    servers.mkdir()
    environment = {
        **os.environ,
        "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
        "HOLDFAST_MLFLOW_TRACKING_URI": f"sqlite:///{servers / 'mlflow.db'}",
        "HOLDFAST_MLFLOW_ARTIFACT_LOCATION": (servers / "artifacts").as_uri(),
        "HOLDFAST_LEDGER_URL": f"sqlite:///{servers / 'ledger.db'}",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
    }
    root = make_workspace(tmp_path / "desk", tiny_base)
    shell = {"cwd": root, "env": environment}
    run("dvc", "remote", "add", "-q", "-d", "store", str(tmp_path / "store"), **shell)
    run("dvc", "push", "-q", **shell)
    run("holdfast", "train", "--json", **shell)
    for words in ("init -q -b main", "add .", "commit -qm first"):
        run("git", *words.split(), **shell)
    return Runner(tmp_path, root, environment)


def champion(runner: Runner, checkout: Path) -> int:
    return int(run("holdfast", "ledger", "champion", cwd=checkout, env=runner.environment))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_pull_request_gets_a_verdict_and_its_merge_promotes(runner: Runner) -> None:
    change = runner.clone("change")
    run("git", "switch", "-qc", "learn", cwd=change)
    change_params(change, finetune=LEARNS)
    run("git", "commit", "-qam", "learn longer", cwd=change)
    runner.job(change, "settings", "data", "candidate", "gate")
    assert (change / "version.txt").read_text() == "2\n"
    assert "## PROMOTE" in Path(runner.environment["GITHUB_STEP_SUMMARY"]).read_text()
    assert champion(runner, change) == 1

    run("git", "push", "-q", "origin", "learn", cwd=change)
    run("git", "merge", "-q", "--no-ff", "-m", "merge", "learn", cwd=runner.origin)
    merged = runner.clone("merged")
    runner.job(merged, "settings", "data", "candidate", "gate", "promote")
    assert json.loads((merged / "train.json").read_text())["reused"] is True
    assert champion(runner, merged) == 2
    runner.job(merged, "settings", "candidate", "gate", "promote")  # a job that is run again

    change_params(merged, finetune=LEARNS, gate={"default_margin": 0.2})
    runner.job(merged, "candidate", "gate", "promote")  # another policy, and the champion itself
    assert "## HOLD" in Path(runner.environment["GITHUB_STEP_SUMMARY"]).read_text()
    assert champion(runner, merged) == 2
    change_params(merged, finetune={**LEARNS, "seed": 1}, gate={"default_margin": 0.2})
    runner.job(merged, "candidate")
    assert runner.step(merged, "gate").returncode in (10, 11, 12)  # no better, and another one


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_what_is_missing_fails_and_is_never_a_green_skip(runner: Runner) -> None:
    checkout = runner.clone("checkout")
    for name in ("HOLDFAST_LEDGER_URL", "HOLDFAST_MLFLOW_TRACKING_URI"):
        ended = runner.step(checkout, "settings", **{name: ""})
        assert ended.returncode != 0
        assert f"{name}: is not set" in ended.stderr
    (checkout / "dvc.lock").write_text(
        (checkout / "dvc.lock").read_text().replace("validate", "validated")
    )
    run("git", "commit", "-qam", "a lock of other data", cwd=checkout)
    assert runner.step(checkout, "data").returncode != 0
    shutil.rmtree(runner.root / "store")
    bare = runner.clone("bare")
    ended = runner.step(bare, "data")
    assert ended.returncode != 0
    assert "store" in ended.stderr or "cache" in ended.stderr.lower()
    assert not (bare / "data/splits").exists()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_merge_request_gets_a_verdict_and_its_merge_promotes(runner: Runner) -> None:
    change = runner.clone("change")
    run("git", "switch", "-qc", "learn", cwd=change)
    change_params(change, finetune=LEARNS)
    run("git", "commit", "-qam", "learn longer", cwd=change)
    ended = runner.script(change)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "## PROMOTE" in (change / "verdict.md").read_text()
    assert champion(runner, change) == 1

    run("git", "push", "-q", "origin", "learn", cwd=change)
    run("git", "merge", "-q", "--no-ff", "-m", "merge", "learn", cwd=runner.origin)
    spoil_predictions(runner, "-test.parquet")
    merged = runner.clone("merged")
    ended = runner.script(merged, branch="main")
    assert ended.returncode == 6, ended.stdout + ended.stderr
    assert "its content was changed" in ended.stderr
    assert champion(runner, merged) == 1

    spoil_predictions(runner, "-test.parquet")  # the same bytes once more: whole again
    again = runner.clone("again")
    for _ in range(2):  # a job that is run again finds it done
        ended = runner.script(again, branch="main")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert champion(runner, again) == 2

    change_params(again, finetune=LEARNS, gate={"default_margin": 0.2})
    ended = runner.script(again)  # another policy, and the champion itself
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "## HOLD" in (again / "verdict.md").read_text()


def spoil_predictions(runner: Runner, name: str) -> None:
    """Turn over one byte of each file of stored predictions; a second time turns it back."""
    files = sorted((runner.root / "servers/artifacts").rglob(f"evidence/*{name}"))
    assert files
    for file in files:
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_in_gitlab_too_what_is_missing_fails(runner: Runner) -> None:
    checkout = runner.clone("checkout")
    for name in ("INSTALL_HOLDFAST", "HOLDFAST_LEDGER_URL", "HOLDFAST_MLFLOW_TRACKING_URI"):
        ended = runner.script(checkout, **{name: ""})
        assert ended.returncode != 0
        assert f"{name}: is not set" in ended.stderr
    shutil.rmtree(runner.root / "store")
    ended = runner.script(checkout)
    assert ended.returncode != 0
    assert not (checkout / "train.json").exists()
    run("git", "rm", "-q", "--cached", "dvc.lock", cwd=checkout)
    ended = runner.script(checkout)
    assert ended.returncode != 0
    assert "dvc.lock" in ended.stderr
    for file in run("git", "ls-files", "*.dvc", cwd=checkout).split():
        run("git", "rm", "-q", "--cached", file, cwd=checkout)
    assert runner.script(checkout).returncode != 0
