"""How hard the sample corpus is: what linear models on words reach on its test rows.

Prepares the workspace first; writes ``benchmarks/results/sample_corpus.json``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
from records import record, write_records
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path, default=Path())
    workspace = parser.parse_args().workspace
    holdfast = Path(sys.executable).parent / "holdfast"
    subprocess.run([str(holdfast), "prepare", "--workspace", str(workspace)], check=True)
    splits = workspace / "data/splits"
    rows = {name: pq.read_table(splits / f"{name}.parquet") for name in ("train", "valid", "test")}
    texts = {name: table["text"].to_pylist() for name, table in rows.items()}
    labels = {name: table["label"].to_pylist() for name, table in rows.items()}
    records = []
    for name, vectorizer in VECTORIZERS.items():
        models = [
            make_pipeline(vectorizer(), LogisticRegression(C=c, max_iter=2000)).fit(
                texts["train"], labels["train"]
            )
            for c in (0.3, 1.0, 3.0, 10.0, 30.0)
        ]
        best = max(models, key=lambda model: model.score(texts["valid"], labels["valid"]))
        accuracy = float(best.score(texts["test"], labels["test"]))
        print(f"{name:20s} test accuracy {accuracy:.3f} (n = {len(labels['test'])})")
        records.append(record(f"{name}/test_accuracy", accuracy, "share", n=len(labels["test"])))
    write_records("sample_corpus", records)


VECTORIZERS = {
    "word_counts": CountVectorizer,
    "tfidf_words": TfidfVectorizer,
    "tfidf_bigrams": lambda: TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
}


if __name__ == "__main__":
    main()
