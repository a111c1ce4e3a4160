"""Admission: above 80 % of the server's memory nothing new is taken, and what is here is worked off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from service.errors import LedgerFull
from service.ledger import Commit, Ledger
from service.ledger.intents import Intent
from service.prediction import Stage
from tests.builders import (
    LEASE,
    RETENTION,
    accept,
    callback,
    completed,
    pending,
    ref,
    stage_of,
    stale,
    tracked,
)
from tests.serving import own_redis

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from service.ledger import Arrival
    from tests.serving import OwnRedis

pytestmark = pytest.mark.anyio


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OwnRedis]:
    with own_redis(tmp_path) as server:
        yield server


@pytest.fixture
async def full(server: OwnRedis) -> AsyncIterator[Ledger]:
    """A ledger that knows one completion and one awaited id, in a server that is filled to 85 %."""
    ledger = Ledger(server.url, RETENTION)
    await accept(ledger, callback(completed("here")), tracked("awaited"))
    await fill(ledger, 0.85)
    yield ledger
    await ledger.aclose()


async def fill(ledger: Ledger, share: float) -> None:
    info: dict[str, Any] = await ledger.redis.info("memory")
    await ledger.redis.config_set("maxmemory", int(info["used_memory"] / share))


@pytest.mark.parametrize(
    "arrival",
    [
        callback(completed("new")),
        callback(completed("awaited")),
        callback(pending("new")),
        stale("new"),
        tracked("new"),
    ],
    ids=["completion", "completion of an awaited one", "word of it", "stale", "tracked"],
)
async def test_nothing_new_is_taken(full: Ledger, arrival: Arrival) -> None:
    with pytest.raises(LedgerFull, match="80"):
        await accept(full, arrival)
    assert (await full.reading.counts())["awaited"] == 1


async def test_what_is_known_already_is_answered_as_ever(full: Ledger) -> None:
    again = [callback(completed("here")), callback(pending("awaited")), stale("here")]
    assert await accept(full, *again) == ["known", "known", "stale"]


async def test_one_that_is_known_and_one_that_is_not_get_each_its_own_answer(full: Ledger) -> None:
    arrivals = [callback(completed("here")), callback(completed("new"))]
    known, new = await full.predictions.write([one.encoded(0) for one in arrivals])
    assert known == "known"
    assert isinstance(new, LedgerFull)


async def test_no_submission_is_begun(full: Ledger) -> None:
    with pytest.raises(LedgerFull):
        await full.intents.begin(Intent("key", "digest", "acme/painter", 0.0))


async def test_what_is_here_is_worked_off(full: Ledger) -> None:
    record = await full.predictions.lease(ref("here"), LEASE, "w1")
    assert record is not None
    assert await full.predictions.commit(ref("here"), Stage.WORKING, record.token, Commit(Stage.DONE))
    assert await stage_of(full, "here") == Stage.DONE


async def test_with_room_again_all_is_taken(full: Ledger) -> None:
    await fill(full, 0.5)
    assert await accept(full, callback(completed("new")), tracked("other")) == ["new", "new"]
