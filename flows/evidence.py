"""What a verdict rests on, as files by digest: enough to recompute it, not to be talked into it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from flows.workspace import Workspace
from pipeline_steps.attack_types import StoppedAttack
from pipeline_steps.comparison_types import PairedComparison
from pipeline_steps.digests import file_digest, value_digest
from pipeline_steps.errors import EvidenceError
from pipeline_steps.evaluation.attacks.measures import attack_metrics
from pipeline_steps.evaluation.attacks.results_file import read_results
from pipeline_steps.evaluation.attacks.stopping import fair_comparisons, fair_report
from pipeline_steps.evaluation.evaluate import evaluate
from pipeline_steps.evaluation.pairs import compare_all
from pipeline_steps.evaluation.shadow import with_shadow
from pipeline_steps.evaluation.stress.suites import evaluate_all
from pipeline_steps.evaluation.stress.text_marks import TextMarks
from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.gate_types import GateDecision
from pipeline_steps.judging_params import EvaluateParams, GateParams
from pipeline_steps.predictions_file import describe_predictions
from pipeline_steps.registry.gate import Beside, gate
from pipeline_steps.types import Predictions, Value

EVIDENCE_FILE = "evidence.json"
EVIDENCE = "evidence"
CANDIDATE, CHAMPION, VALID = "candidate/", "champion/", "valid"
MARKS = "slices/"


class StoredFile(Value):
    """A file by its place below the state directory, and by its content."""

    place: str
    digest: str


class Evidence(Value):
    """Everything that a verdict was computed from.

    ``files``: predictions of ``candidate/SUITE`` and ``champion/SUITE``, ``valid`` for the
    temperature, ``results/ATTACK``, ``slices/SUITE`` for what the texts are like. ``recorded``:
    reports that need more than predictions (behavioural tests need their cases); they are taken as
    they were.
    """

    candidate_digest: str
    champion_digest: str | None
    evaluate: EvaluateParams
    gate: GateParams
    beside: Beside
    files: dict[str, StoredFile]
    recorded: tuple[EvaluationReport, ...] = ()

    @property
    def digest(self) -> str:
        """The digest of all of it, as the ledger keeps it."""
        return value_digest(self.model_dump(mode="json"))


def stored(workspace: Workspace, path: Path, predictions: Predictions | None = None) -> StoredFile:
    """Return the reference to a file under the state directory."""
    digest = file_digest(path) if predictions is None else predictions.digest
    return StoredFile(place=path.relative_to(workspace.state).as_posix(), digest=digest)


def evidence_files(workspace: Workspace, evidence: Evidence) -> list[Path]:
    """Return the files of the evidence where they were made."""
    return sorted({workspace.state / file.place for file in evidence.files.values()})


def read_evidence(path: Path) -> Evidence:
    """Return the evidence in a file.

    Raises
    ------
    EvidenceError
        If it is missing or cannot be read.
    """
    try:
        return Evidence.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EvidenceError(
            f"{path} cannot be read as the evidence of a verdict: {error}",
            expected=f"{EVIDENCE_FILE} as holdfast train writes it",
            fix="judge the candidate anew: holdfast judge VERSION",
        ) from error


class EvidenceFolders:
    """Finds the files of evidence in the first of several places that has them.

    Parameters
    ----------
    evidence : Evidence
        Names the files.
    state : Path
        Where they lie below their own places.
    folders : sequence of Path
        Where they lie side by side: fetched from the record, or committed.
    """

    def __init__(self, evidence: Evidence, state: Path, folders: Sequence[Path]) -> None:
        self.evidence = evidence
        self.state = state
        self.folders = folders

    def path(self, name: str) -> Path:
        """Return a file, whose content is what the evidence says.

        Raises
        ------
        EvidenceError
            If it is nowhere, or has another content.
        """
        file = self.evidence.files[name]
        found = next((path for path in self._places(file) if path.is_file()), None)
        if found is None:
            raise EvidenceError(
                f"the predictions {name} of the verdict are nowhere",
                expected=f"{Path(file.place).name} in the state directory or among the artifacts",
                fix="judge the candidate anew: holdfast judge VERSION",
            )
        if file_digest(found) != file.digest:
            raise EvidenceError(
                f"{found} is not what the verdict was computed from: its content was changed",
                expected=f"the content with sha256 {file.digest}",
                fix="find out who changed it; then remove the file and judge anew: holdfast judge "
                "VERSION",
            )
        return found

    def predictions(self, name: str) -> Predictions:
        """Return a reference to verified predictions."""
        return describe_predictions(self.path(name))

    def of(self, side: str) -> list[Predictions]:
        """Return all predictions of ``candidate/`` or ``champion/``."""
        return [self.predictions(name) for name in self.evidence.files if name.startswith(side)]

    def marks(self) -> TextMarks | None:
        """Return what the texts are like, verified; ``None``: no slice was cut by it."""
        names = [name for name in self.evidence.files if name.startswith(MARKS)]
        found = {name.removeprefix(MARKS): self.path(name) for name in names}
        return TextMarks.read(found) if found else None

    def _places(self, file: StoredFile) -> Iterator[Path]:
        for folder in self.folders:
            yield folder / Path(file.place).name
        yield self.state / file.place


def recomputed(
    folders: EvidenceFolders,
) -> tuple[list[EvaluationReport], list[PairedComparison] | None]:
    """Return reports and comparisons, computed anew from verified predictions.

    Raises
    ------
    EvidenceError
        If a file is missing or was changed.
    """
    evidence = folders.evidence
    ours = folders.of(CANDIDATE)
    suites = [p for p in ours if p.kind != "adversarial"]
    attacked = [p for p in ours if p.kind == "adversarial"]
    valid = folders.predictions(VALID)
    marks = folders.marks()
    reports = evaluate_all(suites, evidence.evaluate, valid=valid, marks=marks)
    reports += evidence.recorded
    stopped: dict[str, StoppedAttack | None] = {}
    for suite in attacked:
        results, about = read_results(folders.path(f"results/{suite.suite}"))
        report = evaluate(suite, evidence.evaluate)
        metrics = report.metrics + attack_metrics(results, evidence.evaluate)
        report = report.model_copy(update={"metrics": metrics})
        reports.append(report if about.stopped is None else fair_report(report, about.stopped))
        stopped[suite.suite] = about.stopped
    if evidence.champion_digest is None:
        return reports, None
    compared = compare_all(ours, folders.of(CHAMPION), evidence.evaluate, marks)
    return reports, fair_comparisons(compared, stopped)


def decide(
    reports: Sequence[EvaluationReport],
    comparisons: Sequence[PairedComparison] | None,
    policy: GateParams,
    beside: Beside,
) -> GateDecision:
    """Return the gate's decision on all suites, a labelled window of traffic among them."""
    return gate(*with_shadow(reports, comparisons, beside.shadow), policy, beside)
