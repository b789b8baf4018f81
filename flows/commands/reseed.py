"""``holdfast reseed``: a version's recipe trained with other seeds, and how far scores spread."""

from __future__ import annotations

from collections.abc import Sequence

from flows.commands.evaluate import asked_version
from flows.commands.reproduce import Learnt, answers, learnt_from
from flows.pipeline import Call
from flows.prepare_data import prepare_data
from flows.registry_access import append_once, checkpoint_of
from flows.seed_spread import SEED_SPREAD
from flows.workspace import Workspace, locked
from pipeline_steps.digests import value_digest
from pipeline_steps.evaluation.stress.seeds import noise_floor, seed_report
from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.provenance import code_version
from pipeline_steps.reporting.summary import value_with_interval
from pipeline_steps.types import UNCOMPARED, Checkpoint, DatasetRef, Value

_CODE = ("training", "inference", "problems")


class Reseeded(Value):
    """What other seeds of one recipe scored: one report a suite.

    ``noise``: axis -> standard deviation over the seeds, which the gate reads.
    """

    version: int
    seeds: tuple[int, ...]
    reports: tuple[EvaluationReport, ...]
    noise: dict[str, float]


def reseed_version(workspace: Workspace, number: int | None, runs: int, *, call: Call) -> Reseeded:
    """Return how far the scores of a version's recipe spread, once the ledger has it.

    The version itself is none of the runs: it was picked for its scores.

    Parameters
    ----------
    workspace : Workspace
        Whose data and suites count.
    number : int, optional
        The version; by default the champion.
    runs : int
        Trainings, at least 2.
    call : Call
        Calls the steps.

    Raises
    ------
    DataError
        If the rows here are not those that the version learnt from, and no run keeps them.
    TrainingError
        If a seed diverges: then the recipe is no recipe.
    """
    with locked(workspace):
        version = asked_version(workspace, number)
        datasets = prepare_data(workspace, call=call)
        checkpoint = call(checkpoint_of, workspace, version)
        learnt = call(learnt_from, workspace, version, checkpoint, datasets, "reseed")
        seeds = tuple(learnt.params.seed + learnt.params.n_runs * i for i in range(1, runs + 1))
        trained = [call(trained_with, workspace, learnt, checkpoint, seed) for seed in seeds]
        reports = spread_over_seeds(workspace, datasets.judged, trained, call)
        noise = {axis: std for report in reports for axis, std in noise_floor(report).items()}
        append_once(
            workspace,
            SEED_SPREAD,
            reason=f"version {version.version} trained with {runs} other seeds",
            evidence={
                "version": version.version,
                "checkpoint_digest": checkpoint.digest,
                "seeds": list(seeds),
                "datasets": {suite.name: suite.digest for suite in datasets.judged},
                "spread": noise,
            },
        )
    return Reseeded(version=version.version, seeds=seeds, reports=tuple(reports), noise=noise)


def spread_over_seeds(
    workspace: Workspace, judged: Sequence[DatasetRef], trained: Sequence[Checkpoint], call: Call
) -> list[EvaluationReport]:
    """Return one report a suite over checkpoints of one recipe with different seeds."""
    suites = [suite for suite in judged if suite.kind not in UNCOMPARED]
    return [
        seed_report(
            [call(answers, workspace, one, suite) for one in trained], workspace.params.evaluate
        )
        for suite in suites
    ]


def trained_with(
    workspace: Workspace, learnt: Learnt, checkpoint: Checkpoint, seed: int
) -> Checkpoint:
    """Return a checkpoint of the same recipe with another seed.

    A training that was finished, or begun, is taken up where it was.
    """
    from pipeline_steps.training.finetune import finetune

    recipe = value_digest({"of": checkpoint.digest, "code": code_version(_CODE)})
    home = workspace.state / "reseeded" / recipe[:16] / f"seed-{seed}"
    return finetune(
        learnt.train,
        learnt.valid,
        learnt.params.model_copy(update={"seed": seed}),
        home / "checkpoint",
        work=home / "work",
        problem=checkpoint.problem,
    )


def lines(found: Reseeded) -> str:
    """Return the spread of the first metric of each suite, as people read it."""
    seeds = ", ".join(map(str, found.seeds))
    said = [f"version {found.version} trained with the seeds {seeds}"]
    for report in found.reports:
        name = report.headline.removesuffix("_mean")
        mean, std = (value_with_interval(report.metric(f"{name}_{x}")) for x in ("mean", "std"))
        said.append(f"{report.suite.removesuffix('_seeds')}: {name} {mean}, deviation {std}")
    return "\n".join(said)
