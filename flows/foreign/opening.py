"""Opens a named model: what it is for, what it can answer, and the victim that answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from flows.foreign.named import NamedModel, header_values
from flows.foreign.served import SERVED, Asked, ServedVictim
from flows.victims import CheckpointVictim, Victim
from pipeline_steps.digests import directory_digest, value_digest
from pipeline_steps.errors import ConfigurationError
from pipeline_steps.evaluation.attacks.passage import Row
from pipeline_steps.problems.catalog import get_problem

if TYPE_CHECKING:
    from pipeline_steps.registry.loaded_model import LoadedModel

BARE = "-"
_PROBED = 16
_CLASSES = "text_classification"


def identified(model: NamedModel, problem: str | None) -> NamedModel:
    """Return the model with its problem and what names its content.

    Raises
    ------
    CheckpointError
        If a directory holds no model that can be read.
    ConfigurationError
        If it is for another problem than was asked.
    """
    if problem is not None:
        get_problem(problem)
    known: NamedModel = _IDENTIFIED[model.kind](model, problem)
    if known.served and known.problem not in SERVED:
        raise ConfigurationError(
            f"{model.address} is served, for {known.problem}",
            expected=f"a served model for one of {', '.join(SERVED)}",
            fix="name the directory of the model's checkpoint",
        )
    return known


def opened_victim(model: NamedModel) -> Victim:
    """Return the model, loaded or within reach."""
    if model.kind == "checkpoint":
        from pipeline_steps.inference.predictor import Predictor

        return CheckpointVictim(Predictor.from_checkpoint(model.path))
    if model.kind == "directory":
        from pipeline_steps.inference.foreign_heads import load_foreign

        predictor = load_foreign(
            model.path,
            model.problem,
            renamed=model.renamed,
            max_length=model.max_length,
            unanswerable=model.unanswerable,
        )
        return CheckpointVictim(predictor)
    return ServedVictim(model, _Pyfunc(model) if model.kind == "mlflow" else _HttpAsker(model))


def with_labels(model: NamedModel, rows: Sequence[Row]) -> NamedModel:
    """Return the model with the labels that it answers, which must be those of the rows.

    A served model is asked about the first rows to find them out.

    Raises
    ------
    ConfigurationError
        If rows have labels that the model cannot answer.
    """
    problem = get_problem(model.problem)
    wanted = sorted(set(problem.labels_in(*_columns(rows))))
    if model.served:
        if not problem.has_label:
            return model.model_copy(update={"labels": tuple(wanted), "full": False})
        return _probed(model, rows, wanted)
    if model.kind == "directory" and problem.name == "question_answering":
        return model.model_copy(update={"unanswerable": _some_unanswerable(rows)})
    labels = _own_labels(model)
    if labels:
        _refuse_foreign(model, labels, wanted)
    return model.model_copy(update={"labels": labels})


def _columns(rows: Sequence[Row]) -> tuple[list[Any], list[Any]]:
    return [row["label"] for row in rows], [row["target"] for row in rows]


def _some_unanswerable(rows: Sequence[Row]) -> bool:
    from pipeline_steps.problems.question_answering import answers

    return not all(answers(row["target"]) for row in rows)


def _own_labels(model: NamedModel) -> tuple[str, ...]:
    if model.kind == "checkpoint":
        from pipeline_steps.inference.checkpoint import load_checkpoint

        problem = get_problem(model.problem)
        labelled = problem.has_label or problem.name in ("ner", "multi_label_classification")
        return load_checkpoint(model.path, verify=False).labels if labelled else ()
    from pipeline_steps.inference.foreign import label_names
    from pipeline_steps.problem_defaults import WRITING

    return () if model.problem in WRITING else label_names(model.path, model.renamed)


def _probed(model: NamedModel, rows: Sequence[Row], wanted: list[str]) -> NamedModel:
    victim = opened_victim(model)
    assert isinstance(victim, ServedVictim)  # noqa: S101 - what is served is one
    told = victim.said(rows[:_PROBED])
    sets = {frozenset(said.scores or ()) for said in told}
    if len(sets) == 1 and (labels := tuple(sorted(sets.pop()))):
        _refuse_foreign(model, labels, wanted)
        return model.model_copy(update={"labels": labels, "full": True})
    answered = {said.label for said in told}
    if not answered & set(wanted):
        _refuse_foreign(model, sorted(answered), wanted)
    return model.model_copy(update={"labels": tuple(wanted), "full": False})


def _refuse_foreign(model: NamedModel, labels: Sequence[str], wanted: Sequence[str]) -> None:
    """Refuse labels of rows that no answer can be."""
    # A tag's prefix is a matter of the scheme: what counts is the type.
    known = {type_of(label) for label in labels} if model.problem == "ner" else set(labels)
    unknown = [
        name for name in wanted if (type_of(name) if model.problem == "ner" else name) not in known
    ]
    if not unknown:
        return
    free = next((label for label in labels if label not in wanted), labels[0])
    example = f"--label {free}={unknown[0]}"
    raise ConfigurationError(
        f"the rows have labels that the model does not answer: {', '.join(unknown[:10])}",
        expected=f"labels among those of the model: {', '.join(labels[:20])}",
        fix=f"say which is which, once for each label: {example}; or remove these rows",
    )


def type_of(tag: str) -> str:
    """Return the type that a tag speaks of, without its prefix."""
    return tag[2:] if tag[1:2] == "-" else tag


def _of_checkpoint(model: NamedModel, problem: str | None) -> NamedModel:
    from pipeline_steps.inference.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(model.path)
    if problem not in (None, checkpoint.problem) or model.renamed:
        asked = f"--problem {problem}" if problem not in (None, checkpoint.problem) else "--label"
        raise ConfigurationError(
            f"{asked}, and {model.address} is a checkpoint for {checkpoint.problem} whose labels "
            "are those of its data",
            expected="a checkpoint of Holdfast as it is",
            fix=f"leave {asked.split(maxsplit=1)[0]} out",
        )
    return model.model_copy(
        update={
            "problem": checkpoint.problem,
            "digest": checkpoint.digest,
            "masked_model": checkpoint.base_model,
        }
    )


def _of_directory(model: NamedModel, problem: str | None) -> NamedModel:
    from pipeline_steps.inference.foreign import problem_of_directory

    found = problem_of_directory(model.path, problem)
    return model.model_copy(update={"problem": found, "digest": directory_digest(model.path)})


def _of_mlflow(model: NamedModel, problem: str | None) -> NamedModel:
    loaded = _loaded(model)
    found = loaded.problem or problem or _CLASSES
    if problem not in (None, found):
        raise ConfigurationError(
            f"--problem is {problem}, and {model.address} is for {found}",
            expected="what the model was registered for",
            fix="leave --problem out",
        )
    return model.model_copy(update={"problem": found, "digest": loaded.digest})


def _of_endpoint(model: NamedModel, problem: str | None) -> NamedModel:
    """Return an endpoint, named by its address: what answers there may be another one tomorrow."""
    from pipeline_steps.inference.endpoint import shown_url

    header_values(model.headers)
    digest = value_digest({"address": shown_url(model.address), "format": model.format})
    return model.model_copy(update={"problem": problem or _CLASSES, "digest": digest})


_IDENTIFIED: Mapping[str, Any] = {
    "checkpoint": _of_checkpoint,
    "directory": _of_directory,
    "mlflow": _of_mlflow,
    "endpoint": _of_endpoint,
}


def _loaded(model: NamedModel) -> LoadedModel:
    return _load_once(model.address, model.tracking_uri)


@cache
def _load_once(address: str, tracking_uri: str | None) -> LoadedModel:
    """Return a model: it says what it is for, is probed and then asked, loaded once."""
    from pipeline_steps.registry.loaded_model import LoadedModel

    return LoadedModel(address, tracking_uri)


class _Pyfunc:
    """Asks a model that MLflow loads, in the form in which it says that it reads."""

    def __init__(self, model: NamedModel) -> None:
        self.model = model
        self.loaded = _loaded(model)

    def __call__(self, requests: Sequence[Mapping[str, Any]]) -> Asked:
        columns = self.loaded.columns
        bare = self.model.send_as == BARE or (self.model.send_as is None and columns is None)
        if bare:
            return [(self.loaded.ask(requests, as_frame=False), len(requests))]
        sent = [_sent(request, self._names(request, columns)) for request in requests]
        return [(self.loaded.ask(sent, as_frame=True), len(sent))]

    def _names(self, request: Mapping[str, Any], columns: list[str] | None) -> dict[str, str]:
        """Return field of a request -> column of the model."""
        if self.model.send_as is not None:
            return {next(iter(request)): self.model.send_as}
        known = columns or []
        if set(request) <= set(known):
            return {}
        if len(request) == len(known) == 1:
            return {next(iter(request)): known[0]}
        raise ConfigurationError(
            f"the model reads the columns {', '.join(known)}",
            expected=f"{', '.join(request)}, as {self.model.problem} is asked, or one column",
            fix="say which of them holds the text: --send-as COLUMN",
        )


class _HttpAsker:
    """Asks a model behind an address."""

    def __init__(self, model: NamedModel) -> None:
        from pipeline_steps.inference.endpoint import Endpoint

        self.send_as = model.send_as
        self.endpoint = Endpoint(
            model.address,
            model.format,
            header_values(model.headers),
            model.timeout,
            model.batch_rows,
        )

    def __call__(self, requests: Sequence[Mapping[str, Any]]) -> Asked:
        named = self.send_as not in (None, BARE)
        names = {next(iter(requests[0])): str(self.send_as)} if named else {}
        return self.endpoint.ask([_sent(request, names) for request in requests])


def _sent(request: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(field, field): value for field, value in request.items()}
