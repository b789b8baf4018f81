"""Attack results on disk: one Parquet file an attack, a row a text, the cost beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from pipeline_steps.attack_types import AttackCost, AttackResult, StoppedAttack
from pipeline_steps.errors import DataError
from pipeline_steps.evaluation_types import MetricValue
from pipeline_steps.files import atomic_file
from pipeline_steps.types import Value

_ABOUT = b"about"


class AboutAttack(Value):
    """What a file of results says beside its rows.

    ``seeds``: the accuracy under attack of each seed, where the rows are the worst of several.
    """

    cost: AttackCost
    seeds: tuple[MetricValue, ...] = ()
    stopped: StoppedAttack | None = None


def write_results(path: Path, results: Sequence[AttackResult], about: AboutAttack) -> None:
    """Write what became of each row to ``path``, whole or not at all."""
    table = pa.Table.from_pylist([result.model_dump() for result in results])
    with atomic_file(path) as temporary:
        pq.write_table(table.replace_schema_metadata({_ABOUT: about.model_dump_json()}), temporary)


def read_results(path: Path) -> tuple[Sequence[AttackResult], AboutAttack]:
    """Return the results in a file, and what it says of them.

    Raises
    ------
    DataError
        If the file is missing or torn.
    """
    try:
        table = pq.read_table(path)
        about = AboutAttack.model_validate_json(table.schema.metadata[_ABOUT])
    except (OSError, KeyError, TypeError, pa.ArrowInvalid, ValidationError) as error:
        raise DataError(
            f"{path} cannot be read as attack results: {error}",
            expected="a file as `holdfast attack` writes it",
            fix=f"remove {path}, then run the command again",
        ) from error
    return [AttackResult.model_validate(row) for row in table.to_pylist()], about
