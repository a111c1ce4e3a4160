"""Sets of signature headers: a genuine one, and up to three things done to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults.fuzz.mutations import mutated
from tests.faults.fuzz.readings import NOW, Headers, signature, signed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

_IDS = (b"evt", b"!", b"~" * 256, b"a" * 257, b"pred_123", b"a.b/c:d", b"", b"a b", b"\x00", b"\xc3\xa9")
_TIMES = (NOW, NOW - 300, NOW + 300, NOW - 301, NOW + 301, 0, 999_999_999_999, 1_000_000_000_000, -1)
_BODIES = (b"", b"{}", b'{"id":"pred_123","status":"completed"}', b"\xff\x00 not json", b".", b"1700000000.")
_TIME_SPELLINGS = (b"%d", b"%013d", b"+%d", b" %d", b"%d\n", b"%d.0", b"%de0")
_NAMES = (b"webhook-id", b"webhook-timestamp", b"webhook-signature")
_PIECES = (
    b"v3,",
    b"v1,",
    b" ",
    b",",
    b"\t",
    b"\n",
    b"\x00",
    b"\xff",
    b"0",
    b"0" * 64,
    b"v3," + b"0" * 64,
    b"A",
)


def header_sets(rng: Random) -> Iterator[tuple[Headers, bytes]]:
    """For ever: raw headers, and the body that they came with."""
    while True:
        body = rng.choice(_BODIES)
        timestamp = rng.choice(_TIME_SPELLINGS if rng.random() < 0.1 else _TIME_SPELLINGS[:1])
        sent = signed(body, rng.choice(_IDS), timestamp % rng.choice(_TIMES))
        for _ in range(rng.choice((0, 0, 1, 1, 2))):
            rng.choice(_CHANGES)(rng, sent)
        if rng.random() < 0.1:
            body = mutated(rng, body, _PIECES)
        yield sent, body


def _drop(rng: Random, sent: Headers) -> None:
    if sent:
        del sent[rng.randrange(len(sent))]


def _repeat(rng: Random, sent: Headers) -> None:
    if sent:
        sent.insert(rng.randrange(len(sent) + 1), rng.choice(sent))


def _shuffle(rng: Random, sent: Headers) -> None:
    rng.shuffle(sent)
    sent.insert(rng.randrange(len(sent) + 1), (b"host", b"webhook-id"))


def _spell_a_name_otherwise(rng: Random, sent: Headers) -> None:
    if sent:
        at = rng.randrange(len(sent))
        name, value = sent[at]
        other = rng.choice((bytes.upper, bytes.title, bytes.strip))(name)
        sent[at] = (mutated(rng, name, _NAMES) if rng.random() < 0.3 else other, value)


def _change_a_value(rng: Random, sent: Headers) -> None:
    if sent:
        at = rng.randrange(len(sent))
        name, value = sent[at]
        sent[at] = (name, mutated(rng, value, _PIECES))


def _sign_more(rng: Random, sent: Headers) -> None:
    """Others beside the right one, which stays among them."""
    strange = b"v3," + signature(b"evt", b"0", b"", rng.choice(("other", "whsec_other")))
    for at, (name, value) in enumerate(sent):
        if name == b"webhook-signature":
            entries = [value, *[strange] * rng.choice((1, 2, 8, 9, 10, 60))]
            rng.shuffle(entries)
            sent[at] = (name, rng.choice((b" ", b" ", b" ", b"  ", b",")).join(entries))


_CHANGES: tuple[Callable[[Random, Headers], None], ...] = (
    _drop, _repeat, _shuffle, _spell_a_name_otherwise, _change_a_value, _sign_more, _sign_more,
)  # fmt: skip
