"""The stages of dvc.yaml: ``python -m pipeline_steps.data_preparation STAGE`` in a workspace."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pipeline_steps.errors import DataError, HoldfastError
from pipeline_steps.files import write_text_atomically
from pipeline_steps.params import load_params

REFUSAL = Path("data/refusal.json")


def main() -> int:
    """Return the exit code of one stage; a refusal is printed and kept in ``data/refusal.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=sorted(_STAGES))
    stage = parser.parse_args().stage
    root = Path.cwd()
    (root / REFUSAL).unlink(missing_ok=True)
    try:
        print(f"{stage}: {_STAGES[stage](root)}", file=sys.stderr)  # noqa: T201
    except HoldfastError as error:
        return _refuse(root, error)
    except OSError as error:
        return _refuse(root, _disk_error(error))
    except KeyboardInterrupt:
        return 130
    return 0


def _refuse(root: Path, error: HoldfastError) -> int:
    print(f"{error}", file=sys.stderr)  # noqa: T201
    content = {
        "type": type(error).__name__,
        "received": error.received,
        "expected": error.expected,
        "fix": error.fix,
    }
    with suppress(OSError):  # where nothing can be written, standard error has said it all
        write_text_atomically(root / REFUSAL, json.dumps(content, indent=2))
    return error.exit_code


def _disk_error(error: OSError) -> DataError:
    return DataError(
        f"{error.strerror}: {error.filename or 'while writing'}",
        expected="a workspace that this user can write to, with space left",
        fix="free space or mend the permissions, then: holdfast prepare",
    )


def _code_version(root: Path) -> str:
    from pipeline_steps.data_preparation.code_version import write_code_version

    return write_code_version(root)[:12]


def _generate(root: Path) -> str:
    from pipeline_steps.data_preparation.sample_corpus import generate

    return generate(root)


def _ingest(root: Path) -> str:
    from pipeline_steps.data_preparation.ingest import ingest

    return f"{ingest(load_params(root / 'params.yaml').ingest, root).n_examples} rows"


def _validate(root: Path) -> str:
    from pipeline_steps.data_preparation.validate import validate

    params = load_params(root / "params.yaml")
    report = validate(params.validate_, params.problem, root)
    return f"{report.n_kept} of {report.n_rows} rows kept"


def _split(root: Path) -> str:
    from pipeline_steps.data_preparation.split import split

    parts = split(load_params(root / "params.yaml").split, root)
    return ", ".join(f"{name} {n}" for name, n in parts.items())


def _suites(root: Path) -> str:
    from pipeline_steps.data_preparation.suites import build_suites

    return ", ".join(build_suites(load_params(root / "params.yaml").suites, root))


_STAGES: dict[str, Callable[[Path], str]] = {
    "code-version": _code_version,
    "generate": _generate,
    "ingest": _ingest,
    "validate": _validate,
    "split": _split,
    "suites": _suites,
}


if __name__ == "__main__":
    sys.exit(main())
