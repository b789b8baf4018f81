"""A classifier behind an HTTP address: batches of JSON there, answers back.

No header and no part of the address that may be a secret stands in any message.
"""

from __future__ import annotations

import json
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote, urlsplit, urlunsplit

from pipeline_steps.errors import EndpointError

if TYPE_CHECKING:
    import httpx

Format = Literal["huggingface", "mlflow", "holdfast"]
_WAIT_AND_TRY_AGAIN = (429, 503)
_OK = 200
_RETRIES = 5
_LONGEST_WAIT = 60.0  # seconds
_SHOWN = 200


@dataclass
class Endpoint:
    """Asks a served model.

    Parameters
    ----------
    url : str
        Where it answers.
    format : {"huggingface", "mlflow", "holdfast"}
        ``{"inputs": [...]}`` with bare values where a row has but one, the same with all fields
        named as ``holdfast serve`` reads it, or ``{"dataframe_split": ...}`` as ``/invocations``
        does.
    headers : mapping
        Sent with each request; never shown.
    timeout : float
        Seconds that one request may take.
    batch_rows : int
        Rows of one request.
    pause : callable
        Waits for so many seconds.
    """

    url: str
    format: Format = "huggingface"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = 60.0
    batch_rows: int = 32
    pause: Callable[[float], None] = time.sleep

    def ask(self, requests: Sequence[Mapping[str, Any]]) -> list[tuple[Any, int]]:
        """Return what came back for each batch of requests, and how many rows it was asked of.

        Raises
        ------
        EndpointError
            If it is not reached, is too slow, refuses, or answers with something else than JSON.
        """
        import httpx  # here, because its import draws from Python's random numbers

        found = []
        with httpx.Client(
            timeout=self.timeout, headers=dict(self.headers), auth=self._auth()
        ) as client:
            for start in range(0, len(requests), self.batch_rows):
                batch = requests[start : start + self.batch_rows]
                found.append((self._answer(client, _body(batch, self.format)), len(batch)))
        return found

    def _auth(self) -> tuple[str, str] | None:
        """Return user and password of the address; a header that was named goes before them."""
        parts = urlsplit(self.url)
        named = any(name.lower() == "authorization" for name in self.headers)
        if named or parts.username is None:
            return None
        return unquote(parts.username), unquote(parts.password or "")

    def _answer(self, client: httpx.Client, body: Mapping[str, Any]) -> Any:
        """Return the JSON of one request; a server that is busy is asked again."""
        for attempt in range(_RETRIES + 1):
            response = self._post(client, body)
            if response.status_code not in _WAIT_AND_TRY_AGAIN or attempt == _RETRIES:
                break
            self.pause(_wait(response, attempt))
        if response.status_code != _OK:
            raise self._refused(response, attempt)
        try:
            return response.json()
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise EndpointError(
                f"{shown_url(self.url)} answered with no JSON: {self._shown(response)}",
                expected="a JSON answer to each row",
                fix="check the address: a page of a website may answer there",
            ) from error

    def _post(self, client: httpx.Client, body: Mapping[str, Any]) -> httpx.Response:
        import httpx

        try:
            return client.post(_without_user(self.url), json=body)
        except httpx.TimeoutException as error:
            raise EndpointError(
                f"{shown_url(self.url)} did not answer within {self.timeout:g} s",
                expected="an answer to each request in time",
                fix="ask for fewer rows at a time (--batch-rows), or wait longer (--timeout)",
            ) from error
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise EndpointError(
                f"{shown_url(self.url)} cannot be reached: {self._without_secrets(str(error))}",
                expected="a server that answers there",
                fix="start it, or mend the address after --model",
            ) from error

    def _refused(self, response: httpx.Response, attempt: int) -> EndpointError:
        tried = f" after {attempt + 1} requests" if attempt else ""
        status = response.status_code
        said = f"{shown_url(self.url)} answered {status}{tried}: {self._shown(response)}"
        fixes = {
            401: "name a variable that holds what it wants: --header Authorization=VARIABLE",
            403: "name a variable that holds what it wants: --header Authorization=VARIABLE",
            404: "check the path of the address, such as /predict of holdfast serve "
            "and /invocations of an MLflow server",
            422: "where holdfast serve answers: --format holdfast; or see the server's own message",
            429: "ask with fewer workers or fewer rows at a time (--workers, --batch-rows)",
            503: "wait until the server has loaded its model, then run the command again",
        }
        other = "look at the server's log; --format and --send-as say how rows are sent"
        return EndpointError(said, expected="status 200", fix=fixes.get(status, other))

    def _shown(self, response: httpx.Response) -> str:
        text = " ".join(response.text.split())
        return self._without_secrets(text[:_SHOWN]) or "nothing"

    def _without_secrets(self, text: str) -> str:
        """Return a text without what headers and address hold: a server may repeat it."""
        parts = urlsplit(self.url)
        secrets = [*self.headers.values(), parts.password, parts.username, parts.query]
        if (user := self._auth()) is not None:
            secrets += [*user, b64encode(":".join(user).encode()).decode()]
        words = [word for value in secrets if value for word in (value, *value.split())]
        for word in sorted(set(words), key=len, reverse=True):
            text = text.replace(word, "***")
        return text


def shown_url(url: str) -> str:
    """Return an address without user, password and query, which may be secrets.

    Examples
    --------
    >>> shown_url("https://ada:secret@host:8080/predict?key=1")
    'https://host:8080/predict'
    """
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _body(batch: Sequence[Mapping[str, Any]], form: Format) -> dict[str, Any]:
    if form == "holdfast":
        return {"inputs": [dict(request) for request in batch]}
    if form == "huggingface":
        return {"inputs": [_input(request) for request in batch]}
    columns = list(dict.fromkeys(name for request in batch for name in request))
    rows = [[request.get(name) for name in columns] for request in batch]
    return {"dataframe_split": {"columns": columns, "data": rows}}


def _input(request: Mapping[str, Any]) -> Any:
    """Return what Hugging Face reads of a request: a value alone, or all by their names."""
    return next(iter(request.values())) if len(request) == 1 else dict(request)


def _wait(response: httpx.Response, attempt: int) -> float:
    """Return the seconds to wait: as the server asks, else twice as long each time."""
    asked = response.headers.get("retry-after", "")
    seconds = float(asked) if asked.isdigit() else 0.5 * 2.0**attempt
    return min(seconds, _LONGEST_WAIT)
