"""Models that were not trained here: judged on a file, without a workspace."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from builders import write_jsonl
from foreign_models import (
    NO_OPTIONS,
    Served,
    all_scores,
    best_label,
    best_score,
    classifier,
    save_foreign_model,
    scores_of,
)
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.pipeline import make_pipeline
from tiny_workspaces import sentiment_rows
from warm_commands import WarmCommands

from flows.commands.judge_model import attack_any, evaluate_any, lines, public, refuse_mixture
from flows.foreign.judging import Evaluated
from flows.foreign.named import NamedModel
from flows.foreign.rows import read_judged
from flows.foreign.shards import run_job
from flows.foreign.work import Job, parts_of
from flows.pipeline import call_directly
from pipeline_steps.errors import (
    CheckpointError,
    ConfigurationError,
    DataError,
    EndpointError,
    RegistryError,
    UsageError,
    WorkerError,
)
from pipeline_steps.predictions_file import PredictionTable, read_predictions

LABELS = ("minus", "plus")
SETTINGS = {"recipes": ("deepwordbug", "pruthi"), "n_examples": 40}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_jsonl(tmp_path_factory.mktemp("data") / "rows.jsonl", sentiment_rows(300))


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models") / "tiny"
    return save_foreign_model(path, LABELS, taught=sentiment_rows(64, seed=5))


def evaluated(model: Path | str, data: Path, **options: Any) -> Evaluated:
    asked = {**NO_OPTIONS, "model": str(model), "data": data, **options}
    return evaluate_any(asked, call=call_directly)


def attacked(model: Path | str, data: Path, **options: Any) -> Evaluated:
    asked = {**NO_OPTIONS, "model": str(model), "data": data, **options}
    return attack_any(asked, SETTINGS, call=call_directly)


def value(found: Evaluated, name: str, suite: int = 0) -> float | None:
    metric = found.reports[suite].metric(name)
    assert metric is not None
    return metric.value


def lacks(found: Evaluated, *names: str) -> bool:
    return all(found.reports[0].metric(name) is None for name in names)


@pytest.fixture
def served() -> Iterator[Served]:
    with classifier(Served()) as running:
        yield running


def test_a_directory_is_evaluated_as_transformers_itself_answers(model: Path, data: Path) -> None:
    from transformers import pipeline

    rows = sentiment_rows(300)
    told = pipeline("text-classification", model=str(model), device="cpu")(
        [row["text"] for row in rows], batch_size=16, truncation=True, max_length=64
    )
    said, truth = [answer["label"] for answer in told], [row["label"] for row in rows]
    found = evaluated(model, data)
    assert value(found, "accuracy") == pytest.approx(accuracy_score(truth, said), abs=0)
    assert value(found, "macro_f1") == pytest.approx(f1_score(truth, said, average="macro"))
    assert found.model.labels == LABELS
    assert found.reports[0].not_measured == ()


def test_any_classifier_is_certified_and_one_with_weights_has_its_word_vectors_moved(
    model: Path, data: Path, served: Served, tmp_path: Path
) -> None:
    asked = {**NO_OPTIONS, "model": str(model), "data": data, "report": tmp_path}
    found = evaluate_any(asked, {"certify": 2, "ball": 6}, call=call_directly)
    assert [(r.suite, r.n) for r in found.reports[1:]] == [("certified", 2), ("embedding_ball", 6)]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "What no attack can change" in page
    assert "a bound, not a text attack" in page
    asked |= {"model": served.url, "report": None}
    found = evaluate_any(asked, {"certify": 2}, call=call_directly)
    assert found.reports[-1].kind == "certified"
    with pytest.raises(ConfigurationError, match="a model that runs elsewhere"):
        evaluate_any(asked, {"ball": 2}, call=call_directly)


@pytest.mark.parametrize("kind", ["evaluate", pytest.param("attack", marks=pytest.mark.slow)])
def test_the_result_is_the_same_whatever_the_number_of_workers(
    kind: str, model: Path, data: Path, tmp_path: Path
) -> None:
    run, noise = (evaluated, ["typos:3"]) if kind == "evaluate" else (attacked, [])
    one, two = (run(model, data, workers=n, report=tmp_path / str(n), noise=noise) for n in (1, 2))
    assert [r.metrics for r in one.reports] == [r.metrics for r in two.reports]
    assert [a.results for a in one.attacks] == [a.results for a in two.attacks]
    assert [a.report for a in one.attacks] == [a.report for a in two.attacks]
    files = sorted((tmp_path / "1").rglob("*s/*.parquet"))
    assert len(files) == (4 if kind == "evaluate" else 5)
    for file in files:
        if not file.name.endswith("results.parquet"):  # those carry the seconds that passed
            other = tmp_path / "2" / file.relative_to(tmp_path / "1")
            assert other.read_bytes() == file.read_bytes()


def test_a_killed_worker_is_an_error_that_names_its_shard(
    model: Path, data: Path, tmp_path: Path
) -> None:
    rows = read_judged("text_classification", data, columns={})[0]
    dataset = rows.written(tmp_path / "rows")
    job = Job(
        model=NamedModel(
            address=str(model), kind="directory", problem="text_classification", labels=LABELS
        ),
        parts=tuple(parts_of(dataset, 100, tmp_path)),
    )

    def kill_the_second(_: int) -> None:
        mine = {int(p.name) for p in Path("/proc").glob("[0-9]*") if _is_worker(p, tmp_path)}
        for pid in mine:
            os.kill(pid, signal.SIGKILL)

    with pytest.raises(
        WorkerError, match=r"worker of shard 2 of 2 \(rows test 101-200, .*signal 9"
    ):
        run_job(job, tmp_path, workers=2, progress=kill_the_second)


def _is_worker(process: Path, directory: Path) -> bool:
    try:
        words = (process / "cmdline").read_bytes().decode().split("\0")
    except OSError:
        return False
    return words[3:] == ["flows.foreign.shard_worker", str(directory), "1", "2", ""]


def test_what_a_worker_refuses_is_refused_as_it_says_it(data: Path, tmp_path: Path) -> None:
    dataset = read_judged("text_classification", data, columns={})[0].written(tmp_path / "rows")
    named = NamedModel(
        address="http://127.0.0.1:9/", kind="endpoint", problem="text_classification",
        headers={"Authorization": "NO_SUCH_VARIABLE"},
    )  # fmt: skip
    job = Job(model=named, parts=tuple(parts_of(dataset, 100, tmp_path)))
    with pytest.raises(ConfigurationError, match="NO_SUCH_VARIABLE is no environment variable"):
        run_job(job, tmp_path, workers=2, progress=lambda _: None)


def test_a_report_and_its_numbers_lie_where_they_were_asked_for(
    model: Path, data: Path, tmp_path: Path
) -> None:
    suite = write_jsonl(tmp_path / "later.jsonl", [*sentiment_rows(40, seed=1), {"text": "no"}])
    found = evaluated(
        model, data, suite=[f"later={suite}"], noise=["casing:2"], report=tmp_path / "report"
    )
    assert [(r.suite, r.kind, r.n) for r in found.reports[:-1]] == [
        ("test", "clean", 300), ("later", "shift", 40), ("casing_2", "noise", 300)
    ]  # fmt: skip
    assert (found.reports[-1].suite, found.reports[-1].n) == ("average", 340)
    assert found.set_aside == {"later": {"label_missing": 1}}
    assert found.reports[1].metric("accuracy_gap") is not None
    written = json.loads((tmp_path / "report/report.json").read_text(encoding="utf-8"))
    assert written == public(found)
    page = (tmp_path / "report/report.html").read_text(encoding="utf-8")
    assert "casing_2" in page
    assert "label missing" in page
    assert str(model) in page


def test_what_its_surest_mistakes_leaned_on_is_told_of_a_model_whose_weights_are_here(
    data: Path, served: Served, tmp_path: Path
) -> None:
    path = save_foreign_model(tmp_path / "m", LABELS)
    found = evaluated(path, data, report=tmp_path)
    assert 0 < len(found.failures) <= 8
    assert all(one.truth != one.predicted for one in found.failures)
    assert any(weight for _, weight in found.failures[0].stretches)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "What its surest mistakes leaned on" in page
    assert evaluated(served.url, data).failures == ()


def test_an_attack_shows_what_it_broke(model: Path, data: Path, tmp_path: Path) -> None:
    found = attacked(model, data, report=tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    broken = [r for r in found.attacks[0].results if r.status == "broken"]
    assert broken
    assert "deepwordbug" in page
    assert "Of all attacks together" in page
    assert "What a budget buys" in page
    worst = found.under_attack.worst.accuracy
    assert worst.value <= min(a.accuracy.value for a in found.under_attack.attacks)
    assert f"worst case: {worst.value:.3f}" in lines(found)
    read = re.sub("<ins>.*?</ins>|</?del>", "", page)  # as it was before the marked edits
    assert any(result.original in read for result in broken)
    assert "<ins>" in page


def test_labels_that_do_not_match_are_named_and_can_be_mapped(data: Path, tmp_path: Path) -> None:
    path = save_foreign_model(tmp_path / "m", ("LABEL_0", "LABEL_1"))
    with pytest.raises(ConfigurationError, match="does not answer: minus, plus"):
        evaluated(path, data)
    found = evaluated(path, data, label=["LABEL_0=minus", "LABEL_1=plus"])
    assert value(found, "accuracy") is not None
    with pytest.raises(ConfigurationError, match="no label LABEL_7"):
        evaluated(path, data, label=["LABEL_7=minus"])
    with pytest.raises(ConfigurationError, match="two outputs of one name"):
        evaluated(path, data, label=["LABEL_0=plus", "LABEL_1=plus"])


def test_weights_that_are_not_safetensors_are_not_read(data: Path, tmp_path: Path) -> None:
    path = save_foreign_model(tmp_path / "m", LABELS)
    (path / "model.safetensors").rename(path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"no model\.safetensors"):
        evaluated(path, data)


def test_a_model_that_predicts_a_number_is_refused(data: Path, tmp_path: Path) -> None:
    path = save_foreign_model(tmp_path / "m", ["LABEL_0"])
    with pytest.raises(CheckpointError, match="it predicts a number"):
        evaluated(path, data)


def test_a_base_model_without_a_trained_head_is_refused(data: Path, tmp_path: Path) -> None:
    from tiny_models import save_tiny_model

    path = save_tiny_model(tmp_path / "base")
    with pytest.raises(ConfigurationError, match="holds BertModel"):
        evaluated(path, data)
    names = ["LABEL_0=minus", "LABEL_1=plus"]
    with pytest.raises(CheckpointError, match=r"has no weights for classifier\.bias"):
        evaluated(path, data, problem="text_classification", label=names)


def test_what_names_nothing_is_refused_with_what_can_be_named(data: Path) -> None:
    with pytest.raises(ConfigurationError, match="no directory, MLflow URI or HTTP address"):
        evaluated("nothing/here", data)


def test_options_of_a_version_and_of_a_model_do_not_mix(data: Path) -> None:
    with pytest.raises(UsageError, match="--noise without --model"):
        refuse_mixture({**NO_OPTIONS, "noise": ["typos"]}, Path(), {})
    with pytest.raises(UsageError, match="--model beside --version"):
        refuse_mixture({**NO_OPTIONS, "model": "m", "data": data}, Path(), {"version": 3})
    with pytest.raises(UsageError, match="--model beside --workspace"):
        refuse_mixture({**NO_OPTIONS, "model": "m", "data": data}, Path("w"), {"version": None})
    with pytest.raises(UsageError, match="--model without --data"):
        refuse_mixture({**NO_OPTIONS, "model": "m"}, Path(), {})


def test_what_only_a_version_can_be_asked_is_refused_of_a_model(
    data: Path, holdfast: WarmCommands, tmp_path: Path
) -> None:
    asked = ("attack", "--model", "m", "--data", str(data), "--training-texts", "texts.parquet")
    ended = holdfast(*asked, cwd=tmp_path)
    assert ended.code == 2
    assert "--model beside --training-texts" in ended.stderr


@pytest.mark.parametrize("form", ["huggingface", "mlflow"])
def test_an_endpoint_that_tells_all_scores_is_judged_like_a_model(
    form: str, served: Served, data: Path, tmp_path: Path
) -> None:
    if form == "mlflow":
        served.answer = scores_of
    found = evaluated(served.url, data, format=form, batch_rows=50, report=tmp_path)
    table = read_predictions(tmp_path / "predictions/test.parquet")
    assert isinstance(table, PredictionTable)
    shares = np.exp(table.logits) / np.exp(table.logits).sum(axis=1, keepdims=True)
    wanted = [[scores_of(r["text"])[name] for name in LABELS] for r in sentiment_rows(300)]
    assert table.labels == LABELS
    assert np.allclose(shares, wanted, atol=1e-6)
    assert value(found, "accuracy") == 1.0
    assert value(found, "nll") is not None


def test_an_endpoint_that_tells_the_best_label_lacks_what_needs_all_and_says_why(
    served: Served, data: Path
) -> None:
    served.answer = best_score
    found = evaluated(served.url, data)
    assert lacks(found, "nll", "brier", "classwise_ece")
    assert value(found, "ece") is not None
    assert found.reports[0].not_measured == (
        "NLL, Brier, classwise ECE: the model gave no probability of each label",
    )
    served.answer = best_label
    found = evaluated(served.url, data)
    assert lacks(found, "ece", "adaptive_ece", "aurc")
    assert value(found, "accuracy") == 1.0
    assert found.reports[0].risk_coverage == () == found.reports[0].reliability


@pytest.mark.parametrize("answer", [all_scores, best_score, best_label])
def test_an_endpoint_is_attacked_by_its_answers_alone(
    answer: Any, served: Served, data: Path
) -> None:
    served.answer = answer
    [first, _] = attacked(served.url, data).attacks
    broken = [r for r in first.results if r.status == "broken"]
    assert len(broken) > 10  # "bad" is what it reads; a text without either is taken for good
    for result in broken:
        assert best_label(result.perturbed) == result.prediction != result.truth


def test_gradients_of_an_endpoint_are_refused_with_what_works(served: Served, data: Path) -> None:
    asked = {**NO_OPTIONS, "model": served.url, "data": data}
    with pytest.raises(ConfigurationError, match="gives none") as refused:
        attack_any(asked, {"recipes": ("hotflip",)}, call=call_directly)
    assert "deepwordbug" in refused.value.fix


def test_an_attack_that_needs_an_unknown_base_model_is_refused_before_anything_is_asked(
    served: Served, model: Path, data: Path
) -> None:
    for address in (served.url, str(model)):
        asked = {**NO_OPTIONS, "model": address, "data": data}
        with pytest.raises(ConfigurationError, match="bae asks the masked-language head"):
            attack_any(asked, {"recipes": ("deepwordbug", "bae")}, call=call_directly)


def test_a_busy_endpoint_is_asked_again_and_a_broken_one_is_not(served: Served, data: Path) -> None:
    served.statuses = [503, 429, 503]
    assert value(evaluated(served.url, data, batch_rows=300), "accuracy") == 1.0
    n = len(served.bodies)
    served.statuses = [500]
    with pytest.raises(EndpointError, match="answered 500: no"):
        evaluated(served.url, data)
    assert len(served.bodies) == n + 1
    served.statuses = [503] * 20
    with pytest.raises(EndpointError, match="answered 503 after 6 requests"):
        evaluated(served.url, data)


def test_a_header_comes_from_the_environment_and_is_in_no_message(
    served: Served, data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    header = {"header": ["Authorization=ENDPOINT_KEY"]}
    with pytest.raises(ConfigurationError, match="ENDPOINT_KEY is no environment variable"):
        evaluated(served.url, data, **header)
    with pytest.raises(ConfigurationError, match="what stands behind the =") as refused:
        evaluated(served.url, data, header=["Authorization=Bearer s3cret"])
    assert "s3cret" not in str(refused.value)
    monkeypatch.setenv("ENDPOINT_KEY", "Bearer s3cret")
    found = evaluated(served.url, data, report=tmp_path, **header)
    assert served.headers[-1]["Authorization"] == "Bearer s3cret"
    assert "s3cret" not in json.dumps(public(found))
    assert not [f for f in tmp_path.rglob("*") if f.is_file() and b"s3cret" in f.read_bytes()]
    address = served.url.replace("//", "//ada:pass@") + "?key=q"
    for named in (header, {}):
        served.statuses = [401]
        with pytest.raises(EndpointError, match=r"answered 401: no: ") as echoed:
            evaluated(address, data, **named)
        secrets = ("s3cret", "pass", "=q", "YWRhOnBhc3M")
        assert not [word for word in secrets if word in str(echoed.value)]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda _: 0.5, "an answer that is no label: 0.5"),
        (lambda _: None, "an answer that is no label: null"),
        (lambda _: [3.1, -2.0], "add up to 1.100"),
        (lambda _: {"label": "plus", "score": 7.5}, "a score of 7.5"),
        (lambda _: [], r"an answer that is no label: \[\]"),
    ],
)
def test_garbage_is_refused_with_what_it_looked_like(
    answer: Any, said: str, served: Served, data: Path
) -> None:
    served.answer = answer
    with pytest.raises(DataError, match=said):
        evaluated(served.url, data)


def test_a_page_a_silence_and_a_closed_port_are_told_apart(served: Served, data: Path) -> None:
    served.page = "<html>welcome</html>"
    with pytest.raises(EndpointError, match="answered with no JSON: <html>welcome"):
        evaluated(served.url, data)
    served.page, served.seconds = None, 5.0
    with pytest.raises(EndpointError, match=r"did not answer within 0\.2 s"):
        evaluated(served.url, data, timeout=0.2)
    with pytest.raises(EndpointError, match="cannot be reached"):
        evaluated("http://127.0.0.1:9/predict", data)


def test_too_few_answers_are_refused(served: Served, data: Path) -> None:
    served.page = '{"predictions": ["plus"]}'
    with pytest.raises(DataError, match="1 answer to 16 rows"):
        evaluated(served.url, data)


def test_an_endpoint_whose_labels_are_others_is_refused(served: Served, data: Path) -> None:
    served.answer = lambda _: {"label": "LABEL_1", "score": 0.9}
    with pytest.raises(ConfigurationError, match="among those of the model: LABEL_1"):
        evaluated(served.url, data)
    assert value(evaluated(served.url, data, label=["LABEL_1=plus"]), "accuracy") == 0.5


@pytest.mark.filterwarnings("ignore:.*type hint:UserWarning")
def test_a_scikit_learn_model_of_mlflow_is_judged_by_labels_or_probabilities(
    data: Path, tmp_path: Path
) -> None:
    rows = sentiment_rows(60, seed=3)
    texts, truth = [row["text"] for row in rows], [row["label"] for row in rows]
    fitted = make_pipeline(CountVectorizer(), LogisticRegression()).fit(texts, truth)
    for name in ("predict", "predict_proba"):
        mlflow.sklearn.save_model(
            fitted, tmp_path / name, pyfunc_predict_fn=name, pip_requirements=["scikit-learn"]
        )
    wanted = fitted.score(
        *zip(*((r["text"], r["label"]) for r in sentiment_rows(300)), strict=False)
    )
    by_label = evaluated(tmp_path / "predict", data)
    assert value(by_label, "accuracy") == wanted
    assert lacks(by_label, "ece", "nll")
    with pytest.raises(ConfigurationError, match="among those of the model: 0, 1"):
        evaluated(tmp_path / "predict_proba", data)
    names = ["0=minus", "1=plus"]
    by_share = evaluated(tmp_path / "predict_proba", data, label=names)
    assert value(by_share, "accuracy") == wanted
    assert value(by_share, "nll") is not None


def test_a_registered_version_is_judged_by_its_uri_and_by_its_directory(
    holdfast: WarmCommands, trained: tuple[Path, dict[str, Any]], data: Path
) -> None:
    root, _ = trained
    checkpoint = next((root / ".holdfast/checkpoints").iterdir())
    uri = f"sqlite:///{root}/.holdfast/mlflow.db"
    said = []
    for name in (str(checkpoint), f"models:/{root.name}/1"):
        ended = holdfast(
            "evaluate", "--model", name, "--data", str(data), "--tracking-uri", uri, "--json",
            cwd=data.parent,
        )  # fmt: skip
        assert ended.code == 0, ended.stderr
        said.append(ended.printed["reports"][0])
    ours, theirs = ({m["name"]: m["value"] for m in report["metrics"]} for report in said)
    assert theirs["accuracy"] == ours["accuracy"]
    assert theirs["ece"] == pytest.approx(ours["ece"], abs=1e-6)
    assert "nll" in ours
    assert "nll" not in theirs
    assert said[1]["not_measured"]


@pytest.mark.filterwarnings("ignore:.*type hint:UserWarning")
@pytest.mark.parametrize("name", ["models:/nobody/1", "models:/{}@nobody", "runs:/abc"])
def test_a_name_that_the_registry_has_not_is_to_be_mended_and_not_the_server(
    name: str, trained: tuple[Path, dict[str, Any]], data: Path
) -> None:
    uri = f"sqlite:///{trained[0]}/.holdfast/mlflow.db"
    with pytest.raises(RegistryError, match=r"cannot be loaded[\s\S]*mend the name") as refused:
        evaluated(name.format(trained[0].name), data, tracking_uri=uri)
    assert "--tracking-uri" in refused.value.fix
    assert "HOLDFAST_MLFLOW_TRACKING_URI" not in refused.value.fix


@pytest.mark.filterwarnings("ignore:.*type hint:UserWarning")
def test_a_directory_with_mlmodel_that_cannot_be_asked_is_named(data: Path, tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text("flavors: {}\n", encoding="utf-8")
    with pytest.raises(RegistryError, match=r"cannot be loaded: .*python_function"):
        evaluated(tmp_path, data)


def test_a_registry_that_is_not_there_is_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="and none is named"):
        evaluated("models:/m/1", data)
    with pytest.raises(RegistryError, match="there is no database"):
        evaluated("models:/m/1", data, tracking_uri=f"sqlite:///{tmp_path}/x.db")
    assert not (tmp_path / "x.db").exists()
