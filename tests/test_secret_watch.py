"""When is a provider asked for its secret: after so many failures in a row, once, of that source alone."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from service import comparing, wavespeed
from service.comparing import State
from service.ending import end
from service.errors import ProviderRefused
from service.ledger import Ledger
from service.sources import Source
from service.web.secret_watch import SecretWatch
from tests.builders import RETENTION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

OURS = "whsec_ours"


@dataclass
class Telling(wavespeed.Client):
    """A provider that counts how often it is asked."""

    says: str | None = None
    asked: int = 0

    async def secret(self) -> str:
        self.asked += 1
        if self.says is None:
            raise ProviderRefused(404, "the provider answered 404: no such thing")
        return self.says


def source(name: str = "main", key: str | None = "k") -> Source:
    return Source(name, f"/webhooks/{name}", "http://127.0.0.1:9", 20.0, key, (OURS,))


@asynccontextmanager
async def watching(
    redis_url: str, telling: Telling, after: int = 3, key: str | None = "k"
) -> AsyncIterator[tuple[SecretWatch, Ledger]]:
    ledger = Ledger(redis_url, RETENTION)
    watch = SecretWatch(ledger, [source(key=key)], {"main": telling}, after)
    comparisons = asyncio.create_task(watch.keep_comparing())
    yield watch, ledger
    await end(comparisons)
    await ledger.aclose()


async def state(ledger: Ledger) -> str | None:
    last = await ledger.secrets.last()
    return last[0]["state"] if last else None


async def until_told(ledger: Ledger, wanted: State) -> None:
    async with asyncio.timeout(10):
        while await state(ledger) != wanted:  # noqa: ASYNC110 - what is waited for stands in Redis
            await asyncio.sleep(0.01)


async def settled(telling: Telling, asked: int) -> None:
    """So many questions, and no more in many turns of the loop."""
    async with asyncio.timeout(10):
        while telling.asked < asked:  # noqa: ASYNC110 - a counter, and nobody's event
            await asyncio.sleep(0.01)
    for _ in range(50):
        await asyncio.sleep(0)
    assert telling.asked == asked


@pytest.mark.parametrize(
    ("says", "expected"),
    [("whsec_theirs", State.DRIFTED), (OURS, State.SAME), ("ours", State.SAME)],
    ids=["another", "the same", "the same without its prefix"],
)
async def test_failures_in_a_row_have_the_provider_asked_once(
    redis_url: str, says: str, expected: State
) -> None:
    telling = Telling(says)
    async with watching(redis_url, telling) as (watch, ledger):
        for _ in range(2):
            watch.mismatched("main")
        await settled(telling, 0)
        for _ in range(50):
            watch.mismatched("main")
        await until_told(ledger, expected)
        await settled(telling, 1)


async def test_a_genuine_callback_between_them_begins_the_row_anew(redis_url: str) -> None:
    telling = Telling("whsec_theirs")
    async with watching(redis_url, telling) as (watch, _):
        for _ in range(20):
            watch.mismatched("main")
            watch.mismatched("main")
            watch.verified("main")
        await settled(telling, 0)


@pytest.mark.parametrize(("after", "key"), [(0, "k"), (3, None)], ids=["switched off", "no key to ask with"])
async def test_nobody_is_asked(redis_url: str, after: int, key: str | None) -> None:
    telling = Telling("whsec_theirs")
    async with watching(redis_url, telling, after, key) as (watch, _):
        for _ in range(20):
            watch.mismatched("main")
            watch.mismatched("nobody")
        await settled(telling, 0)


async def test_a_provider_that_does_not_tell_changes_nothing_on_record(redis_url: str) -> None:
    telling = Telling()
    async with watching(redis_url, telling) as (watch, ledger):
        for _ in range(5):
            watch.mismatched("main")
        await settled(telling, 1)
        assert await state(ledger) is None


async def test_who_starts_looks_again_at_what_was_drifted(redis_url: str) -> None:
    before = Ledger(redis_url, RETENTION)
    drifted = await comparing.compare(source(), Telling("whsec_theirs"))
    await before.secrets.keep(drifted.public())
    await before.aclose()
    telling = Telling(OURS)
    async with watching(redis_url, telling) as (_, ledger):
        await until_told(ledger, State.SAME)


async def test_what_is_told_holds_no_secret_and_names_the_command() -> None:
    drifted = await comparing.compare(source("studio"), Telling("whsec_theirs"))
    assert drifted.state is State.DRIFTED
    assert not any(word in str(drifted.public()) for word in ("ours", "theirs"))
    assert comparing.remedy("studio") == "catchlight connect --source studio"
    assert comparing.remedy(wavespeed.SOURCE) == "catchlight connect"
