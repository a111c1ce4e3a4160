"""The sample hook: verifies Standard Webhooks, records every attempt, and is down when told to be."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from standardwebhooks import Webhook, WebhookVerificationError
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service import clock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from starlette.requests import Request

_SIGNED = ("webhook-id", "webhook-timestamp", "webhook-signature")


@dataclass(frozen=True, slots=True)
class Outage:
    """Down for the first attempts, in all or of each event; and for a while, in seconds since it opened."""

    first: int = 0
    of_each: int = 0
    begins: float = 0.0
    ends: float = 0.0

    def covers(self, attempts: int, elapsed: float, of_this: int) -> bool:
        """`attempts` that came before this one, of any event, and `of_this` one."""
        return attempts < self.first or of_this < self.of_each or self.begins <= elapsed < self.ends


class Sink:
    """One JSON line per attempt in `path`, the same lines in `seen`; a context manager over the file."""

    def __init__(self, secrets: Sequence[str], path: Path, outage: Outage | None = None) -> None:
        self.seen: list[dict[str, Any]] = []
        self._verifiers = [Webhook(secret) for secret in secrets]
        self._outage = outage or Outage()
        self._opened = clock.now()
        self._attempts: Counter[str] = Counter()
        self._file = path.open("a", buffering=1, encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/hook", self._hook, methods=["POST"])])

    async def _hook(self, request: Request) -> Response:
        status = self.take(await request.body(), request.headers)
        return JSONResponse({"status": status}, status)

    def take(self, body: bytes, headers: Mapping[str, str]) -> int:
        """The HTTP status of the answer: 401 unverified, 503 during the outage, else 200."""
        now = clock.now()
        verified = self._verified(body, headers)
        of_this = self._attempts[headers.get("webhook-id", "")]
        down = self._outage.covers(len(self.seen), now - self._opened, of_this)
        status = 401 if not verified else 503 if down else 200
        self._write(now, body, headers, verified, status)
        return status

    def _verified(self, body: bytes, headers: Mapping[str, str]) -> bool:
        named = {name: headers.get(name, "") for name in _SIGNED}
        return any(_holds(verifier, body, named) for verifier in self._verifiers)

    def _write(
        self, now: float, body: bytes, headers: Mapping[str, str], verified: bool, status: int
    ) -> None:
        event_id = headers.get("webhook-id", "")
        self._attempts[event_id] += 1
        type_, prediction = _named(body)
        line = {
            "at": clock.rfc3339(now),
            "event_id": event_id,
            "type": type_,
            "prediction": prediction,
            "attempt": self._attempts[event_id],
            "verified": verified,
            "status": status,
            "timestamp": headers.get("webhook-timestamp", ""),
            "signature": headers.get("webhook-signature", ""),
            "traceparent": headers.get("traceparent", ""),
            "body": body.decode(errors="backslashreplace"),
        }
        self.seen.append(line)
        self._file.write(json.dumps(line) + "\n")


def _holds(verifier: Webhook, body: bytes, headers: dict[str, str]) -> bool:
    try:
        verifier.verify(body, headers, json_parse=False)
    except (WebhookVerificationError, ValueError):
        # ValueError: the package splits and decodes malformed headers and bodies unguarded.
        return False
    return True


def _named(body: bytes) -> tuple[str | None, str | None]:
    """Type and prediction of an event, as far as a stranger's body has them."""
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        return None, None
    type_ = event.get("type") if isinstance(event, dict) else None
    data = event.get("data") if isinstance(event, dict) else None
    id_ = data.get("id") if isinstance(data, dict) else None
    return type_ if isinstance(type_, str) else None, id_ if isinstance(id_, str) else None
