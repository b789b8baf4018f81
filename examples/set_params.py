"""Puts the few parameters that an example changes into the params.yaml of a workspace.

The file stays explained: it is written anew as `holdfast init` writes it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import yaml

from flows.commands.params_text import params_text
from pipeline_steps.params import parse_params


def merged(values: Any, changes: Any) -> Any:
    """Return ``values`` with ``changes`` put over it, section by section."""
    if not (isinstance(values, dict) and isinstance(changes, dict)) or "kind" in changes:
        return changes
    return {**values, **{key: merged(values.get(key), change) for key, change in changes.items()}}


def main() -> None:
    """Change the parameters of a workspace."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("changes", type=Path, help="a YAML file of the keys that change")
    asked = parser.parse_args()
    target = asked.workspace / "params.yaml"
    values, changes = (yaml.safe_load(p.read_text("utf-8")) for p in (target, asked.changes))
    params = parse_params(merged(values, changes), source=str(asked.changes))
    target.write_text(params_text(params), encoding="utf-8")
    print(f"{target}: changed {', '.join(changes)}")


if __name__ == "__main__":
    main()
