"""What attacks need beside parameters: looked for before anything is trained or loaded."""

from __future__ import annotations

from flows.answerable import answerable
from flows.attack_goals import goal_of
from flows.prepare_data import Datasets
from flows.universal_triggers import refuse_without_rows
from flows.workspace import Workspace
from pipeline_steps.errors import MissingDependencyError
from pipeline_steps.evaluation.attacks.search import NEIGHBOURS
from pipeline_steps.judging_params import AttackParams
from pipeline_steps.noise.resources import CONFUSABLES, require
from pipeline_steps.noise.word_forms import has_wordnet
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.types import DatasetRef


def refuse_unattackable(workspace: Workspace, datasets: Datasets) -> None:
    """Refuse attacks that could not be run on the model once it was trained.

    Raises
    ------
    ConfigurationError
        If the target is no label, or no row is left to find a universal trigger on.
    MissingDependencyError
        If a list of characters is not installed.
    CheckpointError
        If the base model has no masked-language head for ``bae``.
    """
    params = workspace.params
    attack = params.attack
    if not attack.recipes:
        return
    refuse_missing_lists(attack)
    if attack.target is not None:
        labels = tuple(sorted(answerable(workspace, datasets)))
        goal_of(get_problem(params.problem), labels, attack)
    if "universal_trigger" in attack.recipes:
        refuse_without_rows(_rows_beside(datasets.test, attack))
    if "bae" in attack.recipes:
        _refuse_without_head(params.finetune.base_model)


def refuse_missing_lists(attack: AttackParams) -> None:
    """Refuse attacks whose lists are not on this machine.

    Raises
    ------
    MissingDependencyError
        Naming what brings them.
    """
    if "homoglyph" in attack.recipes:
        require([CONFUSABLES])
    if attack.synonyms_from == "wordnet" and _substituting(attack) and not has_wordnet():
        raise MissingDependencyError(
            "attack.synonyms_from is wordnet, and nltk's WordNet is not here",
            expected="nltk with its corpus wordnet",
            fix="pip install nltk && python -m nltk.downloader wordnet, or synonyms_from: vectors",
        )


def _substituting(attack: AttackParams) -> bool:
    from pipeline_steps.evaluation.attacks.catalog import ATTACKS

    return any(NEIGHBOURS in ATTACKS[name].needs for name in attack.recipes if name in ATTACKS)


def _rows_beside(test: DatasetRef, attack: AttackParams) -> int:
    """Return how many rows of labels other than the target are left when some are attacked."""
    import pyarrow.parquet as pq

    labels = pq.read_table(test.path, columns=["label"])["label"].to_pylist()
    return len([label for label in labels if label != attack.target]) - attack.n_examples


def _refuse_without_head(base_model: str) -> None:
    from pipeline_steps.inference.base_model import resolve_base_model
    from pipeline_steps.inference.masked_words import refuse_without_head

    refuse_without_head(base_model, resolve_base_model(base_model).path)
