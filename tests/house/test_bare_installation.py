"""A bare GPU machine: torch, transformers, peft, numpy, pydantic and pyarrow, nothing else of us."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from builders import STRUCTURED, structured_examples, write_examples
from tiny_models import WORDS, save_tiny_model
from tiny_writers import save_tiny_writer

from pipeline_steps.problem_defaults import WRITING
from pipeline_steps.problems.catalog import PROBLEMS

REPOSITORY = Path(__file__).resolve().parents[2]
INSTALLED = ("torch", "transformers", "peft", "numpy", "pydantic", "pyarrow")
_CODE = """
import json, sys
from pathlib import Path

root = Path(sys.argv[1])
from pipeline_steps.digests import file_digest
from pipeline_steps.evaluation.compare import compare
from pipeline_steps.evaluation.evaluate import evaluate
from pipeline_steps.inference.predict import predict
from pipeline_steps.judging_params import EvaluateParams, PredictParams
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.problem_defaults import HEADLINES
from pipeline_steps.training.finetune import finetune
from pipeline_steps.types import DatasetRef
from pipeline_steps.errors import MissingDependencyError
from pipeline_steps.noise import perturb

assert perturb("my card", "ocr", 1.0, seed=0, example_id="a") != "my card"
try:
    perturb("my card", "misspellings", 1.0, seed=0, example_id="a")
    raise SystemExit("codespell is installed")
except MissingDependencyError as error:
    assert "holdfast[noise]" in error.fix
judged = EvaluateParams(bootstrap_resamples=50)


def scored(problem, base, kind="full"):
    path = root / f"{problem}.parquet"
    rows = DatasetRef(name="test", split="test", path=path, digest=file_digest(path), n_examples=40)
    params = FinetuneParams(
        base_model=str(root / base), epochs=1, precision="fp32", tuning={"kind": kind},
        generation={"max_new_tokens": 4}, early_stopping_metric=HEADLINES[problem][0],
    )
    out = root / f"{problem}-{kind}"
    work = out.with_suffix(".work")
    checkpoint = finetune(rows, rows, params, out, work=work, problem=problem)
    return predict(checkpoint, rows, out.with_suffix(".parquet"), PredictParams())


for problem, base in json.loads(sys.argv[2]).items():
    made = scored(problem, base)
    report = evaluate(made, judged)
    print(problem, report.headlines, flush=True)
    compare(made, scored(problem, base, "lora") if problem == "ner" else made, judged)
"""


def required_by(names: tuple[str, ...]) -> set[str]:
    """Return the distributions that installing some brings, without extras."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        try:
            requirements = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:  # another platform's
            continue
        found.add(name)
        waiting += [re.match(r"[A-Za-z0-9_.-]+", r)[0] for r in requirements if "extra ==" not in r]
    return found


def link_distributions(names: set[str], directory: Path) -> None:
    """Make a directory of installed packages that holds some distributions and no others."""
    directory.mkdir()
    for name in names:
        distribution = importlib.metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            source = Path(str(distribution.locate_file(top)))
            if not (directory / top).exists():
                (directory / top).symlink_to(source)


def test_training_inference_and_scoring_of_every_problem_need_no_other_library(
    tmp_path: Path,
) -> None:
    rows = [{"text": " ".join(WORDS[i % 9 : i % 9 + 5]), "label": "ab"[i % 2]} for i in range(40)]
    write_examples(tmp_path / "text_classification.parquet", rows)
    for problem in STRUCTURED:
        write_examples(tmp_path / f"{problem}.parquet", structured_examples(problem, 40))
    save_tiny_model(tmp_path / "reads")
    save_tiny_writer(tmp_path / "writes", "t5")
    bases = {p: "writes" if p in WRITING else "reads" for p in PROBLEMS}
    link_distributions(required_by(INSTALLED), tmp_path / "site")
    assert not (tmp_path / "site" / "scipy").exists()
    environment = {
        **os.environ, "PYTHONPATH": f"{tmp_path / 'site'}:{REPOSITORY}", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-S", "-P", "-c", _CODE, str(tmp_path), json.dumps(bases)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-3000:]
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(bases)
