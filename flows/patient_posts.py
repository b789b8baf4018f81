"""Posts to a running service: later where it asks for patience, in parts where one is too large."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pipeline_steps.errors import HoldfastError

T = TypeVar("T")
_AT_ONCE = 1_000
_SECONDS = 180  # more than a service lets a request wait (serve.answer_seconds)
_PATIENCE = 300.0
_TOO_LARGE, _UNREADABLE = 413, 422
_LATER = (429, 503)


class PatientPosts:
    """Posts items to the paths of a service, as many at once as it takes.

    Parameters
    ----------
    url : str
        As ``http://127.0.0.1:8000``.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._at_once: dict[str, int] = {}

    def post(
        self, path: str, items: Sequence[T], content: Callable[[Sequence[T]], Mapping[str, Any]]
    ) -> Iterator[tuple[Sequence[T], dict[str, Any]]]:
        """Yield parts of the items in their order, each with what the service answers to it.

        Parameters
        ----------
        content : callable
            Returns the body for some items.

        Raises
        ------
        HoldfastError
            If the service cannot be reached, refuses a single item, or asks for patience for
            minutes.
        """
        done = 0
        while done < len(items):
            part = items[done : done + self._at_once.get(path, _AT_ONCE)]
            try:
                answer = self._answer(f"{self.url}/{path}", content(part))
            except _RefusedError as refused:
                if refused.status not in (_TOO_LARGE, _UNREADABLE) or len(part) == 1:
                    raise self._failure(path, str(refused)) from refused
                self._at_once[path] = len(part) // 2
                continue
            except (OSError, ValueError) as error:
                raise self._failure(path, str(error)) from error
            yield part, answer
            done += len(part)

    def _answer(self, url: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is answered, after as many pauses as the service asks for."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return _post(url, content)
            except _RefusedError as refused:
                is_over = time.monotonic() + refused.retry_after > deadline
                if is_over or refused.status not in _LATER:
                    raise
                time.sleep(refused.retry_after)

    def _failure(self, path: str, said: str) -> HoldfastError:
        return HoldfastError(
            f"{self.url}/{path} answers: {said}",
            expected="a running service: holdfast serve",
            fix="start it, or mend --url",
        )


class _RefusedError(Exception):
    """An answer that is no success."""

    def __init__(self, error: urllib.error.HTTPError) -> None:
        with error:
            super().__init__(f"{error} {error.read().decode(errors='replace')}".strip())
        self.status = error.code
        after = error.headers.get("Retry-After", "")
        self.retry_after = int(after) if after.isdecimal() else 1


def _post(url: str, content: Mapping[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310 - the user's own service
        url, data=json.dumps(content).encode(), headers={"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
            return dict(json.loads(answer.read()))
    except urllib.error.HTTPError as error:
        raise _RefusedError(error) from error
