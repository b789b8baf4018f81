"""What is kept of a version beside its report: card, environment, parameters as they were."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path

from flows.commands.params_text import params_text
from flows.prepare_data import Datasets
from flows.training_cost import TrainingCost, read_cost
from flows.training_plan import TrainingPlan
from flows.workspace import Workspace
from pipeline_steps.digests import value_digest
from pipeline_steps.files import write_text_atomically
from pipeline_steps.reporting.energy import Energy
from pipeline_steps.reporting.model_card import CardFacts, render_card
from pipeline_steps.reporting.run_record import RunRecord

CARD_FILE, ENVIRONMENT_FILE, PARAMS_FILE = "model_card.md", "environment.txt", "params.yaml"
CARD_FILES = (CARD_FILE, ENVIRONMENT_FILE, PARAMS_FILE)


def write_version_card(
    workspace: Workspace,
    plan: TrainingPlan,
    datasets: Datasets,
    record: RunRecord,
    made_in: Mapping[str, str],
) -> Path:
    """Return the model card after writing it, the installed packages and the parameters.

    ``made_in``: tags of the run that made the version; it may be judged in a later one, at another
    commit, from which nobody could reproduce it.
    """
    directory = workspace.run_directory(plan.fingerprint)
    packages = environment()
    cost = read_cost(workspace.cost_path(plan.training_fingerprint))
    everything = (datasets.train, datasets.valid, *datasets.judged)
    facts = CardFacts(
        licence=workspace.params.register_.licence,
        intended_use=workspace.params.register_.intended_use,
        cost={} if cost is None else cost.model_dump(exclude={"joules"}),
        energy=None if cost is None else _energy(workspace, cost),
        environment_digest=value_digest(packages),
        data_digests={dataset.name: dataset.digest for dataset in everything},
        dvc_lock=_known(made_in, "dvc.lock.sha256"),
        git_commit=_known(made_in, "git.commit"),
    )
    write_text_atomically(directory / ENVIRONMENT_FILE, "\n".join(packages) + "\n")
    write_text_atomically(directory / PARAMS_FILE, params_text(workspace.params))
    write_text_atomically(directory / CARD_FILE, render_card(record, facts))
    return directory / CARD_FILE


def _known(tags: Mapping[str, str], name: str) -> str | None:
    value = tags.get(name, "none")
    return None if value == "none" else value


def environment() -> list[str]:
    """Return every installed package as pip pins it, sorted."""
    found = {
        f"{distribution.name}=={distribution.version}"
        for distribution in importlib.metadata.distributions()
    }
    return sorted(found, key=str.lower)


def _energy(workspace: Workspace, cost: TrainingCost) -> Energy:
    settings = workspace.settings
    return Energy(
        joules=cost.joules,
        cpu_seconds=cost.cpu_seconds,
        watts_per_core=settings.watts_per_core,
        grams_per_kwh=settings.grams_co2_per_kwh,
    )
