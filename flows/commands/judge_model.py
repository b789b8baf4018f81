"""``holdfast evaluate --model`` and ``holdfast attack --model``: any model, and no workspace."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flows.commands import attack_lines as attacks
from flows.commands import evaluate as evaluations
from flows.commands.raw_columns import named_columns
from flows.foreign.attacking import attack_model
from flows.foreign.judging import Asked, Evaluated, evaluate_model
from flows.foreign.named import NamedModel, kind_of, pairs_of, registry_of
from flows.pipeline import Call
from pipeline_steps import __version__
from pipeline_steps.errors import ConfigurationError, UsageError, counted
from pipeline_steps.files import write_text_atomically
from pipeline_steps.judging_params import EvaluateParams
from pipeline_steps.reporting.attack_page import render_attack_page
from pipeline_steps.reporting.model_report import ModelRecord, render_model_report

_FURTHER_ROWS = ("suite", "noise", "rewrite", "behaviour")
_UNASKED = {"workers": 1}
_MLFLOW_PATH = "/invocations"


def evaluate_any(
    options: Mapping[str, Any], bounds: Mapping[str, int | None] | None = None, *, call: Call
) -> Evaluated:
    """Return the evaluation that options of the command line ask for; the report is written.

    ``bounds``: of ``certify`` and ``ball``, of how many rows.
    """
    found = evaluate_model(_asked(options), EvaluateParams(), bounds or {}, call=call)
    return _reported(found, options["report"])


def attack_any(
    options: Mapping[str, Any],
    settings: Mapping[str, Any],
    *,
    call: Call,
    against: str | None = None,
    floor: float | None = None,
    html: Path | None = None,
) -> Evaluated:
    """Return the attacks that options of the command line ask for; the report is written.

    ``against``: another model, asked by the same options. ``html``: where a page of it is written.

    Raises
    ------
    UsageError
        If an option names rows that an attack does not look at.
    """
    beside = next((name for name in _FURTHER_ROWS if options[name]), None)
    if beside is not None:
        raise UsageError(
            f"--{beside} with an attack, which changes the rows of --data",
            expected="rows to attack, and no others",
            fix=f"leave --{beside} out; holdfast evaluate takes it",
        )
    other = None if against is None else _named({**options, "model": against}, "--against")
    found = attack_model(
        _asked(options), settings, EvaluateParams(), call=call, other=other, floor=floor
    )
    if html is not None and found.under_attack is not None:
        both = " beside ".join(_shown(each) for each in (found.model, found.against) if each)
        write_text_atomically(html, render_attack_page(both, found.under_attack))
    return _reported(found, options["report"])


def refuse_mixture(
    options: Mapping[str, Any], workspace: Path, of_version: Mapping[str, Any]
) -> None:
    """Refuse options of a workspace's version beside those of another model.

    ``of_version``: those that only a version has; ``None`` where one was not given.

    Raises
    ------
    UsageError
        If they do not go together.
    """
    given = [name for name, value in options.items() if value not in (None, [], _UNASKED.get(name))]
    if options["model"] is None:
        if given:
            raise UsageError(
                f"--{given[0].replace('_', '-')} without --model",
                expected="--model DIR, URI or address, or options of a workspace's version",
                fix="name the model, or leave the option out",
            )
        return
    places = {**of_version, "workspace": None if workspace == Path() else workspace}
    beside = next((name for name, value in places.items() if value is not None), None)
    if beside is not None:
        raise UsageError(
            f"--model beside --{beside.replace('_', '-')}",
            expected="a model of its own, or a version of a workspace",
            fix="leave one of them out",
        )
    if options["data"] is None:
        raise UsageError(
            "--model without --data",
            expected="the rows to judge it on",
            fix="name a file: --data FILE",
        )


def lines(found: Evaluated) -> str:
    """Return the metrics of each suite, or the attacks, and what was not measured or set aside."""
    told = (
        evaluations.lines(found.reports)
        if found.under_attack is None
        else attacks.attack_lines(found.attacks, found.under_attack)
    )
    reports = [*found.reports, *(attack.report for attack in found.attacks)]
    lacking = dict.fromkeys(said for report in reports for said in report.not_measured)
    aside = [
        f"{name}: {counted(sum(reasons.values()), 'row')} set aside "
        f"({', '.join(f'{reason} {n}' for reason, n in sorted(reasons.items()))})"
        for name, reasons in found.set_aside.items()
    ]
    return "\n".join([told, *(f"not measured: {said}" for said in lacking), *aside])


def _asked(options: Mapping[str, Any]) -> Asked:
    columns = {
        **named_columns(options["column"] or []),
        "text": options["text_column"],
        "label": options["label_column"],
    }
    return Asked(
        model=_named(options),
        problem=options["problem"],
        data=options["data"],
        columns=columns,
        suites=tuple(options["suite"] or ()),
        noise=tuple(options["noise"] or ()),
        rewrite=tuple(options["rewrite"] or ()),
        behaviour=options["behaviour"],
        workers=options["workers"],
        directory=options["report"],
    )


def _named(options: Mapping[str, Any], option: str = "--model") -> NamedModel:
    address = options["model"]
    kind = kind_of(address, option)
    if kind in ("checkpoint", "directory") or Path(address).is_dir():
        address = str(Path(address).expanduser().resolve())
    forms = {"huggingface", "mlflow", "holdfast"}
    usual = "mlflow" if address.partition("?")[0].endswith(_MLFLOW_PATH) else "huggingface"
    form = options["format"] or usual
    if form not in forms:
        raise ConfigurationError(
            f"--format {form}", expected=" or ".join(sorted(forms)), fix="name one of them"
        )
    own = kind == "checkpoint" and option != "--model"  # its labels are those of its data
    values = {
        "address": address,
        "kind": kind,
        "renamed": {} if own else pairs_of(options["label"] or [], "--label", "MODELS=DATAS"),
        "headers": pairs_of(options["header"] or [], "--header", "NAME=VARIABLE"),
        "tracking_uri": registry_of(options["tracking_uri"]),
        "format": form,
        "max_length": options["max_length"],
        "send_as": options["send_as"],
    }
    more = {name: options[name] for name in ("timeout", "batch_rows") if options[name] is not None}
    return NamedModel.model_validate({**values, **more})


def _reported(found: Evaluated, directory: Path | None) -> Evaluated:
    """Write the report where one is asked for."""
    if directory is not None:
        write_text_atomically(directory / "report.html", render_model_report(_record(found)))
        content = json.dumps(public(found), ensure_ascii=False, indent=1)
        write_text_atomically(directory / "report.json", content)
    return found


def public(found: Evaluated) -> dict[str, Any]:
    """Return an evaluation as JSON has it, without what may be a secret."""
    content = found.model_dump(mode="json")
    model: dict[str, Any] = content["model"]
    model["address"] = _shown(found.model)
    model.pop("tracking_uri")  # may hold a password
    if found.against is not None:
        content["against"]["address"] = _shown(found.against)
        content["against"].pop("tracking_uri")
    return content


def _record(found: Evaluated) -> ModelRecord:
    model = found.model
    facts = {
        "model": _shown(model),
        "kind": model.kind,
        "problem": model.problem,
        "digest": model.digest,
        "labels": ", ".join(model.labels),
        "the other model": "" if found.against is None else _shown(found.against),
        "labels renamed": ", ".join(f"{a} = {b}" for a, b in model.renamed.items()),
        "Holdfast": __version__,
    }
    return ModelRecord(
        name=_shown(model),
        facts={name: value for name, value in facts.items() if value},
        sources=found.sources,
        set_aside=found.set_aside,
        reports=found.reports,
        attacks=tuple(each.report for each in found.attacks),
        under_attack=found.under_attack,
        failures=found.failures,
    )


def _shown(model: NamedModel) -> str:
    if model.kind != "endpoint":
        return model.address
    from pipeline_steps.inference.endpoint import shown_url

    return shown_url(model.address)
