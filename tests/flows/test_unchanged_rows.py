"""Rows that a kind of noise cannot touch are counted, in a workspace and without one."""

from __future__ import annotations

from pathlib import Path

from builders import write_jsonl

from flows.foreign.rows import read_judged
from flows.stress import count_unchanged

CHINESE = ("\u771f\u7684\u5f88\u597d", "\u4e0d\u597d", "\u597d")


def test_rows_that_noise_leaves_as_they_are_are_counted(tmp_path: Path) -> None:
    texts = (*CHINESE, "it is not good")
    rows = [{"text": text, "label": "a"} for text in texts]
    data = write_jsonl(tmp_path / "rows.jsonl", rows)
    clean, noisy = read_judged("text_classification", data, columns={}, noise=["contractions:5"])
    assert noisy.n_alike(clean) == len(CHINESE)
    test, suite = (judged.written(tmp_path / "rows") for judged in (clean, noisy))
    assert count_unchanged(test, [test, suite]) == {noisy.name: len(CHINESE)}
