"""Ended predictions written back into a ledger that has lost them; what it has, it keeps."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from service import keys, plain_json
from service.ledger import compact
from service.ledger.arrival import unpack
from service.ledger.connection import reaching
from service.ledger.pruning import kept_since
from service.prediction import Nsfw

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from service.ledger.scripts import Scripts
    from service.prediction import Ref

PAYLOAD_IN_THE_MANIFEST = compact.MOVED

SIZE_MOST = 1 << 20
"""Bytes that one script is given, but for its last: nobody else is served meanwhile."""
_NUMBERED_FROM = 10**13
"""Beyond every instant in milliseconds: a place that is only known by its instant is before all others."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """One ended prediction as it is to stand in the ledger."""

    ref: Ref
    sequence: int
    """Its place in the lists; 0 when its manifest is of a version that did not write it."""
    known_at: float
    """Seconds since the epoch."""
    fields: Mapping[str, str]
    """Of its hash, `sequence` apart."""
    lines: Sequence[Mapping[str, Any]]
    """Of its timeline: `at` in seconds, `step`, `detail`."""
    events: Mapping[str, str]
    """Bodies by id, of what hooks were told."""
    held: bool
    """An output waits for a review."""
    keep: float
    """Seconds that it stays from now on."""

    def argument(self) -> bytes:
        return plain_json.encoded(
            {
                "ref": str(self.ref),
                "sequence": _place(self.sequence, self.known_at),
                "fields": self.fields,
                "lines": [plain_json.encoded(line) for line in self.lines],
                "events": self.events,
                "words": list(_words(self.fields)),
                "held": self.held,
                "kept": kept_since(json.loads(self.fields["outputs"])),
                "keep": int(self.keep) + 1,
            }
        ).encode(errors="replace")


def _words(fields: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Those that lists are searched by, as the other scripts mark them."""
    yield from ((name, fields[name]) for name in ("model", "via") if name in fields)
    flags = set(unpack(fields.get("nsfw", ""))) - {Nsfw.CLEAN}
    yield from (("nsfw", str(flag)) for flag in flags)
    failed = any(name in fields for name in ("error", "reason", "said_error", "said_reason"))
    if failed or '"error":"' in fields["outputs"]:
        yield "err", "any"


def _place(sequence: int, known_at: float) -> int:
    """The order of the lists that were. Once given it stays, in the manifest that is written next too."""
    if not sequence:
        return max(1, int(known_at * 1000))
    return sequence if sequence >= _NUMBERED_FROM else _NUMBERED_FROM + sequence


class Rebuilding:
    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def known(self, refs: Sequence[Ref]) -> set[Ref]:
        """Those that the ledger has. Raises LedgerDown."""
        with reaching():
            async with self._scripts.redis.pipeline(transaction=False) as pipe:
                for ref in refs:
                    pipe.exists(keys.PREDICTION + str(ref))
                return {ref for ref, there in zip(refs, await pipe.execute(), strict=True) if there}

    async def rebuild(self, found: Sequence[Rebuilt]) -> tuple[int, int]:
        """How many are in the ledger now that were not, and how many were. Raises LedgerDown, LedgerFull."""
        words: list[str] = []
        for arguments in _portions([one.argument() for one in found]):
            words += await self._scripts.run("rebuild", *arguments)
        return words.count("rebuilt"), words.count("known")


def _portions(arguments: Sequence[bytes]) -> Iterator[list[bytes]]:
    portion: list[bytes] = []
    for one in arguments:
        portion.append(one)
        if sum(map(len, portion)) > SIZE_MOST:
            yield portion
            portion = []
    if portion:
        yield portion
