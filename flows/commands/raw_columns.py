"""Which columns a user's raw files have, and which of them hold what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

from pipeline_steps.data_params import ColumnsParams
from pipeline_steps.data_preparation.readers import (
    RawRow,
    RejectedRow,
    RowReader,
    require_columns,
)
from pipeline_steps.errors import ConfigurationError, DataError
from pipeline_steps.problem_defaults import COLUMNS, OPTIONAL_COLUMNS, column_mistakes

_TEXT_NAMES = (
    *("text", "sentence", "utterance", "query", "message", "content", "question"),
    *(
        "source",
        "src",
        "document",
        "article",
        "review",
        "comment",
        "body",
        "title",
        "description",
        "input",
    ),
)
_LABEL_NAMES = (
    *("label", "labels", "intent", "category", "class", "target", "sentiment", "topic"),
    *("label_text", "tag", "output", "y"),
)
_NAMES: dict[str, tuple[str, ...]] = {
    "text": _TEXT_NAMES,
    "label": _LABEL_NAMES,
    "labels": ("labels", "label", "categories", "tags", "topics", "genres", "emotions"),
    "tokens": ("tokens", "words", "token", "sentence"),
    "tags": ("tags", "ner_tags", "ner", "labels", "entities"),
    "head_span": ("head_span", "e1_span", "subject_span", "subj_span", "head"),
    "tail_span": ("tail_span", "e2_span", "object_span", "obj_span", "tail"),
    "context": ("context", "paragraph", "passage", "document", "text"),
    "question": ("question", "query"),
    "answers": ("answers", "answer"),
    "messages": ("messages", "conversation", "conversations", "turns", "dialogue", "context"),
    "candidates": ("candidates", "options", "replies", "responses"),
    "right": ("right", "label", "answer", "correct", "gold", "index"),
    "target": ("target", "tgt", "translation", "summary", "references", "reference", "highlights"),
}
"""What a column that a problem needs is commonly called, the commonest first."""
_OPTIONS = ("text", "label")
"""Columns with an option of their own on the command line."""
_HEAD_ROWS = 100
_NAME_IT = "name columns that every file has: --text-column, --label-column, --column FIELD=NAME"
_MEND = "mend, convert or rename the file, then run the command again"
_REMEDIES = {
    "not_utf8": "convert it, for example: iconv -f ISO-8859-1 -t UTF-8 {name}",
    "wrong_number_of_fields": "put fields that hold the delimiter in quotes, or export it again",
    "malformed_json": "write one JSON object a line: no list around them, none over several lines",
}
"""What helps where the first row of a file, and every other, is set aside for a reason."""
_SHOWN = 80
_SEPARATORS = (";", "\t", "|", ",")


def find_columns(
    files: Sequence[Path], asked: Mapping[str, str | None], problem: str = "text_classification"
) -> ColumnsParams:
    """Return where the columns of a problem stand, the same for all files.

    Parameters
    ----------
    files : sequence of Path
        Raw files; the first one decides where a name has to be guessed.
    asked : mapping
        Field of :class:`ColumnsParams` -> column; those that the problem needs are guessed.
    problem : str
        Decides which are needed.

    Raises
    ------
    DataError
        If a file cannot be read, lacks a column, or a guess is not possible.
    ConfigurationError
        If a column is named that the problem does not read, or a name is empty.
    """
    _refuse_empty(asked)
    present = column_names(files[0])
    given = {field: column for field, column in asked.items() if column is not None}
    needed = {
        field: given.get(field) or _guess(field, _names(problem, field), present, files[0])
        for field in COLUMNS[problem]
    }
    further = _further(problem, files)
    columns = ColumnsParams(**{"text": None, "label": None, **further, **given, **needed})
    _refuse_foreign(problem, columns)
    wanted = [column for column in columns.model_dump().values() if column is not None]
    for file in files:
        require_columns(file, column_names(file), wanted, fix=_NAME_IT)
    return columns


def _further(problem: str, files: Sequence[Path]) -> dict[str, str]:
    """Return the optional fields that every file has a column for, called just as the field is."""
    optional = OPTIONAL_COLUMNS.get(problem, ())
    present = [column_names(file) for file in files] if optional else []
    return {name: name for name in optional if all(name in names for names in present)}


def _names(problem: str, field: str) -> Sequence[str]:
    """Return the usual names of a column; what a problem calls it by default comes first."""
    return tuple(dict.fromkeys((COLUMNS[problem][field], *_NAMES[field])))


def _refuse_empty(asked: Mapping[str, str | None]) -> None:
    empty = [field for field, column in asked.items() if column is not None and not column.strip()]
    if empty:
        raise ConfigurationError(
            f"an empty column name for {', '.join(empty)}",
            expected="the name of a column of the file",
            fix="name it, or leave the option out: common names are found",
        )


def _refuse_foreign(problem: str, columns: ColumnsParams) -> None:
    mistakes = column_mistakes(problem, columns.model_dump())
    if mistakes:
        raise ConfigurationError(
            "; ".join(mistakes),
            expected=f"columns that {problem} reads",
            fix="leave the option out, or name another --problem",
        )


def column_names(path: Path) -> list[str]:
    """Return the names of the columns (or JSON fields) in the first rows of a raw file."""
    try:
        rows = list(islice(RowReader(path), _HEAD_ROWS))
    except DataError as error:
        if "params.yaml" not in error.fix:
            raise
        raise DataError(  # there is no params.yaml yet
            error.received, expected=error.expected, fix=_MEND
        ) from error
    names = dict.fromkeys(name for row in rows if isinstance(row, RawRow) for name in row.fields)
    if not names:
        raise _unreadable(path, rows)
    return list(names)


def _unreadable(path: Path, rows: Sequence[RawRow | RejectedRow]) -> DataError:
    """Return the refusal of a file none of whose rows can be read: what is wrong with the first."""
    kind = RowReader(path).kind
    nothing = RejectedRow(1, "", "an object without a field", "{}")
    first = next((row for row in rows if isinstance(row, RejectedRow)), nothing)
    return DataError(
        f"none of the first rows of {path} can be read as {kind}; line {first.line}: "
        f"{first.detail}, in {first.excerpt[:_SHOWN]!r}",
        expected=f"rows of the format {kind}, text in UTF-8",
        fix=_REMEDIES.get(first.reason, _MEND).format(name=path.name),
    )


def _guess(field: str, common: Sequence[str], present: Sequence[str], file: Path) -> str:
    """Return the first of the common names that the file has, whatever its case."""
    lowered = {name.lower(): name for name in reversed(present)}
    found = next((lowered[name] for name in common if name in lowered), None)
    if found is None:
        _refuse_other_separator(present, file)
        listed = ", ".join(repr(name) for name in present)
        option = f"--{field}-column NAME" if field in _OPTIONS else f"--column {field}=NAME"
        raise DataError(
            f"{file} has no column with a common name for the {field}; it has {listed}",
            expected=f"{option}, or a column called {', '.join(common[:5])}, ...",
            fix=f"say which it is: {option}",
        )
    return found


def _refuse_other_separator(present: Sequence[str], file: Path) -> None:
    """Refuse a file whose whole first line was taken for the name of one column."""
    separator = next((s for s in _SEPARATORS if len(present) == 1 and s in present[0]), None)
    if separator is not None:
        raise DataError(
            f"{file} has one column, {present[0]!r}: its fields are separated by {separator!r}",
            expected="commas between the fields of a .csv, tabs between those of a .tsv",
            fix="export it with commas, or rename it where they are tabs",
        )


def named_columns(options: Sequence[str]) -> dict[str, str]:
    """Return field -> column of options ``FIELD=NAME``.

    Raises
    ------
    ConfigurationError
        If one is not of that form, or names no field.
    """
    columns = {}
    for option in options:
        field, equals, name = option.partition("=")
        if not (equals and name and field in ColumnsParams.model_fields):
            raise ConfigurationError(
                f"--column {option!r}",
                expected=f"FIELD=NAME, FIELD being one of {', '.join(ColumnsParams.model_fields)}",
                fix="write it as, for example, --column source=sender",
            )
        columns[field] = name
    return columns
