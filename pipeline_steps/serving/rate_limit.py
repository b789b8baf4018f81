"""How many rows a client may ask about, or label: a bucket of tokens for each address."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

from pipeline_steps.serving.buckets import Buckets, OwnBuckets, SharedBuckets
from pipeline_steps.serving.refusals import TOO_MANY, UNPROCESSABLE, RefusedRequestError

COUNTED = ("rows", "labels")
_MINUTE = 60.0


class RateLimit:
    """Lets each address ask about, or label, so many rows a minute, all at once if it wants.

    Parameters
    ----------
    rows_per_minute : int
        The rate, and the size of the bucket.
    clock : callable
        Seconds, never going back.
    what : str
        What is counted, as a refusal says it.
    buckets : Buckets or None
        Where it is kept what is left to whom; ``None``: here. Those of several processes are one
        limit, if their clock is one too.
    """

    def __init__(
        self,
        rows_per_minute: int,
        clock: Callable[[], float],
        what: str = "rows",
        buckets: Buckets | None = None,
    ) -> None:
        self.rows_per_minute = rows_per_minute
        self.clock = clock
        self.what = what
        self.buckets = OwnBuckets() if buckets is None else buckets

    def spend(self, address: str, rows: int) -> None:
        """Count rows of an address.

        Raises
        ------
        RefusedRequestError
            If it has asked about too many, with the seconds until these rows are allowed; without
            them if they never are, since they are more than a minute's.
        """
        if rows > self.rows_per_minute:
            raise self._never(rows)
        with self.buckets.held():
            now = self.clock()
            left, since = self.buckets.get(address) or (float(self.rows_per_minute), now)
            left = min(self.rows_per_minute, left + (now - since) * self.rows_per_minute / _MINUTE)
            allowed = left >= rows
            self.buckets.put(address, (left - rows if allowed else left, now))
        if not allowed:
            raise self._refusal(rows, left)

    def _refusal(self, rows: int, left: float) -> RefusedRequestError:
        wait = math.ceil((rows - left) * _MINUTE / self.rows_per_minute)
        return RefusedRequestError(
            TOO_MANY,
            f"{rows} {self.what} at once, and {math.floor(left)} are left",
            expected=f"at most {self.rows_per_minute} {self.what} a minute (serve.rows_per_minute)",
            fix=f"send the request again in {max(1, wait)} s",
            retry_after=max(1, wait),
        )

    def _never(self, rows: int) -> RefusedRequestError:
        return RefusedRequestError(
            UNPROCESSABLE,
            f"{rows} {self.what} at once",
            expected=f"at most {self.rows_per_minute} {self.what} a minute (serve.rows_per_minute)",
            fix=f"send them in requests of at most {self.rows_per_minute}",
        )


def client_rates(rows_per_minute: int | None, shared: Path | None) -> dict[str, RateLimit]:
    """Return the limit of a client's rows, and that of its labels; none where there is none.

    Parameters
    ----------
    shared : Path or None
        A directory in which several workers count together.
    """
    if rows_per_minute is None:
        return {}
    kept = {what: None if shared is None else SharedBuckets(shared / what) for what in COUNTED}
    return {
        what: RateLimit(rows_per_minute, time.monotonic, what, buckets)
        for what, buckets in kept.items()
    }
