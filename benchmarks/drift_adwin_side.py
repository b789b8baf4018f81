"""ADWIN on the confidence, in an environment of its own: river needs another numpy than the lock.

Reads streams from an archive and writes the row of the first alarm of each, for each delta.

    python benchmarks/drift_adwin_side.py STREAMS.npz FOUND.json
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

DELTAS = (0.002, 0.1, 0.3, 0.6, 0.9)


def main() -> None:
    from river.drift import ADWIN

    streams = np.load(sys.argv[1])
    found: dict[str, dict[str, list[int]]] = {}
    started, n_rows = time.process_time(), 0
    for delta in DELTAS:
        for name in streams.files:
            detector, alarms = ADWIN(delta=delta), []
            n_rows += len(streams[name])
            for row, value in enumerate(streams[name].tolist()):
                detector.update(value)
                if detector.drift_detected:
                    alarms.append(row)
            found.setdefault(str(delta), {})[name] = alarms
    seconds = (time.process_time() - started) / n_rows * 10_000
    Path(sys.argv[2]).write_text(json.dumps({"found": found, "seconds": seconds}))


if __name__ == "__main__":
    main()
