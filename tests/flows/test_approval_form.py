"""An answer in Prefect's form, which anybody can fill in with any name."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.approval import answer_in_a_form
from flows.workspace import Workspace
from pipeline_steps.errors import PromotionError


def workspace(root: Path, approval: str) -> Workspace:
    lines = ["ingest: {sources: [{path: raw.csv}]}", f"register: {{approval: {approval}}}"]
    (root / "params.yaml").write_text("\n".join(lines), encoding="utf-8")
    return Workspace.open(root)


def say(desk: Workspace, *, approve: bool) -> None:
    answer_in_a_form(desk, 2, approve=approve, by="eve", reason="looks good")


def test_where_two_pairs_of_eyes_are_asked_for_a_form_approves_nothing(tmp_path: Path) -> None:
    with pytest.raises(PromotionError, match="in a form, in the name of eve") as refused:
        say(workspace(tmp_path, "four_eyes"), approve=True)
    assert "holdfast approve 2" in str(refused.value)


@pytest.mark.parametrize(("approval", "approve"), [("four_eyes", False), ("required", True)])
def test_any_other_answer_goes_to_the_request(tmp_path: Path, approval: str, approve: bool) -> None:
    with pytest.raises(PromotionError, match="nobody asked for an approval of version 2"):
        say(workspace(tmp_path, approval), approve=approve)
