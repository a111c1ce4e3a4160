"""Deliveries: each answer of a hook has its consequence, each attempt is one message, hooks are apart."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from service.clock import now, parse_rfc3339
from service.prediction import Ref, Stage
from service.simulator.scenario import Scenario
from service.simulator.sink import Outage
from tests import origin
from tests.origin import answer, drip, raw, redirect, reset
from tests.workplace import HOOK_SECRET, Workplace, shop_of, until, workplace
from workers import deliver
from workers.gate import BREAKER_FAILURES, BREAKER_SPAN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from workers.workshop import Workshop

pytestmark = pytest.mark.anyio


async def told(place: Workplace, shop: Workshop) -> Ref:
    """A prediction with one event, `prediction.completed`, for every hook."""
    ref = await place.complete(place.payload(Scenario.TEXT))
    await place.worked(shop, ref)
    return ref


async def attempt(place: Workplace, shop: Workshop, ref: Ref) -> dict[str, dict[str, Any]]:
    """One attempt for every hook, at the same time; the deliveries after it, by hook."""
    listed = (await place.prediction(ref))["deliveries"]
    await asyncio.gather(*(deliver.deliver(shop, one["id"]) for one in listed))
    return {one["hook"]: one for one in (await place.prediction(ref))["deliveries"]}


def hook(url: str, **more: Any) -> Mapping[str, Mapping[str, Any]]:
    return {"crm": {"url": url, **more}}


async def test_every_attempt_is_the_same_message_and_verifies(redis_url: str, tmp_path: Path) -> None:
    async with workplace(redis_url, tmp_path, outage=Outage(first=2)) as place, shop_of(place) as shop:
        ref = await told(place, shop)
        (delivery,) = await place.delivered(shop, ref)
        assert (delivery["state"], delivery["attempts"], delivery["last_status"]) == ("delivered", 3, 200)
        assert [line["status"] for line in place.told()] == [503, 503, 200]
        assert all(line["verified"] for line in place.told())
        assert len({(line["event_id"], line["body"]) for line in place.told()}) == 1
        assert place.told()[0]["event_id"] == delivery["event_id"]


async def test_two_secrets_sign_each_message_while_they_rotate(redis_url: str, tmp_path: Path) -> None:
    other = "whsec_YW5vdGhlci1zZWNyZXQ="
    async with workplace(redis_url, tmp_path) as first:
        both = {"sink": {"url": first.hook_url, "secret": [other, HOOK_SECRET]}}
        async with workplace(redis_url, tmp_path, hooks=both) as place, shop_of(place) as shop:
            await place.delivered(shop, await told(place, shop))
        assert [line["verified"] for line in first.told()] == [True]
        assert len(first.told()[0]["signature"].split()) == 2


MUCH = b"x" * 10_000_000
OUTCOMES = {
    "200": (answer(b"ok"), "delivered", 200, None),
    "204": (answer(status=204), "delivered", 204, None),
    "endless body": (drip(b"x" * 1000, 0.01, 10_000), "delivered", 200, None),
    "giant body": (answer(MUCH), "delivered", 200, None),
    "400": (answer(status=400), "pending", 400, "answered 400"),
    "500": (answer(status=500), "pending", 500, "answered 500"),
    "302": (redirect("http://127.0.0.1:9/elsewhere"), "pending", 302, "answered 302"),
    "410": (answer(status=410), "dead", 410, "answered 410"),
    "reset": (reset(), "pending", None, "the connection failed"),
    "nonsense": (raw(b"no HTTP at all\r\n\r\n"), "pending", None, "the connection failed"),
    "silence": (drip(b"", 60, 1, head=b""), "pending", None, "no answer within 0.3 s"),
}


@pytest.mark.parametrize("name", OUTCOMES)
async def test_each_answer_has_its_consequence(redis_url: str, tmp_path: Path, name: str) -> None:
    script, state, status, error = OUTCOMES[name]
    async with (
        origin.running({"/hook": script}) as far,
        workplace(redis_url, tmp_path, hooks=hook(far.url("/hook?key=s3cret"), timeout=0.3)) as place,
        shop_of(place) as shop,
    ):
        far.scripts["/hook?key=s3cret"] = script
        began = time.monotonic()
        delivery = (await attempt(place, shop, await told(place, shop)))["crm"]
        assert time.monotonic() - began < 3
        assert (delivery["state"], delivery["last_status"], delivery["attempts"]) == (state, status, 1)
        assert (delivery["error"] or "").startswith(error or "")
        assert "s3cret" not in str(delivery)


async def test_a_refused_connection_is_a_failure_that_is_tried_again(redis_url: str, tmp_path: Path) -> None:
    nobody = hook("http://127.0.0.1:9/hook")
    async with workplace(redis_url, tmp_path, hooks=nobody) as place, shop_of(place) as shop:
        (delivery,) = await place.delivered(shop, await told(place, shop))
        assert (delivery["state"], delivery["attempts"]) == ("dead", 3)
        assert delivery["error"] == "the connection failed (ConnectionRefusedError)"


async def test_410_switches_the_hook_off_and_later_events_wait(redis_url: str, tmp_path: Path) -> None:
    async with (
        origin.running({"/hook": answer(status=410)}) as far,
        workplace(redis_url, tmp_path, hooks=hook(far.url("/hook"))) as place,
        shop_of(place) as shop,
    ):
        with capture_logs([merge_contextvars]) as lines:
            await attempt(place, shop, await told(place, shop))
        (said,) = [line for line in lines if line["event"] == "hook.disabled"]
        assert (said["hook"], "catchlight hooks enable crm" in said["fix"]) == ("crm", True)
        later = await told(place, shop)
        waiting = (await attempt(place, shop, later))["crm"]
        assert (waiting["state"], waiting["attempts"], far.accepted) == ("pending", 0, 1)
        far.scripts["/hook"] = answer()
        await place.ledger.deliveries.enable("crm")
        assert (await attempt(place, shop, later))["crm"]["state"] == "delivered"


@pytest.mark.parametrize(
    ("status", "asked", "seconds"), [(429, "90", 90), (503, "86400", 3600), (503, "soon", 0), (500, "90", 0)]
)
async def test_a_busy_hook_is_left_alone_as_long_as_it_asks(
    redis_url: str, tmp_path: Path, status: int, asked: str, seconds: float
) -> None:
    busy = answer(status=status, headers=f"Retry-After: {asked}\r\n")
    async with (
        origin.running({"/hook": busy}) as far,
        workplace(redis_url, tmp_path, hooks=hook(far.url("/hook"))) as place,
        shop_of(place) as shop,
    ):
        delivery = (await attempt(place, shop, await told(place, shop)))["crm"]
        wait = (parse_rfc3339(delivery["next_attempt_at"]) or 0) - now()
        assert (delivery["state"], delivery["attempts"]) == ("pending", 1)
        assert wait == pytest.approx(seconds, abs=5)


async def test_the_beginning_of_an_answer_is_on_record_without_what_it_repeats_of_our_secrets(
    redis_url: str, tmp_path: Path
) -> None:
    said = f"no\r\n\x1b[31m{HOOK_SECRET} geheim \xff\u2028 ".encode("latin-1", "replace") + b"x" * 9_000
    async with origin.running({"/hook": answer(said, 500)}) as far:
        secretive = hook(far.url("/hook"), headers={"x-key": "geheim"})
        async with workplace(redis_url, tmp_path, hooks=secretive) as place, shop_of(place) as shop:
            listed = await attempt(place, shop, await told(place, shop))
            found = await place.ledger.reading.delivery(listed["crm"]["id"])
        assert found is not None
        (first,) = found.history
        assert (first.status, first.error, first.probe) == (500, "answered 500", False)
        assert 0 <= first.ms < 5_000
        assert abs(first.at - now()) < 30
        assert first.answer.startswith("no   [31m… … \ufffd")
        assert first.answer.isprintable()
        assert 1_000 < len(first.answer.encode()) <= 1_024


async def test_an_open_breaker_parks_what_comes_and_a_failed_probe_uses_up_nothing(
    redis_url: str, tmp_path: Path
) -> None:
    """Time passes when the test says so: first for a minute, then until the next probe."""
    passed = [0.0]
    async with (
        origin.running({"/hook": answer(status=500)}) as far,
        workplace(redis_url, tmp_path, hooks=hook(far.url("/hook")), hook_schedule="1d") as place,
        shop_of(place) as shop,
    ):
        virtual = replace(shop, monotonic=lambda: passed[0])
        refs = [await told(place, shop) for _ in range(BREAKER_FAILURES + 1)]
        for ref in refs[:-1]:
            counted = (await attempt(place, virtual, ref))["crm"]
            assert (counted["state"], counted["attempts"]) == ("pending", 1)
            passed[0] += BREAKER_SPAN / 10
        assert shop.gates["crm"].open

        waiting = (await attempt(place, virtual, refs[-1]))["crm"]
        assert (waiting["attempts"], waiting["next_attempt_at"]) == (0, None)
        requests = len(far.requests)
        assert requests == BREAKER_FAILURES
        passed[0] += place.settings.breaker_probe
        assert await place.ledger.deliveries.ring_probes(["crm"]) == 1
        failed = (await attempt(place, virtual, refs[-1]))["crm"]
        assert (failed["state"], failed["attempts"], failed["last_status"]) == ("pending", 0, 500)
        assert len(far.requests) == requests + 1

        far.scripts["/hook"] = answer()
        passed[0] += place.settings.breaker_probe
        assert await place.ledger.deliveries.ring_probes(["crm"]) == 1
        taken = (await attempt(place, virtual, refs[-1]))["crm"]
        assert (taken["state"], taken["attempts"], shop.gates["crm"].open) == ("delivered", 1, False)


async def test_a_hook_on_a_forbidden_address_is_dead_without_a_connection(
    redis_url: str, tmp_path: Path
) -> None:
    async with (
        origin.running() as canary,
        workplace(redis_url, tmp_path, hooks=hook(canary.url("/hook")), fetch_private="10.0.0.0/8") as place,
        shop_of(place) as shop,
    ):
        delivery = (await attempt(place, shop, await told(place, shop)))["crm"]
        assert (delivery["state"], delivery["attempts"], canary.accepted) == ("dead", 1, 0)
        assert delivery["error"].startswith("refused_address: ")
        assert "CATCHLIGHT_FETCH_PRIVATE" in delivery["error"]


async def test_a_delivery_whose_hook_is_no_longer_configured_is_dead(redis_url: str, tmp_path: Path) -> None:
    async with workplace(redis_url, tmp_path) as place:
        async with shop_of(place) as shop:
            ref = await told(place, shop)
        async with (
            workplace(redis_url, tmp_path, hooks={}) as without,
            shop_of(without) as shop,
        ):
            delivery = (await attempt(without, shop, ref))["sink"]
            assert (delivery["state"], delivery["error"]) == ("dead", "the hook is no longer configured")
            assert delivery["attempts"] == 0
            assert await without.ledger.deliveries.hook_state("sink") == {}, "it has not failed"
        assert place.told() == []


async def test_a_slow_hook_does_not_delay_another(redis_url: str, tmp_path: Path) -> None:
    """Known as slow, it has one of the worker's four places; what does not fit is postponed, not counted."""
    async with (
        origin.running({"/slow": drip(b"", 60, 1, head=b"")}) as far,
        workplace(redis_url, tmp_path) as first,
    ):
        hooks: dict[str, dict[str, Any]] = {
            "slow": {"url": far.url("/slow"), "timeout": 2},
            "sink": {"url": first.hook_url},
        }
        async with (
            workplace(redis_url, tmp_path, hooks=hooks, concurrency="4") as place,
            shop_of(place) as shop,
        ):
            await attempt(place, shop, await told(place, shop))
            refs = [await told(place, shop) for _ in range(3)]
            began = time.monotonic()
            rounds = asyncio.gather(*(attempt(place, shop, ref) for ref in refs))
            await until(lambda: len(first.told()) == 4)
            assert time.monotonic() - began < 1.5
            slow = [after["slow"] for after in await rounds]
            assert sorted(one["attempts"] for one in slow) == [0, 0, 1]
            assert all(one["state"] == "pending" and one["next_attempt_at"] for one in slow)


async def test_a_hooks_rate_is_kept_and_nothing_that_waits_for_it_is_counted(
    redis_url: str, tmp_path: Path
) -> None:
    async with workplace(redis_url, tmp_path) as first:
        paced = {"sink": {"url": first.hook_url, "rate": 4}}
        async with (
            workplace(redis_url, tmp_path, hooks=paced) as place,
            shop_of(place) as shop,
        ):
            refs = [await told(place, shop) for _ in range(6)]
            await asyncio.gather(*(attempt(place, shop, ref) for ref in refs))
            assert len(first.told()) == 4
            settled = await asyncio.gather(*(place.delivered(shop, ref) for ref in refs))
            assert {(one["state"], one["attempts"]) for (one,) in settled} == {("delivered", 1)}
            times = sorted(parse_rfc3339(line["at"]) or 0 for line in first.told())
            assert all(later - earlier > 0.9 for earlier, later in zip(times, times[4:], strict=False))


async def test_a_delivery_that_is_stopped_midway_is_given_back_uncounted(
    redis_url: str, tmp_path: Path
) -> None:
    async with (
        origin.running({"/hook": drip(b"", 60, 1, head=b"")}) as far,
        workplace(redis_url, tmp_path, hooks=hook(far.url("/hook"), timeout=60)) as place,
        shop_of(place) as shop,
    ):
        ref = await told(place, shop)
        sending = asyncio.create_task(attempt(place, shop, ref))
        await until(lambda: far.requests)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending

        async def given_back() -> bool:
            (delivery,) = (await place.prediction(ref))["deliveries"]
            return delivery["next_attempt_at"] is not None and delivery["attempts"] == 0

        await until(given_back)
        far.scripts["/hook"] = answer()
        (delivery,) = await place.delivered(shop, ref)
        assert (delivery["state"], delivery["attempts"]) == ("delivered", 1)


async def test_a_prediction_tells_only_the_hooks_that_want_it(redis_url: str, tmp_path: Path) -> None:
    async with workplace(redis_url, tmp_path) as first:
        url = first.hook_url
        hooks: dict[str, dict[str, Any]] = {
            "failures": {"url": url, "events": ["prediction.failed"]},
            "others": {"url": url, "models": ["acme/*"]},
            "all": {"url": url},
        }
        async with workplace(redis_url, tmp_path, hooks=hooks) as place, shop_of(place) as shop:
            ref = await place.complete(place.payload(Scenario.MODERATION))
            ended = await place.worked(shop, ref)
            assert (ended["stage"], ended["reason"]) == (Stage.FAILED, "moderation")
            assert {one["hook"] for one in await place.delivered(shop, ref)} == {"failures", "all"}
            assert [line["type"] for line in first.told()] == ["prediction.failed"] * 2
