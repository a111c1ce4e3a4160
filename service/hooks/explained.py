"""What an answer of a hook to a ping would mean for an event, and what to do about it."""

from __future__ import annotations

_SIGNATURE = (
    "It does not accept our signature, or wants to be logged in to: compare the secret, and how it verifies "
    "(over the raw body, with the clock right), with ours; a token it wants goes into headers."
)
_NOT_THERE = "There is no such endpoint: correct the url in catchlight.toml."
_BUSY = (
    "It is busy: an event would wait for the schedule, or longer if it sends Retry-After, an hour at most."
)
_MEANINGS = {
    400: "It does not understand a ping: let it answer 2xx to every event, also of kinds it does not know.",
    401: _SIGNATURE,
    403: _SIGNATURE,
    404: _NOT_THERE,
    405: "It takes no POST there: correct the url in catchlight.toml.",
    410: "It says that it is gone: an event would be dead, and the hook disabled until `hooks enable`.",
    413: "It takes no body of that size: raise its limit, events are a few KiB.",
    415: "It takes no application/json: let it, every event is that.",
    422: "It does not understand a ping: let it answer 2xx to every event, also of kinds it does not know.",
    429: _BUSY,
    503: _BUSY,
}
_OF_CLASS = {
    2: "It takes events.",
    3: "Redirects are not followed: put the final address as url in catchlight.toml.",
    5: "Its own failure: its log says more.",
}
_OF_CAUSE = {
    "no answer within": "It is too slow: let it answer first and work afterwards, or raise timeout.",
    "ConnectionRefusedError": "Nothing listens there: start it, or correct host and port of the url.",
    "ConnectionResetError": "It hung up: does it speak http where the url says https, or vice versa?",
    "ServerDisconnectedError": "It hung up without an answer: its log, or a proxy's, says more.",
    "gaierror": "The name of its host is not known: correct the url, or this machine's DNS.",
    "SSLCertVerificationError": "Its certificate is not valid for that name: renew it, or correct the url.",
    "SSLError": "No TLS could be agreed on: does it speak http where the url says https?",
}
"""What stands in our own word for an attempt without an answer → what it means."""
_SETTLED = (410, 429, 503)
"""Their meaning says what becomes of an event."""
IN_STREAM = "It stands in the stream: whether anybody reads it, `XINFO GROUPS` of that key says."
_AGAIN = "An event would be tried again by CATCHLIGHT_HOOK_SCHEDULE, and then be dead."
_REFUSED = "No connection was made: events for this hook are dead at once until that is changed."


def explain(status: int | None, error: str = "", *, refused: bool) -> str:
    """What such an answer would mean for an event, and what to do; `status` None is none, for `error`."""
    if refused:
        return _REFUSED
    if status is None:
        cause = next((meaning for word, meaning in _OF_CAUSE.items() if word in error), "")
    else:
        cause = _MEANINGS.get(status) or _OF_CLASS.get(status // 100, "")
    settled = status in _SETTLED or cause == _OF_CLASS[2]
    return cause if settled else f"{cause} {_AGAIN}".strip()
