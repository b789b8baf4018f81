"""What the documents say exists: paths, links, commands, options, words, settings, parameters."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from typer.main import get_command

from flows.cli import app
from flows.settings import Settings
from pipeline_steps.params import Params

REPOSITORY = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(?<![\w./-])holdfast +([^\n`#;&|,()]*)")
OTHER_PROGRAMS_OPTIONS = {"--constraint", "--env-manager"}
FILE_ENDINGS = {"py", "yaml", "json", "parquet", "lock"}


def tracked(*patterns: str) -> list[str]:
    """Return the files that git tracks, as they are on disk."""
    if not (REPOSITORY / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "-C", str(REPOSITORY), "ls-files", "-z", *patterns]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
    return [name for name in names if name and (REPOSITORY / name).exists()]


def in_documents(check: Callable[[str], Iterable[str]]) -> dict[str, list[str]]:
    """Return what a check finds in each document, without those where it finds nothing."""
    found = {n: list(check((REPOSITORY / n).read_text(encoding="utf-8"))) for n in tracked("*.md")}
    return {name: problems for name, problems in found.items() if problems}


def code_in(text: str) -> Iterator[str]:
    """Yield fenced blocks and inline code; a span may go over a line's end."""
    yield from FENCE.findall(text)
    yield from spans_in(text)


def spans_in(text: str) -> list[str]:
    return [" ".join(span.split()) for span in SPAN.findall(FENCE.sub("", text))]


def options_of(command: Any) -> set[str]:
    return {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help"}


def all_commands(group: Any) -> Iterator[Any]:
    for command in group.commands.values():
        yield command
        if hasattr(command, "commands"):
            yield from all_commands(command)


def wrong_commands(text: str) -> Iterator[str]:
    """Yield each ``holdfast ...`` whose command or option the command line does not have."""
    for code in code_in(text):
        for match in COMMAND.finditer(code):
            words = match[1].split()
            command: Any = get_command(app)
            # A word in capitals stands for any command.
            while words and hasattr(command, "commands") and re.match("[a-z]", words[0]):
                command = command.commands.get(words.pop(0))
            if command is None:
                yield match[0].strip()
                continue
            asked = {w.partition("=")[0] for w in words if re.match(r"--?[a-z]", w)}
            if not asked <= options_of(command):
                yield match[0].strip()


def wrong_options(text: str) -> Iterator[str]:
    """Yield each option that stands alone in inline code and belongs to no command."""
    known = set().union(*(options_of(command) for command in all_commands(get_command(app))))
    for span in spans_in(text):
        option = re.match(r"--[a-z][a-z-]*", span)
        if option and option[0] not in known | OTHER_PROGRAMS_OPTIONS:
            yield span


def wrong_words(text: str) -> Iterator[str]:
    """Yield each ``make ...`` that the Makefile does not have."""
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    words = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for code in code_in(text):
        for word in re.findall(r"(?<![\w-])make +([a-z][a-z-]*)", code):
            if word not in words:
                yield f"make {word}"


def wrong_settings(text: str) -> Iterator[str]:
    """Yield each ``HOLDFAST_...`` that is no field of the settings."""
    fields = {f"HOLDFAST_{name.upper()}" for name in Settings.model_fields}
    for name in re.findall(r"\bHOLDFAST_[A-Z][A-Z0-9_]*", text):
        if name not in fields:
            yield name


def parameter_names(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield ``section.key`` of every parameter, below lists too."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        yield path
        kinds = [kind for kind in (field.annotation, *get_args(field.annotation)) if kind]
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from parameter_names(kind, f"{path}.")


def wrong_parameters(text: str) -> Iterator[str]:
    """Yield each ``section.key`` in inline code that ``params.yaml`` cannot have."""
    known = set(parameter_names(Params))
    sections = {name for name in known if "." not in name}
    for span in spans_in(text):
        name = re.fullmatch(r"([a-z_]+)((?:\.[a-z_]+)+)(?:: .*)?", span)
        if name is None or name[1] not in sections:
            continue
        if name[2].rpartition(".")[2] not in FILE_ENDINGS and name[1] + name[2] not in known:
            yield span


def anchors_of(document: Path) -> set[str]:
    """Return the anchors that the headings of a document get where it is shown."""
    text = FENCE.sub("", document.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


def broken_links(document: Path, text: str) -> Iterator[str]:
    """Yield each relative link that leads to no file, or to no heading of it."""
    for target in LINK.findall(SPAN.sub("", FENCE.sub("", text))):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        file = (document.parent / path).resolve() if path else document
        if not file.exists() or (anchor and anchor not in anchors_of(file)):
            yield target


def tree_in(text: str) -> dict[str, str]:
    """Return path -> comment of the tree that the text ends with."""
    parents: list[str] = []
    tree = {}
    for line in FENCE.findall(text)[-1].splitlines()[1:-1]:
        entry = re.fullmatch(r"( *)(\S+)(?: {2,}(\S.*))?", line)
        assert entry is not None, f"no entry of a tree: {line!r}"
        depth = len(entry[1]) // 2
        parents = [*parents[:depth], entry[2]]
        tree["".join(parents)] = entry[3] or ""
    return tree


def wrong_in_tree(text: str, files: Iterable[str]) -> Iterator[str]:
    """Yield what the tree has too much, what it has no comment on, and what it lacks at the top."""
    names = set(files)
    folders = {f"{parent.as_posix()}/" for name in names for parent in Path(name).parents}
    tree = tree_in(text)
    yield from (f"does not exist: {path}" for path in tree if path not in names | folders)
    yield from (f"has no comment: {path}" for path, comment in tree.items() if not comment)
    top = {name if "/" not in name else f"{name.partition('/')[0]}/" for name in names}
    yield from (f"is missing: {name}" for name in sorted(top - tree.keys()))


def test_every_command_and_option_exists() -> None:
    assert in_documents(wrong_commands) == {}
    assert in_documents(wrong_options) == {}


def test_every_word_of_make_exists() -> None:
    assert in_documents(wrong_words) == {}


def test_every_setting_exists() -> None:
    assert in_documents(wrong_settings) == {}


def test_every_setting_stands_in_the_readme() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert [n for n in Settings.model_fields if f"HOLDFAST_{n.upper()}" not in text] == []


def test_every_command_stands_in_the_readme() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert [c for c in get_command(app).commands if f"`holdfast {c}" not in text] == []


def test_the_readme_names_the_commands_that_print_no_json() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    [said] = re.findall(r"All commands but (.*?) print JSON with `--json`", text)
    names = [span.split()[-1] for span in spans_in(said)]
    assert sorted(names) == sorted(
        command.name
        for command in all_commands(get_command(app))
        # A group that does nothing by itself prints nothing.
        if getattr(command, "invoke_without_command", True) and "--json" not in options_of(command)
    )


def test_every_parameter_exists() -> None:
    assert in_documents(wrong_parameters) == {}


def test_every_relative_link_leads_somewhere() -> None:
    found = {
        name: list(broken_links(REPOSITORY / name, (REPOSITORY / name).read_text(encoding="utf-8")))
        for name in tracked("*.md")
    }
    assert {name: links for name, links in found.items() if links} == {}


@pytest.mark.parametrize("page", ["README.md", "docs/tree.md"])
def test_a_tree_of_the_documents_is_the_tree_of_the_repository(page: str) -> None:
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    assert list(wrong_in_tree(text, tracked())) == []


def test_every_decision_stands_in_the_index() -> None:
    index = (REPOSITORY / "docs/adr/README.md").read_text(encoding="utf-8")
    pages = [Path(name).name for name in tracked("docs/adr/0*.md")]
    assert pages
    assert [page for page in pages if f"({page})" not in index] == []


@pytest.mark.parametrize(
    ("check", "text", "problem"),
    [
        (wrong_commands, "`holdfast fly`", "holdfast fly"),
        (wrong_commands, "```\nholdfast ledger burn\n```", "holdfast ledger burn"),
        (wrong_commands, "`holdfast train\n--fast`", "holdfast train --fast"),
        (wrong_commands, "`holdfast prepare -x`", "holdfast prepare -x"),
        (wrong_options, "`--fast`", "--fast"),
        (wrong_words, "`make haste`", "make haste"),
        (wrong_settings, "HOLDFAST_SPEED", "HOLDFAST_SPEED"),
        (wrong_parameters, "`finetune.speed`", "finetune.speed"),
        (wrong_parameters, "`finetune.tuning.speed: 3`", "finetune.tuning.speed: 3"),
        (
            lambda text: broken_links(REPOSITORY / "README.md", text),
            "[a](nowhere.md)",
            "nowhere.md",
        ),
        (lambda text: broken_links(REPOSITORY / "README.md", text), "[b](#b)", "#b"),
        (lambda text: wrong_in_tree(text, ["b"]), "```\na  it\nb  is\n```", "does not exist: a"),
        (lambda text: wrong_in_tree(text, ["a/b"]), "```\na/  it\n  b\n```", "has no comment: a/b"),
        (lambda text: wrong_in_tree(text, ["a", "b/c"]), "```\na  it\n```", "is missing: b/"),
    ],
)
def test_each_check_finds_what_is_wrong(check: Any, text: str, problem: str) -> None:
    assert list(check(text)) == [problem]


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (wrong_commands, "`holdfast ledger champion --at 2026-01-01` and `holdfast --help`"),
        (wrong_commands, "`holdfast init DIR --train FILE --suite NAME=FILE`, holdfast is a word"),
        (wrong_options, "`--json`"),
        (wrong_words, "make haste in prose; `make test PYTEST_ARGS=-x`"),
        (wrong_settings, "HOLDFAST_LEDGER_URL and HOLDFAST_*"),
        (wrong_parameters, "`ingest.columns.text`, `suites.noise`, `gate.py`, `finetune.seed: 1`"),
        (
            lambda text: broken_links(REPOSITORY / "README.md", text),
            "[a](#holdfast) [b](LICENSE)",
        ),
    ],
)
def test_no_check_complains_of_what_is_right(check: Any, text: str) -> None:
    assert list(check(text)) == []
