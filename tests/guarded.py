"""Guards for tests, and lookups that answer as they are told."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

from workers.guard import Guard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.guard import Lookup

LOOPBACK = (ip_network("127.0.0.0/8"),)
ANY_HOST = Guard(hosts=("*",))
ON_LOOPBACK = Guard(hosts=("*",), private=LOOPBACK)


def answering(*answers: str) -> Lookup:
    async def lookup(host: str, port: int) -> Sequence[str]:
        return answers

    return lookup
