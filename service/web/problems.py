"""Errors as RFC 9457 problem+json with a `reason` word; they say no more than the class of the fault."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from service import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

LINGER = 2.0
"""Seconds for which a sender whose body is not wanted may go on sending it."""

_TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    402: "Payment required",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    408: "Too slow",
    409: "Conflict",
    413: "Too large",
    415: "Content encoding not supported",
    422: "Not valid",
    429: "Too many requests",
    500: "Internal error",
    502: "Provider failed",
    503: "Try later",
    504: "Outcome unknown",
}


class Problem(JSONResponse):
    media_type = "application/problem+json"

    def __init__(
        self, status: int, reason: str, detail: str, headers: Mapping[str, str] | None = None, **more: str
    ) -> None:
        self.reason = reason
        self.detail = detail
        self.title = title = _TITLES.get(status, "Refused")
        body = {"type": "about:blank", "title": title, "status": status, "reason": reason, "detail": detail}
        super().__init__(body | more, status_code=status, headers=headers)


class Closing(Problem):
    """Ends the connection, because the rest of the request's body is not worth reading."""

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        self.headers["connection"] = "close"
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        # To close on a sender who still sends resets the connection, and may take our answer away from him.
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                while (await receive()).get("more_body", False):
                    pass
        await send({"type": "http.response.body", "body": b""})


class Refusal(Exception):  # noqa: N818  # an answer on its way up, not a fault
    """A request ends here with `answer`; `why` is for the log and stays out of the answer."""

    def __init__(self, answer: Problem, why: str = "", size: int | None = None) -> None:
        super().__init__(answer.reason)
        self.answer = answer
        self.why = why or answer.detail
        self.size = size
        """Bytes of the body that had come; None when it was not read."""


_PLAIN: dict[type[errors.CatchlightError], tuple[int, str]] = {
    errors.NotFound: (404, "unknown_id"),
    errors.Conflict: (409, "conflict"),
    errors.SubmitUnknown: (504, "submit_unknown"),
}
_IN_THE_QUERY = frozenset({"query", "cursor", "limit", "state"})
_OUR_KEY_IS_WRONG = frozenset({401, 403})
# The provider's codes for a prompt that its moderation refuses and for inputs that are missing or wrong.
_INPUT_CODES = frozenset({1200, 1400, 1401, 1402})


def of(error: errors.CatchlightError) -> Problem:
    """What the edge answers for each kind of error of ours."""
    text = str(error)
    match error:
        case errors.InvalidInput():
            return Problem(400 if error.field in _IN_THE_QUERY else 422, "invalid", text, field=error.field)
        case errors.LedgerDown():
            return redis_down("Redis cannot take it now")
        case errors.ProviderDown():
            return Problem(502, "provider_down", text, _asked_wait(error.retry_after))
        case errors.ProviderRefused():
            return Problem(_status_of_refusal(error.status), error.word, text, _asked_wait(error.retry_after))
        case _:
            status, reason = _PLAIN.get(type(error), (400, "refused"))
            return Problem(status, reason, text)


def redis_down(detail: str) -> Problem:
    return Problem(503, "redis_down", detail, {"Retry-After": "1"})


def _asked_wait(seconds: float | None) -> dict[str, str]:
    return {"Retry-After": str(math.ceil(seconds))} if seconds else {}


def _status_of_refusal(said: int) -> int:
    if said in (402, 429):
        return said
    if said in _INPUT_CODES or (400 <= said < 500 and said not in _OUR_KEY_IS_WRONG):  # noqa: PLR2004  # 4xx
        return 422
    return 502


async def on_error(_: Request, error: Exception) -> Problem:
    """Starlette's handler of CatchlightError."""
    if not isinstance(error, errors.CatchlightError):
        raise error
    return of(error)


async def on_refusal(_: Request, error: Exception) -> Problem:
    """Starlette's handler of Refusal."""
    if not isinstance(error, Refusal):
        raise error
    return error.answer


async def on_http_error(_: Request, error: Exception) -> Problem:
    """Starlette's own 404 and 405, in our words."""
    status = getattr(error, "status_code", 500)
    reason, detail = {
        404: ("no_such_route", "there is nothing here"),
        405: ("method", "this takes another method"),
    }.get(status, ("refused", "this request is refused"))
    return Problem(status, reason, detail, getattr(error, "headers", None))


async def on_bug(_: Request, __: Exception) -> Problem:
    """The server logs the traceback after this."""
    return bug()


def bug() -> Problem:
    """The traceback is in the log; the answer keeps it to itself."""
    return Problem(500, "internal", "a fault of ours; it is in the log")
