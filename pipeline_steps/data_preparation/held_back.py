"""Which labelled rows of a window are learnt from, and which are held back to compare on."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence


def held_back_rows(
    ids: Sequence[str], labels: Sequence[str | None], share: float, *, groups: Sequence[str | None]
) -> list[bool]:
    """Return for each row whether it is held back: ``share`` of the rows of each label.

    The choice follows from the ids alone, so that the same rows always fall the same way. Rows of
    one group, or of one text given as the group, stay on one side. The first group of a label is
    always learnt from: a label that is only held back could not be answered.

    Parameters
    ----------
    ids, labels, groups : sequence
        Of the n rows; a row without a group is a group of its own.
    share : float
        Between 0 and 1.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for row, group in enumerate(groups):
        members[f"group {group}" if group is not None else f"row {ids[row]}"].append(row)
    order = sorted(members, key=lambda name: hashlib.blake2b(name.encode()).digest())
    seen: Counter[str | None] = Counter()
    held: Counter[str | None] = Counter()
    answer = [False] * len(ids)
    for name in order:
        counts = Counter(labels[row] for row in members[name])
        chosen = all(
            held[label] + n <= share * (seen[label] + n) and seen[label] > held[label]
            for label, n in counts.items()
        )
        seen.update(counts)
        held.update({label: n * chosen for label, n in counts.items()})
        for row in members[name]:
            answer[row] = chosen
    return answer
