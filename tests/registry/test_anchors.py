"""Ledger and registry prove each other: a cut tail, a forged entry, tags and aliases by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from registry_builders import MODEL

from pipeline_steps.registry.anchors import HEAD, MOVE, anchor, registry_problems
from pipeline_steps.registry.ledger import Ledger
from pipeline_steps.registry.ledger_chain import LedgerEntry, export_problems, write_export
from pipeline_steps.registry.ledger_schema import TABLE, append_only_triggers
from pipeline_steps.registry.promote import follow_ledger
from pipeline_steps.registry.tracking import Tracker

_CUT = "the ledger's tail was cut:"
_OTHER_HEAD = (
    "the registered model intents knows another entry 4 than the ledger: one of them was changed"
)


def execute(ledger: Ledger, *statements: str) -> None:
    """Do as somebody with a database client would, who has removed the triggers."""
    dialect = ledger.database.engine.dialect.name
    with ledger.database.engine.begin() as connection:
        for name in append_only_triggers(dialect):
            on = f" ON {TABLE}" if dialect != "sqlite" else ""
            connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}{on}")
        for statement in statements:
            connection.execute(sa.text(statement))


def note(ledger: Ledger) -> LedgerEntry:
    return ledger.append("note", model_name="other", actor="ada", reason="r", evidence={})


@pytest.fixture
def decided(toys: Tracker, ledger: Ledger) -> Ledger:
    """Return a ledger with two moves, both confirmed and anchored."""
    for version in (1, 3):
        ledger.move_champion(
            MODEL, expected=ledger.champion(MODEL), new=version, actor="ada", reason="r",
            evidence={},
        )  # fmt: skip
        follow_ledger(toys, ledger, MODEL, actor="ada")
    assert registry_problems(toys, ledger, MODEL) == []
    return ledger


def test_both_sides_carry_the_same_hashes(toys: Tracker, decided: Ledger) -> None:
    entries = decided.entries()
    assert toys.model_tags(MODEL) == {HEAD: entries[-1].anchor}
    assert toys.version_tags(MODEL, 3)[MOVE] == entries[2].anchor
    note(decided)  # an anchor that lags is a true one
    assert registry_problems(toys, decided, MODEL) == []


@pytest.mark.parametrize("reading", ["aliases", "model_tags", "version_numbers", "version_tags"])
def test_who_writes_while_both_sides_are_read_has_cut_no_tail(
    toys: Tracker, decided: Ledger, monkeypatch: pytest.MonkeyPatch, reading: str
) -> None:
    read = getattr(Tracker, reading)

    def written_meanwhile(tracker: Tracker, *arguments: object) -> object:
        with monkeypatch.context() as undisturbed:
            undisturbed.setattr(Tracker, reading, read)
            note(decided)
            anchor(toys, decided, MODEL)
        return read(tracker, *arguments)

    monkeypatch.setattr(Tracker, reading, written_meanwhile)
    assert registry_problems(toys, decided, MODEL) == []


def test_a_tail_that_was_cut_is_found_and_stays_found(toys: Tracker, decided: Ledger) -> None:
    execute(decided, f"DELETE FROM {TABLE} WHERE sequence > 2")
    assert decided.verify() == []
    found = registry_problems(toys, decided, MODEL)
    assert found == [
        "the alias champion of intents points to version 3, the ledger says version 1",
        "the alias previous of intents points to version 1, the ledger says no version",
        "version 3 of intents says that it was champion, the ledger does not",
        f"{_CUT} the registered model intents knows entry 4, the ledger ends with entry 2",
        f"{_CUT} version 3 of intents knows entry 3, the ledger ends with entry 2",
    ]
    for _ in range(4):  # who grows a new tail does not get the proof overwritten
        note(decided)
        anchor(toys, decided, MODEL)
    assert _OTHER_HEAD in registry_problems(toys, decided, MODEL)


def test_an_entry_that_was_forged_with_all_later_hashes_is_found(
    toys: Tracker, decided: Ledger
) -> None:
    previous = decided.entries()[0].entry_hash
    statements = []
    for entry in decided.entries()[1:]:
        forged = entry.model_copy(update={"actor": "eve", "previous_hash": previous})
        previous = forged.expected_hash()
        statements.append(
            f"UPDATE {TABLE} SET actor = 'eve', previous_hash = '{forged.previous_hash}', "
            f"entry_hash = '{previous}' WHERE sequence = {entry.sequence}"
        )
    execute(decided, *statements)
    assert decided.verify() == []
    assert registry_problems(toys, decided, MODEL) == [
        _OTHER_HEAD,
        "version 3 of intents knows another entry 3 than the ledger: one of them was changed",
    ]


def test_tags_that_were_changed_by_hand_are_found(toys: Tracker, decided: Ledger) -> None:
    toys.client.delete_registered_model_tag(MODEL, HEAD)
    toys.tag_version(toys.version(MODEL, 1), {MOVE: "nonsense"})
    toys.tag_version(toys.version(MODEL, 2), {MOVE: decided.entries()[0].anchor})
    assert registry_problems(toys, decided, MODEL) == [
        "version 2 of intents says that it was champion, the ledger does not",
        "version 1 of intents holds no anchor: nonsense",
        "the registered model intents has no anchor: tag holdfast.ledger_head is missing",
    ]


def test_before_the_first_version_there_is_nothing_to_anchor(
    tracker: Tracker, ledger: Ledger
) -> None:
    note(ledger)
    anchor(tracker, ledger, MODEL)
    assert registry_problems(tracker, ledger, MODEL) == []


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x0b", "\x1c", "\r", "\n"])
def test_a_reason_may_hold_what_ends_a_line_elsewhere(tmp_path: Path, mark: str) -> None:
    ledger, copy = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}"), tmp_path / "copy.jsonl"
    ledger.append("note", model_name=MODEL, actor="ada", reason=f"one{mark}two", evidence={})
    write_export(copy, ledger.entries())
    assert export_problems(copy, ledger.hashes()) == []


def test_an_export_is_held_against_the_ledger(decided: Ledger, tmp_path: Path) -> None:
    copy = tmp_path / "copy.jsonl"
    assert write_export(copy, decided.entries()) == 4
    assert export_problems(copy, decided.hashes()) == []
    note(decided)  # the ledger has grown since
    assert export_problems(copy, decided.hashes()) == []
    execute(decided, f"DELETE FROM {TABLE} WHERE sequence > 3")
    assert export_problems(copy, decided.hashes()) == [
        "the ledger's tail was cut: copy.jsonl has entry 4, the ledger ends with entry 3"
    ]


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        (lambda lines: lines[:1] + lines[2:], ["copy.jsonl: entry 2 is missing",
            "copy.jsonl: entry 3 does not follow the one before it"]),
        (lambda lines: [lines[0], lines[1].replace("ada", "eve"), *lines[2:]],
            ["copy.jsonl: entry 2 was altered"]),
        (lambda lines: [*lines[:3], lines[3][:40]],
            ["copy.jsonl: line 4 is no entry of a ledger"]),
        (lambda lines: [lines[1], lines[0], *lines[2:]], [
            "copy.jsonl: entry 1 is missing",
            "copy.jsonl: entry 2 does not follow the one before it",
            "copy.jsonl: entry 1 stands behind a later one",
            "copy.jsonl: entry 1 does not follow the one before it",
            "copy.jsonl: entry 2 is missing",
            "copy.jsonl: entry 3 does not follow the one before it"]),
    ],
)  # fmt: skip
def test_a_changed_export_is_found(tmp_path: Path, change, problems: list[str]) -> None:
    ledger, copy = Ledger(f"sqlite:///{tmp_path / 'l.db'}"), tmp_path / "copy.jsonl"
    for _ in range(4):
        note(ledger)
    write_export(copy, ledger.entries())
    lines = copy.read_text().splitlines()
    copy.write_text("\n".join(change(lines)))
    assert export_problems(copy, ledger.hashes()) == problems
