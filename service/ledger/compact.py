"""The compact form of a prediction that has ended: a hash of short fields, a third of what it was.

A record says the same things many times over: the id in every URL, the outputs also in the events' bodies.
So all of it becomes one compressed text, and only what scripts look at stays beside it. The text is cut into
fields of 64 bytes, up to which every Redis, as it comes, keeps a hash in one piece of memory.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.ledger.vocabulary import VOCABULARY
from service.prediction import TERMINAL, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

LIVES = "lives"
"""Only a compact record has it: the seconds that its keys live."""
MOVED = "manifest"
"""In the place of a payload that stands in the manifest. It cannot be read as one: a version that does not
know it takes the record for corrupt, and not for a completion without outputs."""

_STAY = frozenset(
    {
        *("stage", "verdict", "status", "digest", "nsfw", "day", "generation"),
        *("sequence", "token", "rings", "attempts", "payload_dropped_at"),
    }
)
"""What accept, lease and the moves look at."""
_OF_A_LEASE = frozenset(("claim", "worker", "lease_until", "pushed", "alone"))
_GO_ON_REOPENING = frozenset(("reason", "finished_at", "failures", "error"))
"""What a script that gives a prediction back to work deletes."""

_TEXT_MOST = 256 * 1024
"""Characters. Longer ones, say the payload of a failure with a film in it, are not worth a sweeper's time."""
_PIECE, _PIECES = 64, 100
_IS_PIECE = re.compile(r"z\d+")
_DELIVERY = "dlv_"
_FORMAT = "1"
# ASCII's own marks for this. No JSON has them.
_GROUP, _RECORD, _UNIT = "\x1d", "\x1e", "\x1f"


@dataclass(frozen=True, slots=True)
class Whole:
    """All that the ledger holds of one prediction, as it lies in Redis."""

    fields: Mapping[str, str]
    lines: Sequence[str]
    events: Mapping[str, str]
    deliveries: Mapping[str, Mapping[str, str]]


def is_compact(fields: Mapping[str, str]) -> bool:
    return LIVES in fields


def compacted(whole: Whole) -> dict[str, str]:
    """The hash that stands for all of it, but for `lives`. Raises ValueError for what cannot be compacted."""
    fields = {name: text for name, text in whole.fields.items() if text and name not in _OF_A_LEASE}
    if fields.pop("manifest", None):
        fields["payload"] = MOVED
        fields.pop("callback", None)
    stay = _STAY | ({"payload"} if fields.get("payload") == MOVED else frozenset())
    if fields.get("stage") == Stage.DEAD:
        # Has one a file in the open? A stricter duplicate asks.
        stay |= {"outputs"}
    # With the generation that the outputs are of.
    rest = {name: text for name, text in fields.items() if name not in stay or name == "generation"}
    deliveries = {
        id_: {name: text for name, text in delivery.items() if text and name not in ("id", "ref")}
        for id_, delivery in sorted(whole.deliveries.items())
    }
    lines = [_without_escaped_slashes(line) for line in whole.lines]
    packed = _packed(rest, lines, whole.events, deliveries.values())
    if _unpacked(packed) != (rest, lines, dict(whole.events), [*deliveries.values()]):
        raise ValueError("it holds the marks that divide the compact form")
    return (
        {name: text for name, text in fields.items() if name in stay}
        | dict.fromkeys(deliveries, "")
        | _in_pieces(packed)
    )


def restored(fields: Mapping[str, str]) -> Whole:
    """What a compact record stands for; what was written to it since is newer. Raises ValueError."""
    try:
        rest, lines, events, deliveries = _unpacked(_of_pieces(fields))
    except (zlib.error, KeyError, IndexError) as error:
        raise ValueError(f"not a compact record: {error}") from error
    now = {name: text for name, text in fields.items() if name not in of_the_form(fields)}
    if now.get("stage") not in TERMINAL:
        rest = {name: text for name, text in rest.items() if name not in _GO_ON_REOPENING}
    if now.get("generation") != rest.get("generation"):
        # A completion came after a failure: the outputs of that are none of it.
        rest.pop("outputs", None)
    ref = f"{rest.get('source', '')}:{rest.get('id', '')}"
    of = zip(delivery_ids(fields), deliveries, strict=True)
    whose = {id_: {"id": id_, "ref": ref} | one for id_, one in of}
    return Whole(rest | now, lines, events, whose)


def of_the_form(fields: Iterable[str]) -> set[str]:
    """The names of those fields that only the compact form has."""
    return {
        name for name in fields if name == LIVES or _IS_PIECE.fullmatch(name) or name.startswith(_DELIVERY)
    }


def delivery_ids(fields: Iterable[str]) -> list[str]:
    return sorted(name for name in fields if name.startswith(_DELIVERY))


def _packed(
    fields: Mapping[str, str],
    lines: Iterable[str],
    events: Mapping[str, str],
    deliveries: Iterable[Mapping[str, str]],
) -> str:
    text = _GROUP.join([_records(fields), _RECORD.join(lines), _records(events), *map(_records, deliveries)])
    if len(text) > _TEXT_MOST:
        raise ValueError("too long")
    # With its checksums of the text and of the vocabulary.
    press = zlib.compressobj(9, zdict=VOCABULARY)
    data = press.compress(text.encode()) + press.flush()
    return _FORMAT + base64.b85encode(data).decode()


def _unpacked(
    packed: str,
) -> tuple[dict[str, str], list[str], dict[str, str], list[dict[str, str]]]:
    if packed[:1] != _FORMAT:
        raise ValueError("a compact form that only a newer version knows")
    press = zlib.decompressobj(zdict=VOCABULARY)
    text = press.decompress(base64.b85decode(packed[1:]))
    if not press.eof or press.unused_data:
        raise ValueError("not all of it is there, or more than it")
    fields, lines, events, *deliveries = text.decode().split(_GROUP)
    return (
        _pairs(fields),
        lines.split(_RECORD) if lines else [],
        _pairs(events),
        [_pairs(one) for one in deliveries],
    )


def _records(fields: Mapping[str, str]) -> str:
    return _RECORD.join(f"{name}{_UNIT}{text}" for name, text in fields.items())


def _pairs(text: str) -> dict[str, str]:
    records = text.split(_RECORD) if text else ()
    return dict(record.split(_UNIT) for record in records)


def _in_pieces(text: str) -> dict[str, str]:
    """Of a text that is too long for them, one piece: a server would not keep so many in one place."""
    size = _PIECE if len(text) <= _PIECE * _PIECES else len(text)
    return {f"z{n}": text[at : at + size] for n, at in enumerate(range(0, len(text), size))}


def _of_pieces(fields: Mapping[str, str]) -> str:
    numbers = sorted(int(name[1:]) for name in fields if _IS_PIECE.fullmatch(name))
    return "".join(fields[f"z{n}"] for n in numbers)


def _without_escaped_slashes(line: str) -> str:
    """The same JSON, in which a URI is spelled as everywhere else. (Redis' own encoder escapes slashes.)"""
    return json.dumps(json.loads(line), separators=(",", ":"), ensure_ascii=False) if "\\/" in line else line
