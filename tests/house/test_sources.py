"""The house rules that no linter knows, held over every source file."""

from __future__ import annotations

import ast
import itertools
import statistics
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path for package in ("flows", "pipeline_steps") for path in (REPOSITORY / package).rglob("*.py")
)
EVERYWHERE = sorted(
    path
    for place in ("flows", "pipeline_steps", "tests", "benchmarks", "examples", ".ci")
    for path in (REPOSITORY / place).rglob("*.py")
)
Function = ast.FunctionDef | ast.AsyncFunctionDef
_NOT_CODE = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def offenders(paths: list[Path], rule: Callable[[Path], Any]) -> dict[str, Any]:
    """Return what a rule finds in each file, without the files where it finds nothing."""
    found = {name_of(path): rule(path) for path in paths}
    return {name: finding for name, finding in found.items() if finding}


def docstring_lines(tree: ast.AST) -> set[int]:
    """Return the lines of all strings that stand alone: docstrings, also of attributes."""
    return {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }


def code_lines(path: Path) -> set[int]:
    """Return the numbers of the lines that hold code: no blank, comment or docstring."""
    with path.open("rb") as file:
        tokens = [t for t in tokenize.tokenize(file.readline) if t.type not in _NOT_CODE]
    lines = itertools.chain.from_iterable(
        range(token.start[0], token.end[0] + 1)
        for token in tokens
        if token.type not in (tokenize.ENCODING, tokenize.ENDMARKER)
    )
    return set(lines) - docstring_lines(tree_of(path))


def function_lengths() -> Iterator[tuple[str, int]]:
    for path in SOURCES:
        lines = code_lines(path)
        for node in ast.walk(tree_of(path)):
            if isinstance(node, Function):
                body = range(node.lineno, (node.end_lineno or node.lineno) + 1)
                yield f"{name_of(path)}:{node.name}", len(lines.intersection(body))


def public_definitions(tree: ast.Module) -> Iterator[tuple[str, Any]]:
    """Yield public functions and classes of a module, and public methods of public classes."""
    for node in tree.body:
        if not isinstance(node, (*Function.__args__, ast.ClassDef)) or node.name.startswith("_"):
            continue
        yield node.name, node
        if isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, Function) and not method.name.startswith("_"):
                    yield f"{node.name}.{method.name}", method


def is_handler_of_everything(node: ast.AST) -> bool:
    if not isinstance(node, ast.ExceptHandler):
        return False
    kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    names = {kind.id for kind in kinds if isinstance(kind, ast.Name)}
    return node.type is None or bool(names & {"Exception", "BaseException"})


def logs_the_traceback(handler: ast.AST) -> bool:
    calls = [node.func for node in ast.walk(handler) if isinstance(node, ast.Call)]
    return any(isinstance(call, ast.Attribute) and call.attr == "exception" for call in calls)


def trusting_calls(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        for keyword in node.keywords if isinstance(node, ast.Call) else ():
            refused = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            if keyword.arg == "trust_remote_code" and not refused:
                yield keyword.value.lineno


def imported_names(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


def test_functions_are_short() -> None:
    """Nine in ten have fewer than 35 lines of code and none more than 60."""
    lengths = dict(function_lengths())
    assert {name: n for name, n in lengths.items() if n > 60} == {}
    assert statistics.quantiles(lengths.values(), n=10)[-1] < 35


def test_modules_fit_in_a_head() -> None:
    assert offenders(SOURCES, lambda path: len(code_lines(path)) >= 330) == {}


def test_what_is_public_has_a_docstring() -> None:
    """A method that implements a documented one of its base class may go without."""

    def bare(path: Path) -> list[str]:
        tree = tree_of(path)
        named = [("module", tree), *public_definitions(tree)]
        return [name for name, node in named if not ast.get_docstring(node) and "." not in name]

    assert offenders(SOURCES, bare) == {}


def test_no_module_is_named_after_nothing() -> None:
    nothing = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert offenders(EVERYWHERE, lambda path: path.stem in nothing) == {}


def test_no_handler_swallows_everything() -> None:
    """The last one of a server may take everything, if it logs it with its traceback."""

    def handlers(path: Path) -> list[int]:
        found = [node for node in ast.walk(tree_of(path)) if is_handler_of_everything(node)]
        return [node.lineno for node in found if not logs_the_traceback(node)]

    assert offenders(SOURCES, handlers) == {}


def test_nothing_reads_pickles() -> None:
    pickles = {"pickle", "cloudpickle", "dill", "joblib"}
    assert offenders(EVERYWHERE, lambda path: imported_names(tree_of(path)) & pickles) == {}


def test_no_code_from_a_model_hub_is_trusted() -> None:
    assert offenders(EVERYWHERE, lambda path: list(trusting_calls(tree_of(path)))) == {}


def test_test_files_have_names_of_their_own() -> None:
    """Without packages under tests/, two files of one name would hide each other."""
    names = [path.name for path in (REPOSITORY / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
