"""The sample corpus: the same bytes for a seed, flaws in the shares that its page states."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from pipeline_steps.data_preparation.sample_corpus import CORPUS, LATER, PHASES, generate
from pipeline_steps.data_preparation.sample_flaws import FLAW_SHARES, N_BROKEN_LINES
from pipeline_steps.data_preparation.sample_later_phrases import NEW_INTENTS
from pipeline_steps.data_preparation.sample_phrases import INTENTS


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("corpus")
    generate(root, seed=0)
    return root


def read(path: Path) -> list[dict]:
    rows = []
    for line in gzip.decompress(path.read_bytes()).splitlines():
        try:
            rows.append(json.loads(line.decode()))
        except UnicodeDecodeError:
            continue
    return rows


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(corpus, tmp_path) -> None:
    generate(tmp_path / "same", seed=0)
    generate(tmp_path / "other", seed=1)
    for name in (CORPUS, LATER):
        assert (tmp_path / "same" / name).read_bytes() == (corpus / name).read_bytes()
        assert (tmp_path / "other" / name).read_bytes() != (corpus / name).read_bytes()


def test_there_are_twenty_intents_and_each_is_frequent(corpus) -> None:
    counts = Counter(row["intent"] for row in read(corpus / CORPUS))
    assert set(counts) == set(INTENTS)
    assert len(INTENTS) == 20
    assert min(counts.values()) > 80


def test_flaws_are_there_in_the_stated_shares(corpus) -> None:
    rows = read(corpus / CORPUS)
    n = 4_200
    texts = Counter(row["message"] for row in rows if row["message"])
    identifiers = Counter(row["ticket_id"] for row in rows)
    empty = sum(not (row["message"] or "").strip() for row in rows)
    assert empty >= round(n * FLAW_SHARES["empty_text"])
    assert sum(c - 1 for c in identifiers.values()) == round(n * FLAW_SHARES["duplicate_id"])
    assert sum(c - 1 for c in texts.values()) >= round(n * FLAW_SHARES["exact_duplicate"]) - 2
    assert sum(len(row["message"] or "") > 5_000 for row in rows) >= 10
    lines = gzip.decompress((corpus / CORPUS).read_bytes()).splitlines()
    assert len(lines) - len(rows) == N_BROKEN_LINES


def test_the_later_stream_follows_in_time_and_has_its_phases(corpus) -> None:
    rows, later = read(corpus / CORPUS), read(corpus / LATER)
    assert max(row["created_at"] for row in rows) < min(row["created_at"] for row in later)
    assert [row["created_at"] for row in later] == sorted(row["created_at"] for row in later)
    assert Counter(row["phase"] for row in later) == {p.name: p.rows for p in PHASES}
    new = {row["phase"] for row in later if row["intent"] in NEW_INTENTS}
    assert new == {"new_intents"}
