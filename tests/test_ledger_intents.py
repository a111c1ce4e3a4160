from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import pytest

from service import keys
from service.ledger.intents import KEPT_FOR, Intent
from tests.builders import NOON, Clock

if TYPE_CHECKING:
    from service.ledger import Ledger

pytestmark = pytest.mark.anyio

FIRST = Intent("key-1", "digest", "acme/painter", NOON, metadata={"order": 7})


async def test_the_first_intent_of_a_key_stands(ledger: Ledger) -> None:
    assert await ledger.intents.begin(FIRST) is None
    second = dataclasses.replace(FIRST, digest="other", at=NOON + 1)
    assert await ledger.intents.begin(second) == FIRST
    assert 0 < await ledger.redis.ttl(keys.INTENT + "key-1") <= KEPT_FOR


async def test_even_its_very_twin_comes_second(ledger: Ledger) -> None:
    assert await ledger.intents.begin(FIRST) is None
    assert await ledger.intents.begin(FIRST) == FIRST


async def test_asking_again_after_a_lost_answer_is_no_second_intent(ledger: Ledger) -> None:
    arguments = ("intend", "key-1", '{"nonce":"n1"}', f"{NOON:.3f}", KEPT_FOR)
    run = ledger.intents._scripts.run
    assert [await run(*arguments), await run(*arguments)] == [None, None]


async def test_what_it_became_is_remembered_and_closes_it(ledger: Ledger) -> None:
    await ledger.intents.begin(FIRST)
    await ledger.intents.became(FIRST, "p1")
    assert await ledger.intents.begin(FIRST) == dataclasses.replace(FIRST, id="p1")
    assert await ledger.intents.matching("main", "acme/painter", NOON) is None


async def test_a_forgotten_intent_may_begin_anew(ledger: Ledger) -> None:
    await ledger.intents.begin(FIRST)
    await ledger.intents.forget("key-1")
    assert await ledger.intents.matching("main", "acme/painter", NOON) is None
    assert await ledger.intents.begin(FIRST) is None


@pytest.mark.parametrize(
    ("model", "apart", "found"),
    [
        ("acme/painter", 0, True),
        ("acme/painter", 119, True),
        ("acme/painter", -119, True),
        ("acme/painter", 121, False),
        ("acme/other", 0, False),
    ],
)
async def test_an_open_intent_is_tied_to_what_it_can_have_become(
    ledger: Ledger, model: str, apart: float, found: bool
) -> None:
    await ledger.intents.begin(FIRST)
    assert await ledger.intents.matching("main", model, NOON + apart) == (FIRST if found else None)


async def test_of_two_that_fit_neither_is_tied(ledger: Ledger) -> None:
    await ledger.intents.begin(FIRST)
    await ledger.intents.begin(dataclasses.replace(FIRST, key="key-2"))
    assert await ledger.intents.matching("main", "acme/painter", NOON) is None


async def test_a_found_prediction_from_the_far_future_closes_nothing(ledger: Ledger) -> None:
    await ledger.intents.begin(FIRST)
    assert await ledger.intents.matching("main", "acme/painter", 4e9) is None
    assert await ledger.intents.matching("main", "acme/painter", NOON) == FIRST


async def test_old_intents_leave_the_list(ledger: Ledger, clock: Clock) -> None:
    await ledger.intents.begin(FIRST)
    clock.advance(KEPT_FOR + 1)
    await ledger.intents.begin(dataclasses.replace(FIRST, key="key-2", at=clock.now))
    assert await ledger.redis.zcard(keys.INTENTS_OPEN) == 1


async def test_what_a_newer_version_added_is_ignored(ledger: Ledger) -> None:
    await ledger.intents.begin(FIRST)
    text = await ledger.redis.get(keys.INTENT + "key-1")
    await ledger.redis.set(keys.INTENT + "key-1", json.dumps(json.loads(text or "") | {"hue": "green"}))
    assert await ledger.intents.begin(FIRST) == FIRST
