"""What an evaluation set may still decide: never more than alpha over all its looks."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.gate_types import Look
from pipeline_steps.registry.alpha_account import account, looks_before, looks_of


def look(candidate: str, *, rows: str = "rows", promoted: bool = False, spent: float = 0.0) -> Look:
    return Look(
        dataset_digest=rows,
        candidate_digest=candidate,
        champion_digest="old",
        policy_digest="policy",
        promoted=promoted,
        spent=spent,
    )


def spend(outcomes: list[bool], planned: int, alpha: float = 0.05) -> list[Look]:
    """Return the looks of candidates that are promoted or not, each at what its account allows."""
    looks: list[Look] = []
    for number, promoted in enumerate(outcomes):
        this = look(f"c{number}")
        level = account(looks, this, alpha, planned).alpha
        looks.append(look(f"c{number}", promoted=promoted, spent=level))
    return looks


@given(outcomes=st.lists(st.booleans(), max_size=70), planned=st.integers(1, 60))
def test_what_was_spent_in_vain_never_exceeds_alpha(outcomes, planned) -> None:
    looks = spend(outcomes, planned)
    in_vain = math.fsum(one.spent for one in looks if not one.promoted)
    assert in_vain <= 0.05 + 1e-12
    assert all(one.spent == 0.0 for one in looks[planned:])


@given(planned=st.integers(1, 60))
def test_without_a_promotion_the_planned_looks_spend_all_of_alpha(planned) -> None:
    looks = spend([False] * planned, planned)
    assert math.fsum(one.spent for one in looks) == pytest.approx(0.05)
    levels = [one.spent for one in looks]
    assert levels == sorted(levels, reverse=True)
    assert levels[-1] == pytest.approx(levels[0] / math.sqrt(planned))


def test_a_promotion_leaves_later_looks_more() -> None:
    without, within = spend([False] * 10, 10), spend([False, True, *[False] * 8], 10)
    assert within[1].spent == without[1].spent
    assert all(a.spent > b.spent for a, b in zip(within[2:], without[2:], strict=True))


def test_the_same_look_again_costs_nothing_and_allows_the_same() -> None:
    looks = spend([False, False, False], 10)
    again = account(looks, look("c1"), 0.05, 10)
    assert (again.look, again.alpha) == (2, looks[1].spent)


def test_looks_at_other_rows_cost_nothing_here() -> None:
    others = [look(f"c{n}", rows="other", spent=0.01) for n in range(5)]
    assert account(others, look("new"), 0.05, 4).look == 1


def test_another_policy_over_the_same_pair_is_another_look() -> None:
    shopping = look("c").model_copy(update={"policy_digest": "laxer"})
    assert account([look("c", spent=0.02)], shopping, 0.05, 4).look == 2


def test_another_seed_or_number_of_resamples_over_the_same_pair_is_another_look() -> None:
    shopping = look("c").model_copy(update={"evaluate_digest": "another seed"})
    assert account([look("c", spent=0.02)], shopping, 0.05, 4).look == 2
    said = {"verdict": "HOLD", "candidate_digest": "c", "champion_digest": "old",
            "policy_digest": "policy", "evaluate_digest": "another seed", "spent": {"rows": 0.0}}  # fmt: skip
    assert looks_of([said]) == (shopping.model_copy(update={"verdict": 0}),)


def test_looks_are_read_from_verdicts_that_tested_a_gain() -> None:
    verdict = {
        "verdict": "HOLD",
        "candidate_digest": "c",
        "champion_digest": "old",
        "policy_digest": "policy",
        "spent": {"rows": 0.01},
    }
    first = {**verdict, "champion_digest": None, "spent": {}}
    expected = look("c", spent=0.01).model_copy(update={"verdict": 1})
    assert looks_of([first, verdict]) == (expected,)


def test_looks_before_a_candidate_end_where_it_was_first_judged() -> None:
    looks = [look("a"), look("b", rows="other"), look("c"), look("d")]
    who = ("c", "old", "policy", "")
    assert looks_before(looks, frozenset({"rows"}), who) == (look("a"),)


def test_looks_before_count_those_of_the_same_candidate_at_an_earlier_set() -> None:
    looks = [look("c", rows="may"), look("a"), look("c"), look("d")]
    who, june = ("c", "old", "policy", ""), frozenset({"rows"})
    assert looks_before(looks, june, who, frozenset({"may"})) == tuple(looks[:2])


def test_a_set_that_joins_later_keeps_the_looks_that_others_had_at_it_meanwhile() -> None:
    """The candidate was judged on "rows" alone; then five others on both sets, then it again."""
    own = look("c", spent=0.01).model_copy(update={"verdict": 0})
    others = [
        look(f"o{number}", rows=rows, spent=0.002).model_copy(update={"verdict": number})
        for number in range(1, 6)
        for rows in ("rows", "joined")
    ]
    again = [look("c", rows=r).model_copy(update={"verdict": 6}) for r in ("rows", "joined")]
    who, both = ("c", "old", "policy", ""), frozenset({"rows", "joined"})
    found = looks_before([own, *others], both, who)
    joined = account(found, look("c", rows="joined"), 0.05, 52)
    assert (joined.look, account(found, look("c"), 0.05, 52).look) == (6, 1)
    assert looks_before([own, *others, *again, look("later")], both, who) == found


def spend_on_sets(sets: list[set[int]], promoted: list[bool]) -> list[float]:
    """Return what looks at sets of rows spent, one a set, each at what its account allows."""
    looks: list[Look] = []
    for number, rows in enumerate(sets):
        shares = {f"s{other}": len(rows & sets[other]) / len(rows) for other in range(number)}
        this = look(f"c{number}", rows=f"s{number}")
        level = account(looks, this, 0.05, 52, shares).alpha
        looks.append(look(f"c{number}", rows=f"s{number}", promoted=promoted[number], spent=level))
    return [one.spent for one in looks]


@given(data=st.data(), n=st.integers(1, 12))
def test_the_average_row_of_a_set_has_never_decided_more_than_alpha_in_vain(data, n) -> None:
    some = st.sets(st.integers(0, 20), min_size=1)
    sets = [data.draw(some) for _ in range(n)]
    promoted = data.draw(st.lists(st.booleans(), min_size=n, max_size=n))
    spent = spend_on_sets(sets, promoted)
    vain = [0.0 if won else level for level, won in zip(spent, promoted, strict=True)]
    for last, rows in enumerate(sets):
        load = [sum(vain[k] for k in range(last + 1) if row in sets[k]) for row in rows]
        assert math.fsum(load) / len(rows) <= 0.05 + 1e-12 or vain[last] == 0.0


@given(first=st.integers(100, 400), added=st.integers(0, 3))
def test_rows_added_at_each_look_buy_their_own_part_of_alpha_and_no_more(first, added) -> None:
    sets = [set(range(first + added * k)) for k in range(60)]
    spent = spend_on_sets(sets, [False] * 60)
    assert math.fsum(spent) <= 0.05 * len(sets[-1]) / first + 1e-12


def test_the_same_set_under_sixty_names_is_one_account() -> None:
    names = spend_on_sets([set(range(50))] * 60, [False] * 60)
    assert names == pytest.approx([one.spent for one in spend([False] * 60, 52)])


def test_fresh_rows_have_a_fresh_account() -> None:
    spent = spend_on_sets([set(range(50)), set(range(50, 100))], [False, False])
    assert spent[0] == spent[1]


def test_one_decision_over_a_set_and_its_mistyped_sister_is_one_look() -> None:
    pair = [look("a", rows=rows, spent=0.01) for rows in ("clean", "typos")]
    shares = {"clean": 1.0, "typos": 0.9}
    apart = account(pair, look("c"), 0.05, 52, shares)
    assert (apart.look, apart.inherited) == (3, pytest.approx(1.9))
    together = [one.model_copy(update={"verdict": 4}) for one in pair]
    assert account(together, look("c"), 0.05, 52, shares).look == 2
