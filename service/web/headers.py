"""The headers that every answer has, whoever made it: what a browser may do with what we send."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    Pairs = Sequence[tuple[bytes, bytes]]

_OF_PAGES = (
    "default-src 'none'; style-src 'self'; img-src 'self'; media-src 'self'; script-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_EVERYWHERE = (
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
FOR_DATA: Pairs = (
    *_EVERYWHERE,
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
)
FOR_PAGES: Pairs = (
    *_EVERYWHERE,
    (b"content-security-policy", _OF_PAGES.encode()),
    # Nothing to others, as with no-referrer; but under that a browser posts our own forms with `Origin: null`
    # (https://fetch.spec.whatwg.org/#origin-header), and over plain http the Origin is all that it tells.
    (b"referrer-policy", b"same-origin"),
)
_HSTS = (b"strict-transport-security", b"max-age=31536000")


class Headed:
    """An ASGI middleware around everything, the answer to a bug included. An answer's own header stays."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        """`https`: whether our public address is; else no browser may be told to insist on it."""
        self._app = app
        more = (_HSTS,) if https else ()
        self._for_data, self._for_pages = [*FOR_DATA, *more], [*FOR_PAGES, *more]
        self._names = frozenset(name for name, _ in self._for_data)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Not a coroutine of its own: callbacks pass here too.
        def headed(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                message["headers"] = self._completed(message["headers"])
            return send(message)

        await self._app(scope, receive, headed)

    def _completed(self, given: Pairs) -> Pairs:
        ours = self._for_data
        brought = []
        for name, value in given:
            if name == b"content-type" and value.startswith(b"text/html"):
                ours = self._for_pages
            elif name in self._names:
                brought.append(name)
        return [*given, *(pair for pair in ours if pair[0] not in brought)] if brought else [*given, *ours]
