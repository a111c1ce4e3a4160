"""What stood around the body of a callback that brought a completion: enough to send it once more.

Never its signature, nor any other header: who reads the ledger gets nothing to forge with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_MOST = 256
"""Characters of each; a webhook-id has no more."""


class CallbackHeaders(NamedTuple):
    webhook_id: str
    timestamp: str
    """Unix seconds, as the sender signed it."""
    user_agent: str = ""
    content_type: str = ""

    @classmethod
    def of(cls, webhook_id: str, timestamp: int, headers: Iterable[tuple[bytes, bytes]]) -> CallbackHeaders:
        """Of a verified callback. This is the callback path: one look at each header, and nothing parsed."""
        agent = kind = b""
        for name, value in headers:
            if name == b"user-agent":
                agent = value
            elif name == b"content-type":
                kind = value
        return cls(webhook_id, str(timestamp), _text(agent), _text(kind))

    def encoded(self, digest: str) -> str:
        """For the record, whose `digest` says of which completion: an older version may write another one
        over it, and leaves this as it is.
        """
        return f"{digest}\n{self.webhook_id}\n{self.timestamp}\n{self.user_agent}\n{self.content_type}"

    def named(self) -> dict[str, str]:
        """As headers; those that it had."""
        names = ("webhook-id", "webhook-timestamp", "user-agent", "content-type")
        return {name: value for name, value in zip(names, self, strict=True) if value}


def load(text: str, digest: str) -> CallbackHeaders | None:
    """The inverse of `encoded`; None for those of another completion, and for what cannot be read."""
    whose, *headers = text.split("\n")
    return (
        CallbackHeaders(*headers)
        if whose == digest and len(headers) == len(CallbackHeaders._fields)
        else None
    )


def of_manifest(said: object) -> Mapping[str, str]:
    """What a manifest says of them, should it be what we write."""
    return (
        {name: value for name, value in said.items() if isinstance(value, str)}
        if isinstance(said, dict)
        else {}
    )


def _text(value: bytes) -> str:
    text = value[:_MOST].decode("latin-1")
    return text if text.isprintable() else "".join(char if char.isprintable() else " " for char in text)
