"""How far scores spread when nothing but the seed changes, as the ledger knows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from flows.registry_access import open_ledger
from flows.workspace import Workspace
from pipeline_steps.comparison_types import PairedComparison
from pipeline_steps.gate_types import SeedNoise
from pipeline_steps.registry.ledger_chain import LedgerEntry

SEED_SPREAD = "seed_spread"


def known_noise(workspace: Workspace, datasets: Mapping[str, str]) -> tuple[SeedNoise, ...]:
    """Return the spread on today's rows of each suite, given as suite -> digest of its rows."""
    name = workspace.params.register_.model_name
    return measured_noise(open_ledger(workspace).entries(name), datasets)


def noise_on(
    workspace: Workspace, comparisons: Sequence[PairedComparison] | None
) -> tuple[SeedNoise, ...]:
    """Return the spread on the rows that candidate and champion are compared on."""
    if not comparisons:
        return ()
    return known_noise(workspace, {one.suite: one.dataset_digest for one in comparisons})


def measured_noise(
    entries: Iterable[LedgerEntry], datasets: Mapping[str, str]
) -> tuple[SeedNoise, ...]:
    """Return the last spread of each axis that was measured on these rows.

    Parameters
    ----------
    entries : iterable of LedgerEntry
        Of one model, oldest first.
    datasets : mapping
        Suite -> digest of its rows; what was measured on other rows is passed over.
    """
    found: dict[str, SeedNoise] = {}
    for entry in entries:
        if entry.event == SEED_SPREAD:
            found |= {one.axis: one for one in _spread(entry, datasets)}
    return tuple(found[axis] for axis in sorted(found))


def _spread(entry: LedgerEntry, datasets: Mapping[str, str]) -> Iterable[SeedNoise]:
    said = entry.evidence
    for axis, std in said["spread"].items():
        suite = axis.rpartition("/")[0]
        if suite in datasets and said["datasets"].get(suite) == datasets[suite]:
            yield SeedNoise(
                axis=axis,
                std=std,
                runs=len(said["seeds"]),
                source=f"version {said['version']} trained anew, on these rows",
            )
