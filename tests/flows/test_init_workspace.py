"""``holdfast init``: from the user's own file to a workspace, in one command."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from flows.commands import init as init_module
from flows.commands import raw_tracking
from flows.commands.init import init_workspace
from pipeline_steps.data_preparation.readers import RowReader
from pipeline_steps.errors import ConfigurationError, DataError, HoldfastError
from pipeline_steps.params import load_params
from pipeline_steps.search_params import TuneParams

REPOSITORY = Path(__file__).resolve().parents[2]
CSV = "text,label\nhello there,greet\nbye,leave\n"


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "mine.csv"
    path.write_text(CSV, encoding="utf-8")
    return path


@pytest.fixture
def without_dvc(monkeypatch: pytest.MonkeyPatch) -> None:
    """DVC itself is run by the tests that are about it; it takes seconds."""
    monkeypatch.setattr(init_module, "track_raw", lambda directory, files: None)


def init(directory: Path, train: Path, **others: object) -> str:
    files = {"train": train, "valid": others.pop("valid", None), "test": others.pop("test", None)}
    return init_workspace(directory, problem="text_classification", files=files, **others)


def contents(directory: Path) -> dict[str, bytes]:
    return {
        p.relative_to(directory).as_posix(): p.read_bytes()
        for p in sorted(directory.rglob("*"))
        if p.is_file() and ".dvc" not in p.parts
    }


def test_a_new_workspace_has_all_that_the_next_command_needs(tmp_path: Path, rows: Path) -> None:
    message = init(tmp_path / "my model", rows)
    root = tmp_path / "my model"
    assert f"cd '{root}' && holdfast train" in message
    assert (root / "data/raw/train.csv").read_text() == CSV
    recorded = yaml.safe_load((root / "data/raw/train.csv.dvc").read_text())["outs"][0]
    assert recorded["path"] == "train.csv"
    assert "analytics = false" in (root / ".dvc/config").read_text()
    assert load_params(root / "params.yaml").register_.model_name == "my-model"
    status = subprocess.run(
        [sys.executable, "-P", "-m", "dvc", "status", "--json", "data/raw/train.csv.dvc"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(status.stdout) == {}


@pytest.mark.usefixtures("without_dvc")
def test_the_original_is_neither_changed_nor_linked(tmp_path: Path, rows: Path) -> None:
    """An edit of the user's file must not reach the workspace, nor DVC's cache."""
    init(tmp_path / "w", rows)
    assert not (tmp_path / "w/data/raw/train.csv").samefile(rows)
    rows.write_text("text,label\nother,x\n")
    assert (tmp_path / "w/data/raw/train.csv").read_text() == CSV


@pytest.mark.usefixtures("without_dvc")
@pytest.mark.parametrize(
    ("given", "roles", "fractions"),
    [
        ((), ["auto"], (0.1, 0.2)),
        (("test",), ["auto", "test"], (0.1, 0.0)),
        (("valid",), ["auto", "valid"], (0.0, 0.2)),
        (("valid", "test"), ["train", "valid", "test"], (0.0, 0.0)),
    ],
)
def test_a_part_with_its_own_file_takes_no_share_of_the_training_file(
    tmp_path: Path,
    rows: Path,
    given: tuple[str, ...],
    roles: list[str],
    fractions: tuple[float, float],
) -> None:
    init(tmp_path / "w", rows, **dict.fromkeys(given, rows))
    params = load_params(tmp_path / "w/params.yaml")
    assert [source.role for source in params.ingest.sources] == roles
    assert (params.split.valid_fraction, params.split.test_fraction) == fractions


@pytest.mark.usefixtures("without_dvc")
def test_suites_and_raw_files_are_dependencies_of_ingest(tmp_path: Path, rows: Path) -> None:
    init(tmp_path / "w", rows, suites=[f"later={rows}"])
    stages = yaml.safe_load((tmp_path / "w/dvc.yaml").read_text())["stages"]
    raw = ["data/raw/train.csv", "data/raw/suite-later.csv"]
    assert stages["ingest"]["deps"] == ["data/code_version.json", *raw, "data/additions"]
    sources = load_params(tmp_path / "w/params.yaml").ingest.sources
    assert [source.path for source in sources] == raw
    assert sources[1].role == "suite:later"


def test_the_stages_are_those_of_the_sample_workspace() -> None:
    """Two graphs of one pipeline would rot apart."""
    own = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"]
    text = (REPOSITORY / "flows/templates/dvc.yaml.in").read_text()
    made = yaml.safe_load(text.replace("$raw_dependencies", ""))["stages"]
    own.pop("generate")
    for stages in (own, made):
        stages["ingest"]["deps"] = stages["ingest"]["deps"][:1]
    assert made == own


def test_a_second_time_changes_nothing_and_says_so(tmp_path: Path, rows: Path) -> None:
    init(tmp_path / "w", rows)
    (tmp_path / "w/params.yaml").write_text("edited: by the user\n")
    before = contents(tmp_path / "w")
    assert "nothing was changed" in init(tmp_path / "w", rows)
    assert contents(tmp_path / "w") == before


@pytest.mark.usefixtures("without_dvc")
def test_a_directory_with_other_content_is_refused_unless_forced(
    tmp_path: Path, rows: Path
) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w/thesis.txt").write_text("irreplaceable")
    with pytest.raises(ConfigurationError, match="is not empty"):
        init(tmp_path / "w", rows)
    assert list(contents(tmp_path / "w")) == ["thesis.txt"]
    init(tmp_path / "w", rows, force=True)
    assert (tmp_path / "w/thesis.txt").read_text() == "irreplaceable"
    assert (tmp_path / "w/params.yaml").exists()


@pytest.mark.usefixtures("without_dvc")
def test_force_keeps_the_users_own_texts_and_adds_to_what_is_ignored(
    tmp_path: Path, rows: Path
) -> None:
    root = tmp_path / "w"
    root.mkdir()
    (root / "README.md").write_text("# my thesis\n")
    (root / ".gitignore").write_text("secrets.env")
    (root / ".dvcignore").write_text("drafts\n")
    init(root, rows, force=True)
    assert (root / "README.md").read_text() == "# my thesis\n"
    ignored = (root / ".gitignore").read_text().splitlines()
    assert ignored[:2] == ["secrets.env", ".holdfast/"]
    assert ignored.index("/data/raw/*") < ignored.index("!/data/raw/*.dvc")
    assert (root / ".dvcignore").read_text().splitlines()[:2] == ["drafts", ".holdfast"]
    before = contents(root)
    init(root, rows, force=True)
    assert contents(root) == before


@pytest.mark.usefixtures("without_dvc")
def test_nothing_is_written_when_the_input_is_refused(tmp_path: Path, rows: Path) -> None:
    with pytest.raises(DataError, match="has no column 'lable'; did you mean 'label'"):
        init(tmp_path / "w", rows, columns={"label": "lable"})
    assert not (tmp_path / "w").exists()


@pytest.mark.usefixtures("without_dvc")
@pytest.mark.parametrize("name", ["MINE.CSV", "mine.csv.gz", "MINE.CSV.GZ"])
def test_an_ending_in_capitals_means_the_same(tmp_path: Path, name: str) -> None:
    packed = name.lower().endswith(".gz")
    (tmp_path / name).write_bytes(gzip.compress(CSV.encode()) if packed else CSV.encode())
    init(tmp_path / "w", tmp_path / name)
    [source] = load_params(tmp_path / "w/params.yaml").ingest.sources
    assert source.path == "data/raw/train.csv" + ".gz" * packed
    rows = list(RowReader(tmp_path / "w" / source.path))
    assert [row.fields["label"] for row in rows] == ["greet", "leave"]


@pytest.mark.usefixtures("without_dvc")
@pytest.mark.parametrize("suites", [["later"], ["=x.csv"], ["a=x.csv", "a=y.csv"]])
def test_a_suite_is_a_name_and_a_file(tmp_path: Path, rows: Path, suites: list[str]) -> None:
    with pytest.raises(ConfigurationError, match=r"NAME=FILE|two suites are called 'a'"):
        init(tmp_path / "w", rows, suites=suites)


@pytest.mark.parametrize("name", ["train", "valid", "test", "calibration"])
def test_a_suite_that_would_stand_in_the_place_of_another_report_is_refused(
    tmp_path: Path, rows: Path, name: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} is the name of a split") as refusal:
        init(tmp_path / "w", rows, suites=[f"{name}={rows}"])
    assert f"--suite other={rows}" in refusal.value.fix
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize(
    ("option", "given", "fix"),
    [
        ("train", {"train": Path("mime.csv")}, "--train mine.csv"),
        ("valid", {"valid": Path("mine.tsv")}, "--valid mine.csv"),
        ("test", {"test": Path("zzz")}, "--test FILE, as it is really called"),
        ("suite", {"suites": ["later=mine.cvs"]}, "--suite later=mine.csv"),
    ],
)
def test_a_file_that_is_not_there_is_looked_for_nearby(
    tmp_path: Path,
    rows: Path,
    monkeypatch: pytest.MonkeyPatch,
    option: str,
    given: dict[str, object],
    fix: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"there is no (mi|zzz)") as refusal:
        init(tmp_path / "w", **{"train": rows, **given})
    assert fix == refusal.value.fix
    assert f"{tmp_path} has mine.csv" in refusal.value.expected
    assert not (tmp_path / "w").exists()


@pytest.mark.usefixtures("without_dvc")
def test_a_directory_that_is_not_there_is_named(tmp_path: Path, rows: Path) -> None:
    with pytest.raises(DataError, match=r"nor a directory .*nowhere") as refusal:
        init(tmp_path / "w", tmp_path / "nowhere" / rows.name)
    assert refusal.value.fix.endswith("--train FILE")


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        ("a.csv", "", None),
        ("a.txt", "hello\n", None),
        ("a.csv", CSV, {"text": "txt"}),
        ("a.csv", "foo,bar\n1,2\n", None),
    ],
)
def test_no_refusal_of_init_sends_to_a_params_yaml_that_is_not_there(
    tmp_path: Path, name: str, content: str, columns: dict[str, str | None] | None
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=name) as refusal:
        init(tmp_path / "w", tmp_path / name, columns=columns)
    assert "params.yaml" not in str(refusal.value)


def test_a_file_where_a_directory_belongs_is_refused(rows: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"mine\.csv is a file"):
        init(rows, rows)
    assert rows.read_text() == CSV


def test_an_unknown_problem_names_the_known_ones(tmp_path: Path, rows: Path) -> None:
    with pytest.raises(ConfigurationError, match="text_classification"):
        init_workspace(tmp_path / "w", problem="divination", files={"train": rows})
    with pytest.raises(ConfigurationError, match="did you mean 'text_classification'") as refusal:
        init_workspace(tmp_path / "w", problem="classification", files={"train": rows})
    assert refusal.value.fix.endswith("--problem text_classification")


@pytest.mark.parametrize("delay", [0.05, 0.6, 1.0, 1.6])
def test_a_killed_init_goes_on_to_the_same_workspace(
    tmp_path: Path, rows: Path, delay: float
) -> None:
    code = (
        "import sys; from pathlib import Path; from flows.commands.init import init_workspace\n"
        "print('started', flush=True)\n"
        "init_workspace(Path(sys.argv[1]), problem='text_classification',"
        " files={'train': Path(sys.argv[2])})"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "w"), str(rows)],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert child.stdout is not None
    child.stdout.readline()
    time.sleep(delay)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    init(tmp_path / "w", rows)
    init(tmp_path / "fresh" / "w", rows)
    assert contents(tmp_path / "w") == contents(tmp_path / "fresh" / "w")


def left_unfinished(root: Path, rows: Path) -> Path:
    """Return a workspace whose init was killed after it had claimed the directory."""
    init(root, rows)
    record = root / ".holdfast/init.json"
    record.write_text(record.read_text().replace("true", "false"))
    return root


def test_a_lock_record_that_a_kill_tore_does_not_stop_init(tmp_path: Path, rows: Path) -> None:
    root = left_unfinished(tmp_path / "w", rows)
    (root / ".dvc/tmp/rwlock").write_text('{"write": {"/da')
    init(root, rows)
    init(tmp_path / "fresh" / "w", rows)
    assert contents(root) == contents(tmp_path / "fresh" / "w")


@pytest.mark.parametrize(("command", "left"), [("init", ""), ("config", "[core")])
def test_a_config_that_a_killed_dvc_left_unfinished_is_made_anew(
    tmp_path: Path, rows: Path, monkeypatch: pytest.MonkeyPatch, command: str, left: str
) -> None:
    whole = raw_tracking._dvc

    def killed(directory: Path, *arguments: str) -> None:
        whole(directory, *arguments)
        if arguments[0] == command:
            (directory / ".dvc/config").write_text(left)
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(raw_tracking, "_dvc", killed)
        with pytest.raises(KeyboardInterrupt):
            init(tmp_path / "w", rows)
    init(tmp_path / "w", rows)
    init(tmp_path / "fresh" / "w", rows)
    assert contents(tmp_path / "w") == contents(tmp_path / "fresh" / "w")
    configs = [(tmp_path / w / ".dvc/config").read_text() for w in ("w", "fresh/w")]
    assert configs[0] == configs[1]


def test_a_digest_that_a_killed_dvc_left_torn_is_written_anew(tmp_path: Path, rows: Path) -> None:
    root = left_unfinished(tmp_path / "w", rows)
    (root / "data/raw/train.csv.dvc").write_text("outs:\n- md5: 0f")
    init(root, rows)
    init(tmp_path / "fresh" / "w", rows)
    assert contents(root) == contents(tmp_path / "fresh" / "w")


def test_a_project_that_somebody_made_with_dvc_is_kept(tmp_path: Path, rows: Path) -> None:
    root = tmp_path / "w"
    root.mkdir()
    raw_tracking._dvc(root, "init", "--no-scm")
    raw_tracking._dvc(root, "config", "core.autostage", "true")
    before = (root / ".dvc/config").read_text()
    init(root, rows, force=True)
    assert (root / ".dvc/config").read_text() == before


def test_what_dvc_says_when_it_fails_reaches_the_user(tmp_path: Path, rows: Path) -> None:
    root = left_unfinished(tmp_path / "w", rows)
    (root / ".dvc/config").write_text("[core")
    with pytest.raises(HoldfastError, match=r"exit status \d+:\n.*ERROR.*config"):
        init(root, rows)


def test_inside_a_git_repository_the_workspace_is_a_project_of_its_own(
    tmp_path: Path, rows: Path
) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    init(tmp_path / "w", rows)
    assert "no_scm" not in (tmp_path / "w/.dvc/config").read_text()
    ignored = subprocess.run(
        ["git", "check-ignore", "data/raw/train.csv", "data/raw/train.csv.dvc", ".dvc/cache"],
        cwd=tmp_path / "w", capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert ignored == ["data/raw/train.csv", ".dvc/cache"]


@pytest.mark.usefixtures("without_dvc")
def test_every_key_of_params_yaml_has_its_comment(tmp_path: Path, rows: Path) -> None:
    init(tmp_path / "w", rows)
    lines = (tmp_path / "w/params.yaml").read_text().splitlines()
    explained: set[str] = set()
    for number, line in enumerate(lines):
        key = line.strip().removeprefix("- ").partition(":")[0]
        named_by_users = {"test/accuracy", *TuneParams().space}
        if line and not line.lstrip().startswith("#") and key not in named_by_users:
            commented = "  # " in line or lines[number - 1].lstrip().startswith("# ")
            assert commented or key in explained, line  # of a list, the first item is explained
            explained |= (
                {key} if line.lstrip("- ") != line.lstrip() or line[:6].isspace() else set()
            )


@pytest.mark.usefixtures("without_dvc")
@pytest.mark.parametrize(
    ("problem", "row", "expected"),
    [
        (
            "ner",
            {"id": 1, "Words": ["a"], "ner_tags": ["O"]},
            {"tokens": "Words", "tags": "ner_tags"},
        ),
        (
            "multi_label_classification",
            {"comment": "a", "topics": ["x", "y"]},
            {"text": "comment", "labels": "topics"},
        ),
        (
            "relation_extraction",
            {"text": "a b", "head": "a", "head_span": [0, 1], "tail_span": [2, 3], "relation": "x"},
            {
                "text": "text",
                "label": "relation",
                "head_span": "head_span",
                "tail_span": "tail_span",
            },
        ),
        (
            "question_answering",
            {"title": "t", "passage": "a", "question": "b", "answers": []},
            {"context": "passage", "question": "question", "answers": "answers"},
        ),
        (
            "translation",
            {"Source": "a", "text": "x", "translation": "b"},
            {"text": "Source", "target": "translation"},
        ),
        (
            "summarisation",
            {"article": "a", "highlights": "b"},
            {"text": "article", "target": "highlights"},
        ),
        (
            "dialogue",
            {"conversations": [{"from": "human", "value": "a"}]},
            {"messages": "conversations"},
        ),
        (
            "response_selection",
            {"context": "a", "responses": ["b", "c"], "label": 0},
            {"messages": "context", "candidates": "responses", "right": "label"},
        ),
    ],
)
def test_columns_of_every_problem_are_guessed(
    tmp_path: Path, problem: str, row: dict[str, object], expected: dict[str, str]
) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps(row) + "\n")
    init_workspace(tmp_path / "w", problem=problem, files={"train": path})
    params = load_params(tmp_path / "w/params.yaml")
    assert params.problem == problem
    found = {k: v for k, v in params.ingest.columns.model_dump().items() if v is not None}
    assert found == expected


def test_a_preset_is_written_out_key_by_key(tmp_path: Path, rows: Path) -> None:
    files = {"train": rows, "valid": None, "test": None}
    init_workspace(tmp_path / "w", problem="text_classification", files=files, preset="robust")
    params = load_params(tmp_path / "w" / "params.yaml")
    assert params.finetune.normalisation is not None
    assert "known_defence" in params.attack.recipes


def test_an_unknown_preset_names_the_known_ones(tmp_path: Path, rows: Path) -> None:
    files = {"train": rows, "valid": None, "test": None}
    with pytest.raises(ConfigurationError, match="there is no preset sturdy") as caught:
        init_workspace(tmp_path / "w", problem="text_classification", files=files, preset="sturdy")
    assert "robust" in caught.value.expected
    assert not (tmp_path / "w").exists()
