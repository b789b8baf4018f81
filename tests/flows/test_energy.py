"""Energy of a training: read from counters where there are some, estimated only where asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.energy_counters import Counter, joules_between, read_counters
from flows.training_cost import measured, read_cost
from pipeline_steps.reporting.energy import Energy, energy_lines


def counter(directory: Path, used: object) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "energy_uj").write_text(f"{used}\n")
    (directory / "max_energy_range_uj").write_text("1000000\n")


def test_processors_are_read_and_their_parts_and_what_is_unreadable_are_not(
    tmp_path: Path,
) -> None:
    counter(tmp_path / "intel-rapl:0", 5)
    counter(tmp_path / "intel-rapl:0:0", 3)
    counter(tmp_path / "intel-rapl:1", "broken")
    assert read_counters(tmp_path) == {"intel-rapl:0": Counter(5, 1_000_000)}
    assert read_counters(tmp_path / "nowhere") == {}


@pytest.mark.parametrize(
    ("before", "after", "joules"), [(0, 500_000, 0.5), (900_000, 100_000, 0.2)]
)
def test_a_counter_may_begin_anew_in_between(before: int, after: int, joules: float) -> None:
    ends = ({"a": Counter(used, 1_000_000)} for used in (before, after))
    assert joules_between(*ends) == pytest.approx(joules)


def test_without_the_same_counters_at_both_ends_nothing_is_said() -> None:
    here = {"a": Counter(1, 10)}
    assert joules_between({}, {}) is None
    assert joules_between(here, {}) is None


def test_parts_are_added_and_one_without_a_counter_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = [{"a": Counter(n, 10**9)} for n in (0, 2_000_000, 2_000_000, 5_000_000)] + [{}, {}]
    monkeypatch.setattr("flows.training_cost.read_counters", lambda: readings.pop(0))
    found = []
    for _ in range(3):
        with measured(tmp_path / "cost.json"):
            pass
        cost = read_cost(tmp_path / "cost.json")
        assert cost is not None
        found.append((cost.parts, cost.joules))
    assert found == [(1, pytest.approx(2.0)), (2, pytest.approx(5.0)), (3, None)]


def test_the_card_says_measured_estimated_or_neither() -> None:
    measured_, carbon = energy_lines(
        Energy(joules=7.2e6, cpu_seconds=9.0, watts_per_core=5.0, grams_per_kwh=100.0)
    )
    assert measured_.startswith("Energy: 2 kWh, measured (RAPL")
    assert carbon.startswith("Carbon: 200 g CO2e, estimated: 2 kWh x 100 g/kWh")
    estimated, none = energy_lines(Energy(cpu_seconds=3_600.0, watts_per_core=10.0))
    assert "0.01 kWh, estimated, not measured: 3600 CPU seconds x 10 W a core" in estimated
    assert none.startswith("Carbon: not estimated")
    neither, unknown = energy_lines(Energy(cpu_seconds=3_600.0, grams_per_kwh=100.0))
    assert neither.startswith("Energy: not measured")
    assert "not estimated" in neither
    assert unknown.startswith("Carbon: not known")
