"""What the report tells of attacks, seeds, other versions and mistakes; and when it tells nothing."""

from __future__ import annotations

import re

import pytest
from attacked_records import leaning, robustness_line, rows, seed_spread, under_attack
from html_reader import read

from pipeline_steps.attack_types import StoppedAttack, UnderAttack
from pipeline_steps.evaluation.attacks.budget import budget_curve, queries
from pipeline_steps.evaluation.attacks.budget import words as changed_words
from pipeline_steps.reporting.attack_page import render_attack_page
from pipeline_steps.reporting.curves import budget_chart, others_chart, seeds_chart
from pipeline_steps.reporting.report import render_report

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
HEADINGS = (
    "Under attack",
    "How much is luck of the seed",
    "Steadier than its accuracy foretells",
    "What its surest mistakes leaned on",
    "What no attack can change",
)


def told(record, **changes):
    return render_report(record.model_copy(update=changes))


def test_what_was_not_found_has_no_section(record) -> None:
    page = render_report(record)
    assert [heading for heading in HEADINGS if heading in page] == []


def test_everything_that_was_found_has_one(record) -> None:
    page = told(
        record,
        under_attack=under_attack(),
        seeds=seed_spread(),
        beside_others=(robustness_line(),),
        failures=(leaning(),),
    )
    assert [heading for heading in HEADINGS[:4] if heading not in page] == []
    assert read(page).open == []


def test_words_of_a_mistake_that_spoke_for_the_truth_are_told_from_those_that_spoke_for_it(
    record,
) -> None:
    found = leaning().model_copy(
        update={"stretches": (("dull", -0.5), (" ", 0.0), ("charming", 1.0)), "blank": 0.81}
    )
    page = told(record, failures=(found,))
    assert '<span class="lean against" style="--lean: 50%">dull</span> <span class="lean"' in page
    assert "with blanks in the place of all words 0.81" in page
    assert "with blanks" not in told(record, failures=(leaning(),))


def test_texts_and_labels_of_attacked_rows_cannot_become_part_of_the_page(record) -> None:
    hostile = under_attack(truth=EVIL, prediction=EVIL)
    attacks = tuple(
        attack.model_copy(
            update={
                "examples": tuple(
                    example.model_copy(update={"original": f"a {EVIL}", "perturbed": f"b {EVIL}"})
                    for example in attack.examples
                )
            }
        )
        for attack in hostile.attacks
    )
    page = told(
        record,
        under_attack=UnderAttack(attacks=attacks, worst=hostile.worst),
        failures=(leaning(EVIL, EVIL),),
        beside_others=(robustness_line(EVIL),),
    )
    reader = read(page)
    assert not reader.tags & {"script", "img", "iframe", "object", "link", "form"}
    assert not {name for name in reader.attributes if name.startswith("on")}
    assert reader.text.count("alert(1)") > 40


def test_edits_are_marked_and_rows_that_broke_and_held_are_told_apart(record) -> None:
    page = told(record, under_attack=under_attack())
    assert "<del>charming</del><ins>chraming</ins>" in page
    assert re.search(r"<ins>ch\u0430rming<small>U\+0430</small></ins>", page)
    assert "a became b, after" in page
    assert "every allowed change was tried" in page


def test_what_a_budget_buys_is_drawn_by_queries_and_by_words(record) -> None:
    page = told(record, under_attack=under_attack())
    for budget in ("queries a row", "changed words"):
        assert page.count(f"accuracy under deepwordbug, by {budget}") == 1


def test_every_attack_says_what_it_does_not_see_and_what_it_cost(record) -> None:
    found = under_attack()
    page = read(told(record, under_attack=found)).text
    for attack in found.attacks:
        assert f"{attack.name}: {attack.weakness}" in page
    assert "4,321" in page
    assert "80,000" in page
    assert "2.4%" in page


def test_a_champion_is_set_beside_the_version_and_one_alone_has_no_pair(record) -> None:
    assert "Against the champion, on the same rows" in told(record, under_attack=under_attack())
    alone = told(record, under_attack=under_attack(versus=False))
    assert "Against" not in read(alone).text
    assert "transfer" not in alone


def test_where_attacks_stopped_and_what_their_seeds_did_is_told(record) -> None:
    found = under_attack(versus=False)
    first = found.attacks[0]
    stopped = StoppedAttack(
        decision="above", n=75, of=200, against=("floor 0.3",), ci_low=0.5, ci_high=0.8
    )
    seeds = tuple(first.accuracy.model_copy(update={"name": f"seed {i}"}) for i in range(2))
    first = first.model_copy(update={"stopped": stopped, "seeds": seeds})
    page = told(record, under_attack=UnderAttack(attacks=(first,)))
    text = read(page).text
    for words in ("Where attacks stopped", "floor 0.3", "Seed by seed", "seed 1", "worst of all"):
        assert words in text
    assert "queries are those of all seeds together" in text
    assert "worst case" not in text.partition("What these numbers do not see")[0]


def test_a_pair_of_versions_has_a_page_of_its_own() -> None:
    page = render_attack_page(f"desk {EVIL}, version 2", under_attack())
    assert read(page).open == []
    assert "Against the champion" in page
    assert "<script>" not in page


def test_the_steps_of_a_budget_go_down_to_the_last_query_that_breaks() -> None:
    found = rows("deepwordbug", 0.5)
    chart = budget_chart(budget_curve(found, queries, 0.95), (), "a & b", "queries a row")
    (line,) = re.findall(r'polyline points="([^"]+)"', chart)
    corners = [tuple(map(float, corner.split(","))) for corner in line.split()]
    assert corners == sorted(corners, key=lambda corner: corner[0])
    assert [y for _, y in corners] == sorted(y for _, y in corners)
    assert "a &amp; b" in chart
    assert budget_chart((), (), "nothing", "words") == ""


def test_each_curve_says_what_its_budget_counts() -> None:
    page = render_attack_page("desk", under_attack())
    feet = re.findall(r'class="middle">([a-z ]+ row)</text>', page)
    assert set(feet) == {"queries a row", "changed words of a row"}
    found = rows("deepwordbug", 0.5)
    one = [row.model_copy(update={"n_changed": min(row.n_changed, 1)}) for row in found]
    chart = budget_chart(budget_curve(one, changed_words, 0.95), (), "a", "words")
    assert re.findall(r'class="middle">(\d[^<]*)</text>', chart) == ["0", "1"]  # no half of a word


def test_an_attack_that_broke_no_row_is_named_in_place_of_an_empty_curve(record) -> None:
    """Its axis went from 0 to 1 query, whatever the search had asked."""
    found = under_attack(versus=False)
    first = found.attacks[0]
    none = first.model_copy(update={"curve": first.curve[:1], "by_words": first.by_words[:1]})
    page = told(record, under_attack=UnderAttack(attacks=(none, *found.attacks[1:])))
    assert f"accuracy under {none.name}, by queries" not in page
    assert f"No row broke, and so there is no curve: {none.name}." in read(page).text


@pytest.mark.parametrize("equal", [False, True])
def test_each_seed_that_came_to_an_end_has_a_dot(equal: bool) -> None:
    spread = seed_spread()
    if equal:
        spread = spread.model_copy(update={"scores": (0.9,) * 5})
    chart = seeds_chart(spread)
    assert chart.count("<circle") == (5 if equal else 4)
    assert chart.count("hollow") == (3 if equal else 2)


def test_a_version_is_drawn_among_the_others() -> None:
    chart = others_chart(robustness_line(), "clean")
    assert chart.count('class="dot"') == 3
    assert chart.count('class="dot second"') == 1
