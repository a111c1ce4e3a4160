"""What is counted for a hook as its deliveries are settled: hour by hour, in a row, and what waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service import keys
from service.hooks import Dead, Delivered, Parked, Retry
from service.hooks.hours import HOUR, Hour, total
from service.hooks.standing import State
from service.hooks.troubles import LIMITS_MS
from service.ledger import hooks as ledger_hooks
from service.ledger.query import parse_deliveries
from tests.builders import NOON, deliveries, hook
from tests.test_ledger_deliveries import attempt, take, told
from tests.test_ledger_streams import stream_hook

if TYPE_CHECKING:
    from service.hooks.standing import Standing
    from service.ledger import Ledger
    from tests.builders import Clock

pytestmark = pytest.mark.anyio

AGAIN = Retry(NOON + 9e5)


async def fail(ledger: Ledger, id_: str, status: int | None = 502, error: str = "", ms: int = 0) -> str:
    delivery = await told(ledger, id_)
    await attempt(ledger, delivery, AGAIN, status, error or f"answered {status}", ms=ms)
    return delivery


async def hour(ledger: Ledger, clock: Clock) -> Hour:
    return (await ledger.hooks.hours(["crm"], clock.now, 1))["crm"][0]


async def stands(ledger: Ledger) -> Standing:
    (one,) = await ledger.hooks.standings(["crm"])
    return one


async def test_an_hour_says_what_came_of_its_attempts_and_how_long_they_took(
    ledger: Ledger, clock: Clock
) -> None:
    await attempt(ledger, await told(ledger, "p1"), Delivered(), ms=7)
    await fail(ledger, "p2", ms=40)
    await fail(ledger, "p3", ms=60)
    await fail(ledger, "p4", None, "no answer within 10 s", ms=10_000)
    found = await hour(ledger, clock)
    assert (found.attempts, found.delivered, found.failures) == (4, 1, 3)
    assert found.troubles() == [("502", 2), ("timeout", 1)]
    assert (found.within_ms(0.5), found.within_ms(0.95), found.mean_ms) == (50, 10_000, 2527)
    assert (found.at, found.health) == (NOON // HOUR * HOUR, "mixed")


async def test_forty_eight_hours_are_told_and_then_forgotten(ledger: Ledger, clock: Clock) -> None:
    await fail(ledger, "p1")
    clock.advance(47 * HOUR)
    await attempt(ledger, await told(ledger, "p2"), Delivered())
    hours = (await ledger.hooks.hours(["crm", "mail"], clock.now))["crm"]
    assert [one.health for one in hours] == ["bad", *["idle"] * 46, "good"]
    assert (total(hours).attempts, total(hours).at) == (2, hours[0].at)
    key = f"{keys.HOOK_HOUR}{int(NOON // HOUR)}:crm"
    assert 48 * HOUR < await ledger.redis.ttl(key) <= 49 * HOUR


async def test_what_was_not_attempted_is_not_counted(ledger: Ledger, clock: Clock) -> None:
    for id_ in ("p1", "p2", "p3"):
        await told(ledger, id_)
    ids = [(await deliveries(ledger, id_))[0]["id"] for id_ in ("p1", "p2", "p3")]
    await ledger.deliveries.park(await take(ledger, ids[0]))
    await ledger.deliveries.postpone(await take(ledger, ids[1]), 5)
    await ledger.deliveries.give_up(await take(ledger, ids[2]), "the hook is no longer configured")
    assert (await hour(ledger, clock)).attempts == 0
    assert (await stands(ledger)).state is State.ENABLED


async def test_a_hook_that_answers_with_every_status_there_is_fills_no_hash(
    ledger: Ledger, clock: Clock
) -> None:
    for status in range(400, 430):
        await fail(ledger, f"p{status}", status)
    await fail(ledger, "again", 400)
    troubles = dict((await hour(ledger, clock)).troubles())
    assert len(troubles) == 21
    assert (troubles["400"], troubles["other"], sum(troubles.values())) == (2, 10, 31)


async def test_a_row_of_failures_is_counted_and_ends_with_a_success(ledger: Ledger, clock: Clock) -> None:
    await fail(ledger, "p1")
    clock.advance(60)
    await fail(ledger, "p2", 500)
    found = await stands(ledger)
    assert (found.state, found.since, found.in_a_row, found.trouble) == (State.FAILING, NOON, 2, "500")
    assert found.told == "2 in a row, the last 500"
    await attempt(ledger, await told(ledger, "p3"), Delivered())
    assert (await stands(ledger)).told == "takes events"
    assert await ledger.deliveries.hook_state("crm") == {}


async def test_a_success_that_an_older_version_wrote_ends_the_row_too(ledger: Ledger, clock: Clock) -> None:
    await fail(ledger, "p1")
    await fail(ledger, "p2")
    await ledger.redis.hdel(keys.HOOK + "crm", "failing_since", "noticed")
    assert (await stands(ledger)).state is State.ENABLED
    await fail(ledger, "p3")
    assert (await stands(ledger)).in_a_row == 1


async def test_one_that_is_only_probed_is_parked_and_one_that_is_gone_disabled(
    ledger: Ledger, clock: Clock
) -> None:
    probe, waiting = await told(ledger, "p1"), await told(ledger, "p2")
    await attempt(ledger, probe, Parked(), None, "the connection failed (ConnectionRefusedError)")
    await ledger.deliveries.park(await take(ledger, waiting))
    found = await stands(ledger)
    assert (found.state, found.parked, found.trouble) == (State.PARKED, 2, "connection_refused")
    assert dict((await hour(ledger, clock)).troubles()) == {"connection_refused": 1}

    gone = Dead("the hook answered 410, gone", disable=True)
    await attempt(ledger, await told(ledger, "p3"), gone, 410, "answered 410")
    found = await stands(ledger)
    assert (found.state, found.told, found.since) == (State.DISABLED, "disabled: answered 410", clock.now)
    await ledger.deliveries.enable("crm")
    assert await ledger.deliveries.hook_state("crm") == {}


async def test_what_waits_is_told_by_hook(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fail(ledger, "p1")
    await told(ledger, "p2")
    await told(ledger, "p3", "mail")
    assert await ledger.hooks.waiting() == ({"crm": 2, "mail": 1}, True)
    monkeypatch.setattr(ledger_hooks, "WAITING_MOST", 2)
    by_hook, complete = await ledger.hooks.waiting()
    assert (sum(by_hook.values()), complete) == (2, False)


async def test_a_stream_counts_like_any_other(ledger: Ledger, clock: Clock) -> None:
    taken = await take(ledger, await told(ledger, name="lake"))
    assert await ledger.streams.deliver(taken, stream_hook(name="lake"), ms=3) is None
    (found,) = (await ledger.hooks.hours(["lake"], clock.now, 1))["lake"]
    assert (found.delivered, found.within_ms(1)) == (1, LIMITS_MS[0])


@pytest.mark.parametrize(("word", "found"), [("502", ["p1"]), ("timeout", ["p2"]), ("dns", [])])
async def test_deliveries_are_found_by_the_word_that_counts_them(
    word: str, found: list[str], ledger: Ledger, clock: Clock
) -> None:
    await fail(ledger, "p1")
    await fail(ledger, "p2", None, "no answer within 10 s")
    query = parse_deliveries(f"hook:crm err:{word}", clock.now)
    items, _ = await ledger.reading.deliveries(9, None, query)
    assert [item["prediction"] for item in items] == found


async def test_a_test_is_asked_for_taken_once_and_its_answer_kept(ledger: Ledger) -> None:
    assert await ledger.hooks.last_test("crm") is None
    await ledger.hooks.ask_test("crm")
    asked = await ledger.hooks.last_test("crm")
    assert asked is not None
    assert list(asked) == ["asked_at"]
    assert await ledger.hooks.take_asked_tests() == ["crm"]
    assert await ledger.hooks.take_asked_tests() == []
    await ledger.hooks.keep_test("crm", {"status": 200, "taken": True, "error": None, "ms": 3})
    answered = await ledger.hooks.last_test("crm")
    assert answered is not None
    assert (answered["status"], answered["taken"], "at" in answered) == (200, True, True)


async def test_a_hook_may_have_any_name_that_it_may_have(ledger: Ledger, clock: Clock) -> None:
    """No name of a hook makes its key one of the counts'."""
    names = ["hour", "tests", "tests-asked"]
    for name in names:
        await attempt(ledger, await told(ledger, name, name), AGAIN, 502, "answered 502")
        await ledger.hooks.ask_test(hook(name).name)
    assert [one.in_a_row for one in await ledger.hooks.standings(names)] == [1, 1, 1]
    hours = await ledger.hooks.hours(names, clock.now, 1)
    assert [hours[name][0].failures for name in names] == [1, 1, 1]
