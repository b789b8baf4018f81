"""The fresh process of the smoke test: loads a registered model and writes down its answers.

``python -P smoke_answer.py DIRECTORY`` reads ``request.json`` there and writes ``answers.json``. It
is run by path and imports nothing of Holdfast, so what answers is the code that travels with the
model, not the code that is installed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

REQUEST, ANSWERS = "request.json", "answers.json"


def answer(directory: Path) -> None:
    """Write the answers of the requested model to the requested rows."""
    import mlflow
    import pandas as pd

    request = json.loads((directory / REQUEST).read_text(encoding="utf-8"))
    mlflow.set_tracking_uri(request["tracking_uri"])
    mlflow.set_registry_uri(request["tracking_uri"])  # else the environment's would be asked
    model = mlflow.pyfunc.load_model(request["model_uri"])
    answers = model.predict(pd.DataFrame(request["rows"]))
    text = answers.to_json(orient="records", double_precision=15, force_ascii=False)
    (directory / ANSWERS).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    answer(Path(sys.argv[1]))
