"""What stands around a callback's body: a few bounded headers of the completion that is kept, no secret."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from service import keys
from service.ledger.callback_headers import CallbackHeaders, load, of_manifest
from tests.builders import accept_one, callback, completed, failed, fields_of, polled, ref
from tests.serving import callback as body
from tests.serving import serving, sign, stored

if TYPE_CHECKING:
    from service.ledger import Ledger

pytestmark = pytest.mark.anyio

AROUND = CallbackHeaders("msg_7", "1700000000", "acme/1", "application/json")


async def around(ledger: Ledger) -> CallbackHeaders | None:
    record = await ledger.reading.record(ref())
    assert record is not None
    return record.callback


def test_what_is_encoded_comes_back() -> None:
    assert load(AROUND.encoded("d1"), "d1") == AROUND


@pytest.mark.parametrize("text", ["", "d1", "d1\nmsg", "d2\na\nb\nc\nd", "d1\na\nb\nc\nd\ne", "\x00"])
def test_what_is_of_another_completion_or_unreadable_is_nothing(text: str) -> None:
    assert load(text, "d1") is None


def test_each_is_bounded_and_stays_on_its_line() -> None:
    pairs = [(b"user-agent", b"a\x1d\nb" + b"\xff" * 9999), (b"content-type", b"text/\x7fplain")]
    found = CallbackHeaders.of("m", 1, [*pairs, (b"webhook-signature", b"v3,00"), (b"cookie", b"secret")])
    assert found.user_agent == "a  b" + "\xff" * 252
    assert found.content_type == "text/ plain"
    assert load(found.encoded("d"), "d") == found


def test_of_headers_that_it_did_not_have_nothing_is_said() -> None:
    assert CallbackHeaders("m", "1").named() == {"webhook-id": "m", "webhook-timestamp": "1"}


@pytest.mark.parametrize("said", [None, [], "text", {"webhook-id": 1}])
def test_a_manifest_that_says_something_else_says_nothing(said: object) -> None:
    assert of_manifest(said) == {}


async def test_a_callback_is_kept_with_its_headers_and_without_its_signature(redis_url: str) -> None:
    sent = body("p1")
    more = {"user-agent": "acme-hooks/2", "content-type": "application/json", "cookie": "tasty"}
    async with serving(redis_url) as served:
        headers = sign(sent)
        assert (await served.call_back(sent, headers | more)).status_code == 200
        assert (await served.call_back(sent, sign(sent, message="again"))).json()["outcome"] == "known"
    fields = stored(redis_url, "p1")
    found = load(fields["callback"], fields["digest"])
    assert found == ("msg_1", headers["webhook-timestamp"], "acme-hooks/2", "application/json")
    assert headers["webhook-signature"][3:] not in json.dumps(fields)
    assert "tasty" not in json.dumps(fields)


async def test_what_came_otherwise_has_none(ledger: Ledger) -> None:
    await accept_one(ledger, polled(completed()))
    assert await around(ledger) is None


async def test_a_completion_that_supersedes_a_failure_takes_its_headers_away(ledger: Ledger) -> None:
    await accept_one(ledger, replace(callback(failed()), headers=AROUND))
    assert await around(ledger) == AROUND
    await accept_one(ledger, polled(completed()))
    assert await around(ledger) is None
    assert (await fields_of(ledger))["callback"] == ""


async def test_an_older_version_that_supersedes_it_leaves_no_wrong_ones(ledger: Ledger) -> None:
    await accept_one(ledger, replace(callback(failed()), headers=AROUND))
    await ledger.redis.hset(keys.PREDICTION + str(ref()), mapping={"digest": "another", "via": "poll"})
    assert await around(ledger) is None
