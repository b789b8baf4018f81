"""A WordNet of a few synsets, in the files that nltk reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_POS = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
_OTHERS = ("cntlist.rev", "index.sense", "adj.exc", "adv.exc", "noun.exc", "verb.exc")


def write_wordnet(root: Path, synsets: Sequence[tuple[str, Sequence[str]]]) -> Path:
    """Return a directory for ``NLTK_DATA``; a synset is its part of speech and its words.

    The format is that of WordNet's manual page wndb(5): of each word the offsets of its synsets, of
    each synset its words; there are no pointers between them.
    """
    files = root / "corpora/wordnet"
    files.mkdir(parents=True)
    for name in _OTHERS:
        (files / name).write_text("", encoding="utf-8")
    (files / "lexnames").write_text("00\tall\t1\n", encoding="utf-8")
    for letter, name in _POS.items():
        _write_pos(files, name, letter, [words for pos, words in synsets if pos == letter])
    return root


def _write_pos(files: Path, name: str, letter: str, synsets: Sequence[Sequence[str]]) -> None:
    index: dict[str, list[str]] = {}
    content = ""
    for words in synsets:
        offset = f"{len(content.encode()):08d}"
        said = " ".join(f"{word.replace(' ', '_')} 0" for word in words)
        frames = " 00" if letter == "v" else ""
        content += f"{offset} 00 {letter} {len(words):02x} {said} 000{frames} | a gloss\n"
        for word in words:
            index.setdefault(word.replace(" ", "_").lower(), []).append(offset)
    (files / f"data.{name}").write_text(content, encoding="utf-8")
    lines = [
        f"{word} {letter} {len(at)} 0 {len(at)} 0 {' '.join(at)}\n"
        for word, at in sorted(index.items())
    ]
    (files / f"index.{name}").write_text("".join(lines), encoding="utf-8")
