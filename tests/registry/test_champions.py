"""Where the way back leads, for any past: laws over random promotions and rollbacks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.registry.champions import reign, taken_out, version_of, way_back
from pipeline_steps.registry.ledger_chain import LedgerEntry

STEPS = st.lists(st.tuples(st.booleans(), st.integers(1, 4)), min_size=1, max_size=12)


def move(sequence: int, kind: str, version: int, previous: int | None) -> LedgerEntry:
    return LedgerEntry(
        sequence=sequence, created_at="t", event="champion_moved", model_name="m", actor="a",
        reason="r", evidence={"kind": kind, "version": version, "previous": previous},
        previous_hash="", entry_hash="",
    )  # fmt: skip


def past(steps: list[tuple[bool, int]]) -> list[LedgerEntry]:
    """Return moves: a promotion of a version, or a rollback where there is one to go back to."""
    moves: list[LedgerEntry] = []
    for back, version in steps:
        current = version_of(moves[-1]) if moves else None
        target = way_back(moves) if back and moves else version
        if target is not None and target != current:
            moves.append(
                move(len(moves) + 1, "rollback" if back and moves else "promotion", target, current)
            )
    return moves


@given(STEPS)
def test_the_way_back_leads_to_another_who_was_champion(steps: list[tuple[bool, int]]) -> None:
    moves = past(steps)
    champions = [version_of(m) for m in moves]
    back = way_back(moves)
    assert reign(moves)[-1] == champions[-1]
    assert back is None or (back in champions[:-1] and back != champions[-1])


@given(STEPS, st.integers(1, 4))
def test_a_rollback_takes_out_every_version_that_it_goes_past(
    steps: list[tuple[bool, int]], target: int
) -> None:
    moves = past(steps)
    champions, current = reign(moves), version_of(moves[-1])
    back = [*moves, move(len(moves) + 1, "rollback", target, current)]
    if target == current or target not in champions:
        return
    passed = set(champions) - set(reign(back))
    for version in passed:
        assert taken_out(back, version) == back[-1]
    assert taken_out(back, target) is None
    returned = [*back, move(len(back) + 1, "promotion", current, target)]
    assert taken_out(returned, current) is None
    for version in passed - {current}:
        assert taken_out(returned, version) == back[-1]


def test_a_rollback_to_a_version_further_back_takes_out_what_lies_between() -> None:
    moves = [
        *(move(number, "promotion", number, number - 1 or None) for number in (1, 2, 3)),
        move(4, "rollback", 1, 3),
    ]
    assert [taken_out(moves, version) for version in (1, 2, 3)] == [None, moves[-1], moves[-1]]


@given(STEPS)
def test_going_back_again_and_again_ends(steps: list[tuple[bool, int]]) -> None:
    """Each rollback shortens what leads to today, so none goes to where one came from."""
    moves = past(steps)
    while (target := way_back(moves)) is not None:
        before = len(reign(moves))
        moves.append(move(len(moves) + 1, "rollback", target, version_of(moves[-1])))
        assert len(reign(moves)) < before


@given(STEPS)
def test_a_promotion_and_its_rollback_leave_the_way_back_as_it_was(
    steps: list[tuple[bool, int]],
) -> None:
    moves = past(steps)
    current = version_of(moves[-1])
    there = [*moves, move(len(moves) + 1, "promotion", 9, current)]
    and_back = [*there, move(len(moves) + 2, "rollback", current, 9)]
    assert way_back(there) == current
    assert reign(and_back) == reign(moves)
    assert taken_out(there, 9) is None
    assert taken_out(and_back, 9) == and_back[-1]
    assert taken_out([*and_back, move(9, "promotion", 9, current)], 9) is None
