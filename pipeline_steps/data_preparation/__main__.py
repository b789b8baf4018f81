"""The stages of dvc.yaml: ``python -m pipeline_steps.data_preparation STAGE`` in a workspace."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pipeline_steps.errors import DataError, HoldfastError, counted
from pipeline_steps.files import write_text_atomically
from pipeline_steps.params import load_params

REFUSAL = Path("data/refusal.json")


def main() -> int:
    """Return the exit code of one stage; a refusal is printed and kept in ``data/refusal.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=sorted(_STAGES))
    parser.add_argument(
        "--params",
        type=Path,
        default=Path("params.yaml"),
        help="file of parameters, relative to the workspace (default: params.yaml)",
    )
    arguments = parser.parse_args()
    stage, root = arguments.stage, Path.cwd()
    try:
        (root / REFUSAL).unlink(missing_ok=True)
        result = _STAGES[stage](root, root / arguments.params)
    except HoldfastError as error:
        return _refuse(root, error)
    except OSError as error:
        return _refuse(root, _disk_error(error))
    except KeyboardInterrupt:
        print(f"{stage}: interrupted; run it again", file=sys.stderr)  # noqa: T201
        return 130
    print(f"{stage}: {result}", file=sys.stderr)  # noqa: T201
    return 0


def _refuse(root: Path, error: HoldfastError) -> int:
    print(f"{error}", file=sys.stderr)  # noqa: T201
    with suppress(OSError):  # where nothing can be written, standard error has said it all
        write_text_atomically(root / REFUSAL, error.to_json())
    return error.exit_code


def _disk_error(error: OSError) -> DataError:
    return DataError(
        f"{error.strerror or error}: {error.filename or 'while writing'}",
        expected="a workspace that this user can write to, with space left",
        fix="free space or mend the permissions, then: holdfast prepare",
    )


def _code_version(root: Path, _params: Path) -> str:
    from pipeline_steps.data_preparation.additions import ensure_additions
    from pipeline_steps.data_preparation.code_version import write_code_version

    ensure_additions(root)  # this stage comes first, also where DVC is run by hand
    return write_code_version(root)[:12]


def _generate(root: Path, _params: Path) -> str:
    from pipeline_steps.data_preparation.sample_corpus import generate

    return generate(root)


def _ingest(root: Path, params: Path) -> str:
    from pipeline_steps.data_preparation.additions import with_additions
    from pipeline_steps.data_preparation.ingest import ingest
    from pipeline_steps.data_preparation.progress import row_counter

    values = load_params(params)
    with row_counter("ingest", sys.stderr) as progress:
        sources = with_additions(values.ingest, root)
        reference = ingest(sources, root, problem=values.problem, progress=progress)
    return counted(reference.n_examples, "row")


def _validate(root: Path, params: Path) -> str:
    from pipeline_steps.data_preparation.progress import row_counter
    from pipeline_steps.data_preparation.validate import validate

    values = load_params(params)
    with row_counter("validate", sys.stderr) as progress:
        report = validate(values.validate_, values.problem, root, progress=progress)
    return f"{report.n_kept} of {counted(report.n_rows, 'row')} kept"


def _split(root: Path, params: Path) -> str:
    from pipeline_steps.data_preparation.split import split

    values = load_params(params)
    parts = split(values.split, root, values.problem)
    return ", ".join(f"{name} {n}" for name, n in parts.items())


def _suites(root: Path, params: Path) -> str:
    from pipeline_steps.data_preparation.suites import build_suites

    values = load_params(params)
    return ", ".join(build_suites(values.suites, root, values.problem))


_STAGES: dict[str, Callable[[Path, Path], str]] = {
    "code-version": _code_version,
    "generate": _generate,
    "ingest": _ingest,
    "validate": _validate,
    "split": _split,
    "suites": _suites,
}


if __name__ == "__main__":
    sys.exit(main())
