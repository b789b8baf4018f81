"""The fault campaign: kills, races, a registry that is gone, a ledger that is read-only.

Whatever happens, the ledger names one champion, its chain is whole, and after the next command the
registry says the same.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from killed_moves import KilledMoves
from permissions import obey_permissions
from registry_builders import MODEL
from toy_registry import weights_of

from pipeline_steps.errors import RegistryError
from pipeline_steps.registry.anchors import registry_problems
from pipeline_steps.registry.ledger import CHAMPION_MOVED, Ledger
from pipeline_steps.registry.promote import follow_ledger
from pipeline_steps.registry.tracking import Tracker

SLOW = pytest.mark.slow
PROMOTION = ("intent", "smoke_test", "rehearsal", "moved", "previous", "alias", "confirmed")
ROLLBACK = ("intent", "smoke_test", "moved", "previous", "alias", "confirmed")
RACE = """
import sys
from pipeline_steps.errors import PromotionError
from pipeline_steps.registry.ledger import Ledger

ledger, racer = Ledger(sys.argv[1]), int(sys.argv[2])
print("ready", flush=True)
for line in sys.stdin:
    number, expected = map(int, line.split())
    try:
        ledger.move_champion("m", expected=expected or None, new=number + racer, actor=str(racer),
                             reason="r", evidence={})
        print("won", flush=True)
    except PromotionError as error:
        print(error.received, flush=True)
"""


def some_slow(phases: tuple[str, ...], *quick: str) -> list[object]:
    """Return the boundaries; most of them are for the long run, in which each is killed at."""
    return [phase if phase in quick else pytest.param(phase, marks=SLOW) for phase in phases]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=SLOW)])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    return request.getfixturevalue("postgres").new_database()


def make_champions(tracker: Tracker, ledger: Ledger, *versions: int) -> None:
    for version in versions:
        ledger.move_champion(
            MODEL, expected=ledger.champion(MODEL), new=version, actor="ada", reason="r",
            evidence={},
        )  # fmt: skip
        follow_ledger(tracker, ledger, MODEL, actor="ada")


def assert_whole(tracker: Tracker, ledger: Ledger, champion: int) -> None:
    """Assert that ledger and registry agree on the champion, and on everything else."""
    assert ledger.champion(MODEL) == champion
    assert tracker.aliases(MODEL)["champion"] == champion
    assert ledger.verify() == []
    assert registry_problems(tracker, ledger, MODEL) == []


def told_to(kind: str, tracker: Tracker, ledger_url: str, **more: object) -> dict[str, object]:
    return {"tracking_uri": tracker.tracking_uri, "ledger": ledger_url, "kind": kind, **more}


@pytest.mark.parametrize("phase", some_slow(PROMOTION, "rehearsal", "moved"))
def test_a_promotion_killed_at_a_boundary_converges(
    toys: Tracker, ledger: Ledger, ledger_url: str, killed_moves: KilledMoves, phase: str
) -> None:
    make_champions(toys, ledger, 1)
    request = told_to("promotion", toys, ledger_url, version=3)
    assert killed_moves(**request, die=phase)[0] == -signal.SIGKILL
    assert ledger.champion(MODEL) == (1 if PROMOTION.index(phase) < 3 else 3)
    assert ledger.verify() == []
    code, said = killed_moves(**request)
    assert (code, said["version"], said["previous"]) == (0, 3, 1)
    assert [e.event for e in ledger.entries()].count(CHAMPION_MOVED) == 2
    assert toys.aliases(MODEL) == {"champion": 3, "previous": 1}
    assert_whole(toys, ledger, 3)


@pytest.mark.parametrize("phase", some_slow(ROLLBACK, "smoke_test", "moved"))
def test_a_rollback_killed_at_a_boundary_converges_and_goes_back_once(
    toys: Tracker, ledger: Ledger, ledger_url: str, killed_moves: KilledMoves, phase: str
) -> None:
    make_champions(toys, ledger, 1, 2, 4)
    request = told_to("rollback", toys, ledger_url)
    assert killed_moves(**request, die=phase)[0] == -signal.SIGKILL
    assert ledger.champion(MODEL) == (4 if ROLLBACK.index(phase) < 2 else 2)
    code, said = killed_moves(**request)
    assert (code, said["version"]) == (0, 2)
    assert toys.aliases(MODEL) == {"champion": 2, "previous": 1}
    assert_whole(toys, ledger, 2)


def race(ledger_url: str, rounds: int) -> None:
    """Let two processes promote against the same champion, again and again."""
    racers = [
        subprocess.Popen(
            [sys.executable, "-P", "-c", RACE, ledger_url, str(racer)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for racer in (1, 2)
    ]  # fmt: skip
    said: list[list[str]] = []
    champion = 0
    assert [next(iter(racer.stdout)) for racer in racers] == ["ready\n"] * 2  # type: ignore[arg-type]
    for number in range(rounds):
        for racer in racers:
            racer.stdin.write(f"{10 * number + 10} {champion}\n")  # type: ignore[union-attr]
            racer.stdin.flush()  # type: ignore[union-attr]
        said.append([racer.stdout.readline().strip() for racer in racers])  # type: ignore[union-attr]
        winner = said[-1].index("won")
        champion = 10 * number + 11 + winner
        told = f"version {champion} of m became champion in the meantime"
        assert said[-1][1 - winner] == told
    for racer in racers:
        racer.communicate(timeout=60)
        assert racer.returncode == 0
    ledger = Ledger(ledger_url)
    moves = ledger.moves("m")
    assert (len(moves), ledger.champion("m"), ledger.verify()) == (rounds, champion, [])
    assert [m.evidence["previous"] for m in moves[1:]] == [
        m.evidence["version"] for m in moves[:-1]
    ]


@pytest.mark.slow
def test_of_two_promoters_exactly_one_wins_in_each_of_200_races(ledger_url: str) -> None:
    race(ledger_url, 200)


def test_of_two_promoters_exactly_one_wins_in_postgresql(postgres) -> None:
    race(postgres.new_database(), 20)


def test_a_registry_that_cannot_be_reached_leaves_the_champion(
    toys: Tracker, ledger: Ledger, ledger_url: str, killed_moves: KilledMoves
) -> None:
    make_champions(toys, ledger, 1)
    request = told_to("promotion", toys, ledger_url, version=2)
    code, said = killed_moves(**{**request, "tracking_uri": "http://127.0.0.1:1"})
    assert code == 0
    assert said.startswith("MLflow at http://127.0.0.1:1 refused")
    assert_whole(toys, ledger, 1)


def test_a_registry_that_goes_away_after_the_champion_moved_follows_later(
    toys: Tracker, ledger: Ledger, tmp_path: Path
) -> None:
    make_champions(toys, ledger, 1)
    database = tmp_path / "mlflow.db"
    shutil.copyfile(database, tmp_path / "kept.db")
    ledger.move_champion(MODEL, expected=1, new=2, actor="a", reason="r", evidence={})
    database.write_bytes(b"no database, but long enough to look at" * 1000)
    with pytest.raises(RegistryError, match=r"MLflow at sqlite:\S+ refused"):
        follow_ledger(toys, ledger, MODEL, actor="ada")
    assert ledger.champion(MODEL) == 2
    shutil.copyfile(tmp_path / "kept.db", database)
    assert toys.aliases(MODEL) == {"champion": 1}
    follow_ledger(toys, ledger, MODEL, actor="ada")
    assert_whole(toys, ledger, 2)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="root's rights are Linux's")
def test_with_a_read_only_ledger_nothing_moves(toys: Tracker, tmp_path: Path) -> None:
    directory = tmp_path / "ledger"
    url = f"sqlite:///{directory / 'ledger.db'}"
    ledger = Ledger(url)
    make_champions(toys, ledger, 1, 2)
    (directory / "ledger.db").chmod(0o444)
    directory.chmod(0o555)
    try:
        requests = [told_to(kind, toys, url, version=3) for kind in ("promotion", "rollback")]
        refused = subprocess.run(
            [sys.executable, "-P", str(Path(__file__).parents[1] / "killed_moves.py")],
            input="".join(json.dumps(request) + "\n" for request in requests),
            capture_output=True, text=True, check=True, preexec_fn=obey_permissions,
        )  # fmt: skip
        for line in refused.stdout.splitlines():
            code, said = json.loads(line)
            assert code == 0
            assert said.startswith("the ledger cannot be written: attempt to write a readonly")
        assert len(refused.stdout.splitlines()) == 2
    finally:
        directory.chmod(0o755)
    assert_whole(toys, ledger, 2)


def test_with_a_read_only_ledger_in_postgresql_nothing_moves(
    toys: Tracker, postgres, killed_moves: KilledMoves
) -> None:
    url = postgres.new_database()
    ledger = Ledger(url)
    make_champions(toys, ledger, 1, 2)
    name = sa.make_url(url).database
    postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    code, said = killed_moves(**told_to("rollback", toys, url))
    assert (code, said) == (0, said)
    assert "cannot execute INSERT in a read-only transaction" in said
    postgres.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    assert_whole(toys, ledger, 2)


def test_an_artifact_altered_on_disk_leaves_the_champion(
    own_toys: Tracker, ledger: Ledger, ledger_url: str, killed_moves: KilledMoves
) -> None:
    make_champions(own_toys, ledger, 1, 2)
    for number in (1, 3):
        weights_of(own_toys, number).write_text('"z"')
    for request in ({"kind": "promotion", "version": 3}, {"kind": "rollback"}):
        code, said = killed_moves(**told_to(tracker=own_toys, ledger_url=ledger_url, **request))
        assert code == 0
        assert "failed: row 0: answered z (0.5000), recorded" in said
    assert_whole(own_toys, ledger, 2)


def test_an_alias_that_was_moved_by_hand_is_found_and_follows_again(
    toys: Tracker, ledger: Ledger, ledger_url: str, killed_moves: KilledMoves
) -> None:
    make_champions(toys, ledger, 1, 2)
    toys.set_alias(MODEL, "champion", 4)
    toys.set_alias(MODEL, "previous", 3)
    assert registry_problems(toys, ledger, MODEL) == [
        "the alias champion of intents points to version 4, the ledger says version 2; set it: holdfast ledger follow",
        "the alias previous of intents points to version 3, the ledger says version 1; set it: holdfast ledger follow",
    ]
    assert killed_moves(**told_to("rollback", toys, ledger_url))[1]["version"] == 1
    assert_whole(toys, ledger, 1)
