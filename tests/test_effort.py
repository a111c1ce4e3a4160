"""What a process measures of itself: shares of now, rates of the last minute, and no beat is broken by it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from service import keys
from service.effort import Effort, Meter
from service.effort.told import read
from service.ledger.roles import Said
from service.simulator.scenario import Scenario
from tests.workplace import shop_of, until, workplace

if TYPE_CHECKING:
    from pathlib import Path

    from service.ledger import Ledger

pytestmark = pytest.mark.anyio

SOME = Effort(15.0, 60.0, 0.5, 0.4, 0.1, 0.002, {"in_flight": 3.5, "hook:crm": 1.0}, {"predictions": 2.25})


async def measured(meter: Meter, seconds: float = 1.2) -> Effort:
    """Of that long, with 30 outputs in it."""
    looking = asyncio.create_task(meter.keep_looking())
    await asyncio.sleep(0)
    meter.count("outputs", 30)
    found: list[Effort] = []
    end = time.monotonic() + seconds

    def told() -> bool:
        effort = meter.told() if time.monotonic() > end else None
        found.extend([effort] if effort else [])
        return bool(found)

    await until(told)
    looking.cancel()
    return found[0]


async def test_how_many_there_were_and_how_many_a_second() -> None:
    meter = Meter()
    meter.watch(lambda: {"in_flight": 4, "never": 0})
    with meter.inside("opinion"):
        effort = await measured(meter)
    assert effort.mean("in_flight") == 4
    assert effort.mean("opinion") == 1
    assert "never" not in effort.means
    assert effort.rate("outputs") == pytest.approx(30 / effort.counted)
    assert effort.mean("unheard of") == effort.rate("unheard of") == 0


async def test_a_loop_that_computes_is_busy_and_late_and_one_that_waits_is_not() -> None:
    async def compute() -> None:
        while True:
            end = time.thread_time() + 0.02
            while time.thread_time() < end:
                pass
            await asyncio.sleep(0)

    computing = asyncio.create_task(compute())
    busy = await measured(Meter())
    computing.cancel()
    idle = await measured(Meter())
    # Its own share of a core and the time that it waited for one, whoever else is at work here.
    assert busy.busy > 0.8
    assert busy.lag > 0.005
    assert busy.cpu >= busy.loop * 0.9
    assert idle.busy < busy.busy / 2


async def test_nothing_is_told_of_no_time() -> None:
    assert Meter().told() is None


async def test_of_many_hooks_the_largest_are_told() -> None:
    meter = Meter()
    meter.watch(lambda: {f"hook:h{n}": n for n in range(1, 9)} | {"in_flight": 1})
    effort = await measured(meter)
    assert sorted(effort.means) == ["hook:h4", "hook:h5", "hook:h6", "hook:h7", "hook:h8", "in_flight"]


def test_what_is_told_is_read_again() -> None:
    assert read(SOME.text()) == SOME
    assert len(SOME.text()) < 300, "it goes out every five seconds"


@pytest.mark.parametrize(
    "text",
    [None, "", "[]", "null", "3", "{", '{"seconds":1}', SOME.text().replace("15.0", '"x"')]
    + [SOME.text().replace("15.0", word) for word in ("NaN", "Infinity", "null", "[]")]
    + [SOME.text().replace('{"predictions":2.25}', word) for word in ("[]", "null", '{"predictions":"x"}')],
)
def test_what_another_version_tells_is_nothing_and_no_error(text: str | None) -> None:
    assert read(text) is None


async def test_a_beat_carries_it_and_one_of_an_older_version_none(ledger: Ledger) -> None:
    await ledger.roles.beat("work", "new", said=Said(3, effort=SOME, wrote_in=0.0123, place="s3://b"))
    await ledger.roles.beat("work", "old")
    await ledger.redis.hdel(f"{keys.ROLE}work:old", "effort", "wrote_in", "place")
    new, old = await ledger.roles.alive()
    assert new.said == Said(3, effort=SOME, wrote_in=0.0123, place="s3://b")
    assert (old.said.effort, old.said.wrote_in, old.said.place) == (None, None, "")


async def test_a_worker_tells_what_it_has_done_and_who_was_sent_back(redis_url: str, tmp_path: Path) -> None:
    """Of a good output, one that is cut short, and a hook that is told twice a second."""
    async with workplace(redis_url, tmp_path) as first:
        paced = {"sink": {"url": first.hook_url, "rate": 2}}
        async with workplace(redis_url, tmp_path, hooks=paced) as place, shop_of(place) as shop:
            looking = asyncio.create_task(shop.meter.keep_looking())
            await asyncio.sleep(0)
            refs = [await place.complete(place.payload(Scenario.CLEAN)) for _ in range(4)]
            refs.append(await place.complete(place.payload(Scenario.TRUNCATED)))
            ended = [await place.worked(shop, ref) for ref in refs]
            await asyncio.gather(*(place.delivered(shop, ref) for ref in refs))
            effort = shop.meter.told()
            looking.cancel()
    assert effort is not None
    stored = sum(output["bytes"] for one in ended for output in one["outputs"])
    done = {name: round(amount * effort.counted) for name, amount in effort.rates.items()}
    sent_back = done.pop("turned_by_rate:sink")
    assert done == {"predictions": 5, "outputs": 5, "bytes": stored, "fetches_failed": 1, "attempts": 5}
    assert sent_back > 0
    assert effort.mean("bytes_most") == shop.settings.fetch_in_flight
