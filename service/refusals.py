"""Why a callback is turned away: one word each, and what lets the next one through."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class RefusedFor(StrEnum):
    """The `reason` of the answer, in the order in which the receiver looks."""

    UNKNOWN_SOURCE = "unknown_source"
    METHOD = "method"
    ENCODING = "encoding"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    GONE = "gone"
    SIGNATURE = "signature"
    UNPARSEABLE = "unparseable"


_REMEDIES: Mapping[str, str] = {
    RefusedFor.UNKNOWN_SOURCE: "the path is wrong: callbacks go to {paths}",
    RefusedFor.METHOD: "callbacks are POSTs: let a probe ask /livez or /readyz instead",
    RefusedFor.ENCODING: "something compresses the body on its way: let the proxy pass it as it was sent",
    RefusedFor.TOO_LARGE: "raise CATCHLIGHT_MAX_BODY, if the provider's callbacks really are that large",
    RefusedFor.TOO_SLOW: "the body dripped in: let the proxy in front read all of it before it asks us",
    RefusedFor.GONE: "the sender hung up in the middle of the body: compare its time-outs with the proxy's",
    RefusedFor.SIGNATURE: "`catchlight connect` compares CATCHLIGHT_WEBHOOK_SECRETS with the provider's; "
    "if others come through, these are forged or were changed on their way",
    RefusedFor.UNPARSEABLE: "it is signed and yet no prediction: see what changed at the provider; "
    "polling finds the result all the same",
}


def remedy(reason: str, paths: Sequence[str]) -> str:
    """One sentence for a person; empty for a word that only a newer version knows."""
    return _REMEDIES.get(reason, "").format(paths=" or ".join(paths))
