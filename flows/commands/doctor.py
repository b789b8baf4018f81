"""``holdfast doctor``: what is installed and reachable, what is missing, what mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import computed_field

from flows.commands.doctor_installed import device, extras, libraries, programs, python
from flows.commands.doctor_places import addresses, room
from flows.commands.doctor_workspace import base_model, workspace
from flows.commands.findings import Finding
from pipeline_steps.errors import counted
from pipeline_steps.types import Value

_CONTINUED = "\n" + " " * 29
_CHECKS: tuple[Callable[[Path], Iterator[Finding]], ...] = (
    python,
    libraries,
    extras,
    programs,
    device,
    workspace,
    base_model,
    addresses,
    room,
)


class Diagnosis(Value):
    """Everything that was looked at."""

    workspace: str
    findings: tuple[Finding, ...]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def healthy(self) -> bool:
        """Whether nothing essential is missing."""
        return all(finding.status != "problem" for finding in self.findings)


def diagnose(root: Path) -> Diagnosis:
    """Return what is there and what is missing, for the workspace ``root``; nothing is written."""
    root = root.resolve()
    findings = tuple(finding for check in _CHECKS for finding in check(root))
    return Diagnosis(workspace=str(root), findings=findings)


def render(diagnosis: Diagnosis) -> str:
    """Return the diagnosis as lines to read: a mark, what was found, and what mends it."""
    marks = {"ok": "  ok      ", "note": "  note    ", "problem": "  PROBLEM "}
    lines = []
    for finding in diagnosis.findings:
        found = finding.found.replace("\n", _CONTINUED)
        lines.append(f"{marks[finding.status]}{finding.name:<18} {found}")
        if finding.fix is not None:
            lines.append(f"{_CONTINUED[1:]}to fix it: {finding.fix}")
    problems = sum(finding.status == "problem" for finding in diagnosis.findings)
    closing = "all that is needed is here" if diagnosis.healthy else counted(problems, "problem")
    return "\n".join([f"holdfast in {diagnosis.workspace}", *lines, closing])
