"""URLs put together from parts of which each is plain, odd or a trick, and then changed here and there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.corpus import parts
from tests.faults.fuzz.mutations import mutated

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from random import Random

_GUARD = Path(__file__).parents[2] / "guard"


def urls(rng: Random) -> Iterator[str]:
    """For ever; of every other one nothing speaks against the host and the port."""
    found = parts("url_parts")
    addresses = [b"[%b]" % text if b":" in text else text for text in _inputs("addresses.txt")]
    kinds = {**found, "host": [*found["host"], *addresses]}
    listed = _inputs("urls.txt")
    while True:
        choice = rng.random()
        url = rng.choice(listed) if choice < 0.1 else _assembled(rng, kinds, plain=choice > 0.4)
        for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
            url = mutated(rng, url, found["piece"])
        yield url.decode(errors="surrogateescape")


def _inputs(name: str) -> list[bytes]:
    return [line.split(b" ", 1)[1] for line in (_GUARD / name).read_bytes().splitlines()]


def _assembled(rng: Random, kinds: Mapping[str, Sequence[bytes]], *, plain: bool) -> bytes:
    def one(kind: str) -> bytes:
        return rng.choice(kinds[f"plain-{kind}"] if plain else kinds[kind])

    before = b"//" if plain else rng.choice(kinds["slashes"]) + rng.choice((b"", one("user")))
    return b"".join((one("scheme"), b":", before, one("host"), one("port"), rng.choice(kinds["end"])))
