from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from service import embedded, keys, wavespeed
from service.errors import (
    Conflict,
    InvalidInput,
    LedgerDown,
    NotFound,
    ProviderDown,
    ProviderRefused,
    SubmitUnknown,
)
from service.given import check_id
from service.intake import Intake
from service.ledger import Ledger
from service.operator import Operator, Submission
from service.prediction import Ref, Stage, Step, Via
from service.settings import Settings
from service.simulator.run import running
from tests.builders import RETENTION, accept, callback, completed, deliveries, finish, hook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from service.simulator.simulator import Simulator

pytestmark = pytest.mark.anyio

WORK = Submission("acme/painter", {"prompt": "a boat"}, {"order": 7})


@asynccontextmanager
async def operating(ledger: Ledger, provider: str, **settings: Any) -> AsyncIterator[Operator]:
    configured = Settings(provider_url=provider, wavespeed_api_key=SecretStr("key"), **settings)
    async with wavespeed.open_http() as http:
        yield Operator(configured, ledger, Intake(ledger), wavespeed.clients(configured.accounts, http))


@pytest.fixture
async def provider() -> AsyncIterator[tuple[str, Simulator]]:
    async with running() as (url, simulator):
        yield f"{url}/api/v3", simulator


@pytest.fixture
async def operator(ledger: Ledger, provider: tuple[str, Simulator]) -> AsyncIterator[Operator]:
    async with operating(ledger, provider[0]) as opened:
        yield opened


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[str]:
    """A provider that says one thing to everybody, or hangs up when it is nothing."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def source(id_: str) -> Ref:
    return Ref(wavespeed.SOURCE, id_)


async def test_what_is_submitted_is_awaited_before_the_answer(
    operator: Operator, ledger: Ledger, provider: tuple[str, Simulator]
) -> None:
    ref = await operator.submit(WORK)
    assert provider[1].find(ref.id) is not None
    found = await ledger.reading.prediction(ref)
    assert found is not None
    assert (found["stage"], found["model"], found["metadata"]) == ("awaited", "acme/painter", {"order": 7})
    assert found["received_via"] is None
    assert [line["step"] for line in found["timeline"]] == [Step.SUBMITTED]
    assert await ledger.redis.zcard(keys.INTENTS_OPEN) == 0


async def test_the_callback_address_goes_with_it(ledger: Ledger, provider: tuple[str, Simulator]) -> None:
    url, simulator = provider
    async with operating(ledger, url, public_url="https://us.example") as operator:
        ref = await operator.submit(WORK)
    prediction = simulator.find(ref.id)
    assert prediction is not None
    assert prediction.webhook == f"https://us.example/webhooks/{wavespeed.SOURCE}"


async def test_the_same_key_and_body_give_the_same_answer(
    operator: Operator, provider: tuple[str, Simulator]
) -> None:
    first = await operator.submit(WORK, "key-1")
    assert (
        await operator.submit(Submission("acme/painter", {"prompt": "a boat"}, {"order": 7}), "key-1")
        == first
    )
    assert len(provider[1].listed()) == 1
    assert await operator.submit(WORK) != first, "without a key every submission is its own"
    with pytest.raises(Conflict):
        await operator.submit(Submission("acme/painter", {"prompt": "a ship"}, {"order": 7}), "key-1")


async def test_of_many_with_one_key_at_once_one_is_submitted(
    operator: Operator, provider: tuple[str, Simulator]
) -> None:
    answers = await asyncio.gather(
        *(operator.submit(WORK, "key-1") for _ in range(20)), return_exceptions=True
    )
    assert len(provider[1].listed()) == 1
    # On a crowded machine Redis may be too slow for one of them, which then was certainly not submitted.
    assert {type(answer) for answer in answers} <= {Ref, SubmitUnknown, LedgerDown}
    assert Ref in {type(answer) for answer in answers}


async def test_a_refusal_is_passed_on_and_frees_the_key(operator: Operator, ledger: Ledger) -> None:
    refused = Submission("acme/painter", {"prompt": "x", "simulate": "nonsense"})
    for _ in range(2):
        with pytest.raises(ProviderRefused, match="simulate"):
            await operator.submit(refused, "key-1")
    assert await ledger.redis.zcard(keys.INTENTS_OPEN) == 0
    await operator.submit(WORK, "key-1")


async def test_a_provider_that_cannot_be_reached_frees_the_key(ledger: Ledger) -> None:
    async with operating(ledger, f"http://127.0.0.1:{embedded.free_port()}") as operator:
        for _ in range(2):
            with pytest.raises(ProviderDown):
                await operator.submit(WORK, "key-1")


async def test_an_input_that_is_no_json_frees_the_key(operator: Operator) -> None:
    for _ in range(2):
        with pytest.raises(InvalidInput):
            await operator.submit(Submission("acme/painter", {"prompt": float("nan")}), "key-1")


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"], ids=["hangs-up", "500"]
)
async def test_a_submit_of_unknown_outcome_is_never_repeated(ledger: Ledger, answer: bytes) -> None:
    async with answering(answer) as url, operating(ledger, url) as operator:
        with pytest.raises(SubmitUnknown):
            await operator.submit(WORK, "key-1")
    async with running() as (url, simulator), operating(ledger, f"{url}/api/v3") as operator:
        with pytest.raises(SubmitUnknown, match="not repeated"):
            await operator.submit(WORK, "key-1")
        assert simulator.listed() == []
    assert await ledger.redis.zcard(keys.INTENTS_OPEN) == 1, "reconciling can tie a found id to it"


async def test_nothing_is_submitted_that_could_not_be_written_down(provider: tuple[str, Simulator]) -> None:
    away = Ledger(embedded.url(embedded.free_port()), RETENTION)
    async with operating(away, provider[0]) as operator:
        with pytest.raises(LedgerDown):
            await operator.submit(WORK)
    assert provider[1].listed() == []
    await away.aclose()


@pytest.mark.parametrize(
    ("metadata", "key", "field"),
    [
        ({"x": "y" * 20_000}, None, "metadata"),
        ({"x": float("nan")}, None, "metadata"),
        ({"x": "\ud800"}, None, "metadata"),
        ({}, "has space", "Idempotency-Key"),
        ({}, "x" * 256, "Idempotency-Key"),
    ],
)
async def test_what_cannot_be_kept_is_refused_before_anything_is_done(
    operator: Operator, provider: tuple[str, Simulator], metadata: dict[str, Any], key: str, field: str
) -> None:
    with pytest.raises(InvalidInput, match=field):
        await operator.submit(Submission("acme/painter", {"prompt": "x"}, metadata), key)
    assert provider[1].listed() == []


async def test_a_tracked_id_is_awaited_and_polled_in_a_while(operator: Operator, ledger: Ledger) -> None:
    ref = await operator.track("theirs", "acme/painter", {"order": 7})
    record = await ledger.reading.record(ref)
    assert record is not None
    assert (record.stage, record.model, record.metadata) == (Stage.AWAITED, "acme/painter", {"order": 7})
    assert await ledger.sweeping.due_polls(10, 2, 1.5, 60) == []


async def test_tracking_what_is_known_changes_nothing_but_the_metadata(
    operator: Operator, ledger: Ledger
) -> None:
    await accept(ledger, callback(completed(), wavespeed.SOURCE))
    await operator.track("p1", "other/model", {"order": 7})
    record = await ledger.reading.record(source("p1"))
    assert record is not None
    assert (record.stage, record.via, record.model) == (Stage.ACCEPTED, Via.CALLBACK, "acme/painter")
    assert record.metadata == {"order": 7}


@pytest.mark.parametrize("id_", ["", "a b", "../etc", "a:b", "x" * 129, "é", "a\n"])
def test_what_can_be_no_id_is_refused(id_: str) -> None:
    with pytest.raises(InvalidInput, match="id"):
        check_id(id_)


async def test_a_replay_goes_back_to_the_fetch_or_sends_again(
    ledger: Ledger, provider: tuple[str, Simulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Settings, "source_names", ("main", "other"))
    await accept(ledger, callback(completed()))
    async with operating(ledger, provider[0]) as operator:
        with pytest.raises(Conflict, match="accepted"):
            await operator.replay("p1", None, "fetch")
        await finish(ledger, hooks=[hook()])
        rung = await ledger.redis.llen("rq:queue:catchlight")
        assert await operator.replay("p1", None, "deliver") == Ref("main", "p1")
        assert await ledger.redis.llen("rq:queue:catchlight") == rung + 1
        assert [one["state"] for one in await deliveries(ledger)] == ["pending"]
        await operator.replay("p1", "main", "fetch")
        for step in ("fetch", "deliver"):
            with pytest.raises(Conflict):
                await operator.replay("p1", None, step)
        with pytest.raises(NotFound):
            await operator.replay("nobody", None, "fetch")
        with pytest.raises(NotFound):
            await operator.replay("p1", "other", "deliver")
