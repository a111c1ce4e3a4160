"""What the resolver hands on is what it has checked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.guarded import ANY_HOST, answering
from workers.guard import GuardedResolver

if TYPE_CHECKING:
    from collections.abc import Sequence


def test_the_resolver_hands_on_exactly_what_it_checked() -> None:
    resolver = GuardedResolver(ANY_HOST, answering("8.8.8.8", "2606:4700::1", "8.8.8.8"))
    assert [row["host"] for row in asyncio.run(resolver.resolve("a.com", 443))] == ["8.8.8.8", "2606:4700::1"]


def test_a_lookup_that_hangs_is_a_timeout() -> None:
    async def lookup(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    with pytest.raises(TimeoutError):
        asyncio.run(GuardedResolver(ANY_HOST, lookup, timeout=0.01).resolve("a.com", 80))
