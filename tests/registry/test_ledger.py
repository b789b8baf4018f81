"""The ledger, on SQLite and PostgreSQL: what was decided cannot be changed, lost or raced."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from registry_builders import note

from pipeline_steps.errors import PromotionError, RegistryError
from pipeline_steps.registry.approvals import (
    APPROVED,
    REFUSED,
    REQUESTED,
    answer_request,
    approvals,
)
from pipeline_steps.registry.ledger import CHAMPION_MOVED, GENESIS, Ledger
from pipeline_steps.registry.ledger_schema import TABLE, append_only_triggers
from pipeline_steps.registry.verdicts import last_verdict, record_verdict

APPEND = """
import sys
from pipeline_steps.registry.ledger import Ledger
url, number, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
for i in range(n):
    ledger = Ledger(url)
    ledger.append("note", model_name=number, actor="a", reason="r", evidence={"i": i})
"""
MOVE = """
import json, sys
from pipeline_steps.errors import PromotionError
from pipeline_steps.registry.ledger import Ledger
ledger, new = Ledger(sys.argv[1]), int(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
try:
    ledger.move_champion("m", expected=1, new=new, actor="a", reason="r", evidence={})
    print("won")
except PromotionError as error:
    print(json.dumps([error.received, error.expected]))
"""


def move(ledger: Ledger, expected: int | None, new: int, model: str = "m") -> None:
    ledger.move_champion(
        model, expected=expected, new=new, actor="ada", reason="better", evidence={"digest": "d"}
    )


def execute(ledger: Ledger, statement: str) -> None:
    """Run a statement past the ledger, as somebody with a database client would."""
    engine = sa.create_engine(ledger.database.engine.url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)


def execute_without_triggers(ledger: Ledger, statement: str) -> None:
    dialect = ledger.database.engine.dialect.name
    for name in append_only_triggers(dialect):
        execute(ledger, f"DROP TRIGGER {name}" + (f" ON {TABLE}" if dialect != "sqlite" else ""))
    execute(ledger, statement)


def run_at_once(code: str, arguments: list[list[str]]) -> list[str]:
    """Return what processes print that are all ready before the first is told to go."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-P", "-c", code, *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for words in arguments
    ]  # fmt: skip
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return answers


def test_entries_are_read_as_they_were_appended(ledger: Ledger) -> None:
    made = ledger.append(
        "gate_verdict", model_name="m", actor="ada", reason="é ✓", evidence={"b": [1.5, None], "a": "é"}
    )  # fmt: skip
    assert ledger.entries() == [made]
    assert (made.sequence, made.previous_hash) == (1, GENESIS)
    assert made.evidence == {"b": [1.5, None], "a": "é"}
    assert datetime.fromisoformat(made.created_at).utcoffset() == timedelta(0)


def test_each_entry_follows_the_one_before_it(ledger: Ledger, ledger_url: str) -> None:
    for _ in range(3):
        note(ledger)
    note(Ledger(ledger_url))
    entries = ledger.entries()
    assert [entry.sequence for entry in entries] == [1, 2, 3, 4]
    assert [entry.previous_hash for entry in entries[1:]] == [e.entry_hash for e in entries[:-1]]
    assert ledger.verify() == []


def test_entries_of_one_model_are_read_apart(ledger: Ledger) -> None:
    note(ledger)
    ledger.append("note", model_name="other", actor="ada", reason="r", evidence={})
    assert [entry.model_name for entry in ledger.entries("other")] == ["other"]
    assert [entry.model_name for entry in ledger.entries()] == ["m", "other"]


def test_an_empty_ledger_is_whole_and_has_no_champion(ledger: Ledger) -> None:
    assert ledger.verify() == []
    assert ledger.entries() == []
    assert ledger.champion("m") is None
    assert ledger.last_move("m") is None


def test_what_postgresql_cannot_hold_is_left_out_of_a_reason(ledger: Ledger) -> None:
    """Reasons may quote the last words of a process that died."""
    note(ledger, "a\0b", text="c\0d")
    assert (ledger.entries()[0].reason, ledger.entries()[0].evidence) == ("ab", {"text": "c\0d"})
    assert ledger.verify() == []


def test_time_never_runs_back_along_the_chain(ledger: Ledger, monkeypatch) -> None:
    """The clock of another machine may be behind; the champion at a time stays well defined."""

    class Behind(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) - timedelta(hours=1)

    move(ledger, None, 1)
    monkeypatch.setattr("pipeline_steps.registry.ledger.datetime", Behind)
    move(ledger, 1, 2)
    first, second = ledger.entries()
    assert second.created_at >= first.created_at
    assert ledger.champion("m", at=datetime.now(UTC) - timedelta(minutes=30)) is None


@pytest.mark.parametrize(
    "change",
    [
        "reason = 'nicer'",
        "actor = 'eve'",
        "created_at = '2020-01-01T00:00:00.000000+00:00'",
        """evidence = '{"i": 7}'""",
        "evidence = 'no json'",
        "evidence = '[]'",
    ],
)
def test_an_altered_entry_is_found(ledger: Ledger, change: str) -> None:
    for i in range(3):
        note(ledger, i=i)
    execute_without_triggers(ledger, f"UPDATE {TABLE} SET {change} WHERE sequence = 2")
    assert ledger.verify() == ["entry 2 was altered"]


def test_missing_entries_are_found(ledger: Ledger) -> None:
    for i in range(6):
        note(ledger, i=i)
    execute_without_triggers(ledger, f"DELETE FROM {TABLE} WHERE sequence IN (1, 3, 4)")
    assert ledger.verify() == [
        "entry 1 is missing",
        "entry 2 does not follow the one before it",
        "entries 3 to 4 are missing",
        "entry 5 does not follow the one before it",
    ]


def test_a_relinked_chain_is_found(ledger: Ledger) -> None:
    """Whoever removes an entry and renumbers the next leaves a hash that no longer fits."""
    for i in range(3):
        note(ledger, i=i)
    first = ledger.entries()[0].entry_hash
    execute_without_triggers(ledger, f"DELETE FROM {TABLE} WHERE sequence = 2")
    execute(
        ledger,
        f"UPDATE {TABLE} SET sequence = 2, previous_hash = '{first}' WHERE sequence = 3",
    )
    assert ledger.verify() == ["entry 2 was altered"]


def test_an_entry_that_was_rewritten_with_its_hash_breaks_the_link(ledger: Ledger) -> None:
    for i in range(3):
        note(ledger, i=i)
    forged = ledger.entries()[1].model_copy(update={"reason": "nicer"})
    execute_without_triggers(
        ledger,
        f"UPDATE {TABLE} SET reason = 'nicer', entry_hash = '{forged.expected_hash()}' "
        "WHERE sequence = 2",
    )
    assert ledger.verify() == ["entry 3 does not follow the one before it"]


@pytest.mark.parametrize(
    "statement",
    [
        f"UPDATE {TABLE} SET reason = 'nicer'",
        f"DELETE FROM {TABLE} WHERE sequence = 1",
        (
            f"INSERT INTO {TABLE} SELECT * FROM {TABLE} WHERE sequence = 1 "
            "ON CONFLICT (sequence) DO UPDATE SET reason = 'nicer'"
        ),
    ],
)
def test_the_database_refuses_to_change_an_entry(ledger: Ledger, statement: str) -> None:
    note(ledger)
    before = ledger.entries()
    with pytest.raises(sa.exc.DBAPIError, match="the ledger is append-only"):
        execute(ledger, statement)
    assert ledger.entries() == before


def test_sqlite_refuses_to_replace_an_entry(tmp_path: Path) -> None:
    """INSERT OR REPLACE removes the old row without asking the trigger on DELETE."""
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    note(ledger)
    columns = "1, created_at, event, model_name, actor, 'nicer', evidence, previous_hash, 'h'"
    with pytest.raises(sa.exc.IntegrityError, match="the ledger is append-only"):
        execute(ledger, f"INSERT OR REPLACE INTO {TABLE} SELECT {columns} FROM {TABLE}")
    assert ledger.entries()[0].reason == "because"


def test_postgresql_refuses_to_empty_the_table(postgres) -> None:
    ledger = Ledger(postgres.new_database())
    note(ledger)
    with pytest.raises(sa.exc.DBAPIError, match="the ledger is append-only"):
        execute(ledger, f"TRUNCATE {TABLE}")
    assert len(ledger.entries()) == 1


def test_triggers_that_were_dropped_are_there_again_once_it_is_opened(
    ledger: Ledger, ledger_url: str
) -> None:
    note(ledger)
    execute_without_triggers(ledger, f"UPDATE {TABLE} SET actor = actor")
    Ledger(ledger_url)
    with pytest.raises(sa.exc.DBAPIError, match="the ledger is append-only"):
        execute(ledger, f"DELETE FROM {TABLE}")


def test_the_champion_moves_from_the_one_that_was_expected(ledger: Ledger) -> None:
    move(ledger, None, 1)
    move(ledger, 1, 4)
    assert ledger.champion("m") == 4
    last = ledger.last_move("m")
    assert last is not None
    assert (last.event, last.evidence) == (
        CHAMPION_MOVED,
        {"digest": "d", "version": 4, "previous": 1},
    )


def test_a_move_against_another_champion_is_refused_and_names_it(ledger: Ledger) -> None:
    move(ledger, None, 1)
    move(ledger, 1, 2)
    with pytest.raises(PromotionError, match="version 2 of m became champion in the meantime"):
        move(ledger, 1, 3)
    with pytest.raises(PromotionError, match="expected: version none, as when version 3"):
        move(ledger, None, 3)
    assert ledger.champion("m") == 2
    assert len(ledger.entries()) == 2


def test_champions_of_two_models_do_not_meet(ledger: Ledger) -> None:
    move(ledger, None, 1)
    move(ledger, None, 7, model="other")
    assert (ledger.champion("m"), ledger.champion("other")) == (1, 7)


def test_who_was_champion_is_known_for_every_moment(ledger: Ledger) -> None:
    move(ledger, None, 1)
    time.sleep(0.01)
    between = datetime.now(UTC)
    time.sleep(0.01)
    move(ledger, 1, 2)
    moment = datetime.fromisoformat(ledger.entries()[0].created_at)
    assert ledger.champion("m", at=moment) == 1
    assert ledger.champion("m", at=moment - timedelta(microseconds=1)) is None
    assert ledger.champion("m", at=between) == 1
    assert ledger.champion("m", at=between.astimezone()) == 1
    assert ledger.champion("m", at=datetime.now(UTC)) == ledger.champion("m") == 2


def test_nobody_is_champion_by_an_altered_entry(ledger: Ledger) -> None:
    move(ledger, None, 1)
    forged = """evidence = '{"previous": null, "version": 9}'"""
    execute_without_triggers(ledger, f"UPDATE {TABLE} SET {forged}")
    with pytest.raises(RegistryError, match="entry 1 of the ledger was altered"):
        ledger.champion("m")


@pytest.mark.parametrize("changed", ["verdict", "approval"])
def test_nothing_is_decided_from_an_altered_entry(ledger: Ledger, changed: str) -> None:
    verdict = {"candidate_digest": "d2", "verdict": "HOLD"}
    record_verdict(ledger, "m", actor="ada", reason="HOLD", evidence=verdict)
    asked = ledger.append(
        REQUESTED, model_name="m", actor="ada", reason="r",
        evidence={"version": 2, "hours": 72, "champion_digest": "d1"},
    )  # fmt: skip
    answer_request(ledger, "m", 2, approve=False, actor="eve", reason="no")
    assert approvals(ledger, "m")[0].request == asked
    statements = {
        "verdict": f"UPDATE {TABLE} SET evidence = replace(evidence, 'HOLD', 'PROMOTE')",
        "approval": f"UPDATE {TABLE} SET event = '{APPROVED}' WHERE event = '{REFUSED}'",
    }
    execute_without_triggers(ledger, statements[changed])
    number = {"verdict": 1, "approval": 3}[changed]
    altered = f"entry {number} of the ledger was altered"
    for decide in (
        lambda: last_verdict(ledger, "m", "d2"),
        lambda: approvals(ledger, "m"),
        lambda: answer_request(ledger, "m", 2, approve=True, actor="eve", reason="yes"),
    ):
        with pytest.raises(RegistryError, match=altered):
            decide()
    assert len(ledger.entries(even_altered=True)) == 3  # people may still look at it


def test_an_entry_that_is_appended_once_is_there_once(ledger: Ledger) -> None:
    def confirm(move: int) -> int:
        evidence = {"version": 1, "move": move}
        return ledger.append_once(
            "confirmed", model_name="m", actor="ada", reason="r", evidence=evidence
        ).sequence

    assert [confirm(1), confirm(1), confirm(2), confirm(1)] == [1, 1, 2, 1]
    assert len(ledger.entries()) == 2


def test_of_two_racing_processes_one_moves_the_champion(ledger: Ledger, ledger_url: str) -> None:
    move(ledger, None, 1)
    answers = run_at_once(MOVE, [[ledger_url, "2"], [ledger_url, "3"]])
    winner = answers.index("won\n")
    refusal, expected = json.loads(answers[1 - winner])
    assert refusal == f"version {winner + 2} of m became champion in the meantime"
    assert expected == f"version 1, as when version {3 - winner} was judged"
    assert ledger.champion("m") == winner + 2
    assert len(ledger.entries()) == 2


def test_processes_that_append_at_once_keep_one_whole_chain(ledger_url: str) -> None:
    """They also create the table at once: nobody has opened this ledger before."""
    run_at_once(APPEND, [[ledger_url, str(number), "15"] for number in range(3)])
    ledger = Ledger(ledger_url)
    assert len(ledger.entries()) == 45
    assert ledger.verify() == []
    for number in range(3):
        assert [entry.evidence["i"] for entry in ledger.entries(str(number))] == list(range(15))


def test_the_default_isolation_of_a_server_does_not_split_the_chain(postgres) -> None:
    """A snapshot older than the lock would show an end of the chain that is none any more."""
    url = postgres.new_database()
    name = sa.make_url(url).database
    postgres.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'")
    run_at_once(APPEND, [[url, str(number), "10"] for number in range(2)])
    assert len(Ledger(url).entries()) == 20
    assert Ledger(url).verify() == []


def test_a_database_without_an_encoding_keeps_letters(postgres) -> None:
    ledger = Ledger(postgres.new_database("TEMPLATE template0 ENCODING 'SQL_ASCII'"))
    note(ledger, "é ✓")
    assert ledger.entries()[0].reason == "é ✓"
    assert ledger.verify() == []


def test_reading_waits_for_no_writer(ledger: Ledger, ledger_url: str) -> None:
    note(ledger)
    with ledger.database.writing():
        started = time.monotonic()
        assert len(Ledger(ledger_url).entries()) == 1
        assert time.monotonic() - started < 5
