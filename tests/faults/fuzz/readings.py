"""Our reading of an input beside another's: each function raises AssertionError where the two differ.

Whatever else one raises is a finding as well: a stranger's bytes end in a yes or in a refusal of ours.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import string
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import httpx
import pydantic_core
import yarl

from service import errors, wavespeed
from service.ledger import Arrival
from service.prediction import Ref, Step, Via
from service.wavespeed import strict_json
from tests.builders import parts
from workers.guard import Guard, GuardRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.prediction import Report

Headers = list[tuple[bytes, bytes]]
Word = Literal["refused", "fresh", "stale"]

SECRET = "whsec_fuzz"
NOW = 1_700_000_000
_HEX = b"0123456789abcdef"
_DIGITS = b"0123456789"
_IN_IDS = {*string.ascii_letters, *string.digits, "_", "-"}
_NOTHING = object()
_PORTS = {"http": 80, "https": 443}
_ANYWHERE = Guard(hosts=("*",), private=(ip_network("127.0.0.0/8"),))


def signature(webhook_id: bytes, timestamp: bytes, body: bytes, secret: str = SECRET) -> bytes:
    key = secret.removeprefix("whsec_").encode()
    return hmac.new(key, b".".join((webhook_id, timestamp, body)), hashlib.sha256).hexdigest().encode()


def signed(body: bytes, webhook_id: bytes = b"evt", timestamp: bytes = b"%d" % NOW) -> Headers:
    return [
        (b"webhook-id", webhook_id),
        (b"webhook-timestamp", timestamp),
        (b"webhook-signature", b"v3," + signature(webhook_id, timestamp, body)),
    ]


def headers(sent: Headers, body: bytes) -> Word:
    """What `verify` makes of them is what the contract's sentences, read one by one, make of them."""
    try:
        ours: Word = "stale" if wavespeed.verify(sent, body, [SECRET], NOW).stale else "fresh"
    except errors.Unverified:
        ours = "refused"
    assert ours == _by_the_contract(sent, body), (sent, body)
    return ours


def _by_the_contract(sent: Headers, body: bytes) -> Word:
    found = []
    for wanted in (b"webhook-id", b"webhook-timestamp", b"webhook-signature"):
        values = [value for name, value in sent if name.lower() == wanted]
        if len(values) != 1:
            return "refused"
        found += values
    webhook_id, timestamp, listed = found
    entries = listed.split(b" ")
    genuine = b"v3," + signature(webhook_id, timestamp, body)
    if not (
        1 <= len(webhook_id) <= 256
        and all(0x21 <= byte <= 0x7E for byte in webhook_id)
        and 1 <= len(timestamp) <= 12
        and all(byte in _DIGITS for byte in timestamp)
        and len(listed) <= 4096
        and len(entries) <= 10
        and all(len(e) == 67 and e[:3] == b"v3," and all(b in _HEX for b in e[3:]) for e in entries)
        and genuine in entries
    ):
        return "refused"
    return "fresh" if abs(NOW - int(timestamp)) <= 300 else "stale"


def body(data: bytes) -> Report | None:
    """What a genuine callback with it says; None when it is refused.

    What we call no JSON another reader refuses too, and what we read he reads as the same.
    """
    try:
        said = wavespeed.parse(wavespeed.verify(signed(data), data, [SECRET], NOW))
    except errors.Unparseable as error:
        if str(error).startswith(("not JSON", "not UTF-8")):
            assert _by_another(data) is _NOTHING, data[:2000]
        return None
    theirs = _by_another(data)
    assert theirs is not _NOTHING, data[:2000]
    assert json.dumps(strict_json.loads(data)) == json.dumps(theirs), data[:2000]
    assert _depth(json.loads(data, object_pairs_hook=_said_once)) <= 32, data[:2000]
    _can_be_written(said)
    return said


def _said_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Both readers would take the later of two."""
    assert len({name for name, _ in pairs}) == len(pairs), pairs
    return dict(pairs)


def _depth(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)


def _by_another(data: bytes) -> object:
    """The JSON reader of pydantic shares no code with Python's."""
    try:
        return pydantic_core.from_json(data, allow_inf_nan=False)
    except ValueError:
        return _NOTHING


def _can_be_written(said: Report) -> None:
    """And says the same when the worker reads it back out of the ledger."""
    assert 1 <= len(said.id) <= 128
    assert set(said.id) <= _IN_IDS, said.id
    assert len(said.nsfw) == len(said.outputs)
    assert not said.error or (said.error.isprintable() and len(said.error) <= 500)
    arrival = Arrival(Ref("main", said.id), Via.CALLBACK, Step.CALLED_BACK, said, detail=said.status[:200])
    written = parts(arrival.encoded(NOW))
    assert len(written) == 18
    if payload := written[8]:
        assert wavespeed.report(json.loads(payload)) == said, payload[:2000]


def url(text: str) -> bool:
    """Whether the guard lets it pass; then it leads to the same place for every library that reads URLs."""
    try:
        target = _ANYWHERE.check_url(text)
    except GuardRefused:
        return False
    for host, port in _places(text):
        seen = host if target.address is None else str(ip_address(host or ""))
        assert (seen, port) == (target.host, target.port), text
    return True


def _places(text: str) -> Sequence[tuple[str | None, int | None]]:
    by_python, by_httpx, by_yarl = urlsplit(text), httpx.URL(text), yarl.URL(text)
    # What the connection is made to: the one's text, read by the other.
    by_both = yarl.URL(str(by_httpx))
    default = _PORTS[by_python.scheme]
    return (
        (by_python.hostname, by_python.port or default),
        (by_httpx.raw_host.decode(), by_httpx.port or default),
        (by_yarl.raw_host, by_yarl.port),
        (by_both.raw_host, by_both.port),
    )
