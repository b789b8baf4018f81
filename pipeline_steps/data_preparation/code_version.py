"""The digest of the code that the data stages run, as a file that DVC can depend on."""

from __future__ import annotations

import json
from pathlib import Path

from pipeline_steps.files import write_text_atomically
from pipeline_steps.provenance import code_version

PATH = Path("data/code_version.json")


def write_code_version(root: Path) -> str:
    """Return the digest after writing it; the file keeps its bytes while the code stays."""
    digest = code_version(("data_preparation", "problems"))
    write_text_atomically(root / PATH, json.dumps({"data_preparation": digest}) + "\n")
    return digest
