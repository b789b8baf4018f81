"""What the service answers instead of a prediction: an HTTP status and three sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pipeline_steps.errors import HoldfastError

BAD_REQUEST, UNKNOWN, TOO_LARGE, UNPROCESSABLE = 400, 404, 413, 422
TOO_MANY, BROKEN, UNAVAILABLE = 429, 500, 503
_SHOWN = 200  # characters of a path


class RefusedRequestError(HoldfastError):
    """A request that is not answered.

    Parameters
    ----------
    status : int
        HTTP status.
    retry_after : int or None
        Seconds after which the same request may succeed.
    """

    def __init__(
        self, status: int, received: str, *, expected: str, fix: str, retry_after: int | None = None
    ) -> None:
        super().__init__(received, expected=expected, fix=fix)
        self.status = status
        self.retry_after = retry_after


def no_route(
    status: int, method: str, path: str, known: Iterable[str], headers: Mapping[str, str]
) -> RefusedRequestError:
    """Return the refusal of a request that no route answers: of its path, or of its method.

    Parameters
    ----------
    known : iterable of str
        The paths that there are.
    headers : mapping
        Of the answer: ``Allow`` names the methods that the path takes.
    """
    path, methods = path[:_SHOWN], headers.get("Allow", "").split(", ")
    allowed = " or ".join(f"{name} {path}" for name in methods if name)
    unknown = status == UNKNOWN
    return RefusedRequestError(
        status,
        f"the path {path}" if unknown else f"{method} {path}",
        expected=f"one of {', '.join(sorted(known))}" if unknown else allowed or "another request",
        fix="see /docs for what each path takes, and send the request again",
    )


def queue_is_full(waiting: int, limit: int, retry_after: int) -> RefusedRequestError:
    """Return the refusal of rows that would have to wait too long."""
    return RefusedRequestError(
        UNAVAILABLE,
        f"{waiting} rows wait already",
        expected=f"at most {limit} waiting rows (serve.queue_rows)",
        fix=f"send the request again in {retry_after} s, or start more workers",
        retry_after=retry_after,
    )


def not_ready() -> RefusedRequestError:
    """Return the refusal of a service that has no model yet, or has no longer."""
    return RefusedRequestError(
        UNAVAILABLE,
        "the service has no model in place",
        expected="a service whose /ready answers 200",
        fix="send the request again in a moment",
        retry_after=1,
    )


def not_logged() -> RefusedRequestError:
    """Return the refusal of rows that were answered and could not be kept."""
    return RefusedRequestError(
        UNAVAILABLE,
        "the traffic log cannot be written",
        expected="a traffic log that keeps each answer before it is given",
        fix="look at the service's messages, mend the log, and send the request again",
        retry_after=5,
    )


def log_is_behind() -> RefusedRequestError:
    """Return the refusal of rows while the traffic log does not keep up with the answers."""
    return RefusedRequestError(
        UNAVAILABLE,
        "the traffic log does not keep up",
        expected="a traffic log that keeps each answer soon after it is made",
        fix="send the request again in a moment; see who locks the log, or why it is slow",
        retry_after=5,
    )


def too_late(seconds: float) -> RefusedRequestError:
    """Return the refusal of a request that was not answered in time."""
    return RefusedRequestError(
        UNAVAILABLE,
        f"a request that is not answered after {seconds:g} s",
        expected="rows that are scored and logged within serve.answer_seconds",
        fix="send the request again in a moment, with fewer rows, or raise serve.answer_seconds",
        retry_after=5,
    )


def not_read() -> RefusedRequestError:
    """Return the refusal of a look at the log while it cannot be read."""
    return RefusedRequestError(
        UNAVAILABLE,
        "the traffic log cannot be read",
        expected="a traffic log that this service may use",
        fix="look at the service's messages, mend the log, and send the request again",
        retry_after=5,
    )


def not_answered(error: BaseException) -> RefusedRequestError:
    """Return the refusal of a row that the model fails on."""
    return RefusedRequestError(
        BROKEN,
        f"the model cannot answer this row ({type(error).__name__})",
        expected="a row like those that the model was trained on",
        fix="leave the row out, and report it with the request id",
    )


def broke(error: BaseException) -> RefusedRequestError:
    """Return the refusal of a request over which the service itself failed."""
    return RefusedRequestError(
        BROKEN,
        f"a request that the service cannot handle ({type(error).__name__})",
        expected="one that is answered, or refused with a reason",
        fix="report it with the request id; what happened stands in the service's messages",
    )
