"""The simulator's callbacks, checked with signature code of our own, and the retry rule of its courier."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from service.simulator import signature
from service.simulator.load import submit_direct
from service.simulator.run import running, serving
from service.simulator.scenario import Scenario
from service.simulator.simulator import Simulator, SimulatorConfig
from service.simulator.trigger import trigger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

pytestmark = pytest.mark.anyio

SECRET = "whsec_c2VjcmV0"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Receiver:
    """Writes down every callback and answers with the given statuses, then 200."""

    statuses: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    async def take(self, request: Request) -> PlainTextResponse:
        self.got.append((dict(request.headers), await request.body()))
        return PlainTextResponse("noted", self.statuses.pop(0) if self.statuses else 200)

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]

    def verified(self, secret: str = SECRET) -> list[bool]:
        return [holds(headers, body, secret) for headers, body in self.got]

    def ages(self) -> list[float]:
        return [time.time() - int(headers["webhook-timestamp"]) for headers, _ in self.got]


def holds(headers: dict[str, str], body: bytes, secret: str) -> bool:
    """The documented algorithm, spelled a second time on purpose."""
    key = secret[len("whsec_") :].encode()
    message = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = "v3," + hmac.new(key, message, "sha256").hexdigest()
    return expected in headers["webhook-signature"].split(" ")


@asynccontextmanager
async def receiving(*statuses: int) -> AsyncIterator[Receiver]:
    receiver = Receiver(list(statuses))
    app = Starlette(routes=[Route("/webhooks/wavespeed", receiver.take, methods=["POST"])])
    async with serving(app) as base_url:
        receiver.url = f"{base_url}/webhooks/wavespeed"
        yield receiver


async def until_quiet(sim: Simulator) -> None:
    async with asyncio.timeout(10):
        while not sim.quiet:  # noqa: ASYNC110 - the simulator offers no event; a test may poll
            await asyncio.sleep(0.005)


async def played(receiver: Receiver, scenario: str, **config: Any) -> dict[str, Any]:
    """Plays one prediction to its end and returns its part of the truth."""
    settings = SimulatorConfig(secrets=(SECRET,), delay=(0, 0.01), callback_retry_base=0.01)
    async with running(replace(settings, **config)) as (base_url, sim):
        await submit_direct(base_url, "wavespeed-ai/flux-dev", {"simulate": scenario}, receiver.url)
        await until_quiet(sim)
        truth = sim.truth()
    told: dict[str, Any] = truth["predictions"][0] | {"totals": truth["totals"]}
    return told


def test_the_documented_vector() -> None:
    signed = signature.sign(
        "whsec_secret-value", "pred_123", 1700000000, b'{"id":"pred_123","status":"completed"}'
    )
    assert signed == "v3,8ae8a3af37c66d113524b329f4b951d736eb51f32e23c56a5c5d49c4b4adee1c"


async def test_a_callback_is_the_flat_prediction_signed_over_its_bytes() -> None:
    async with receiving() as receiver:
        told = await played(receiver, "clean")
    assert receiver.verified() == [True]
    (body,) = receiver.bodies()
    assert (body["id"], body["status"], body["outputs"]) == (told["id"], "completed", told["outputs"])
    assert "data" not in body
    assert receiver.ages()[0] < 60
    assert [(one["kind"], one["attempt"], one["status"]) for one in told["callbacks"]] == [
        ("genuine", 1, 200)
    ]


async def test_two_secrets_make_two_signatures() -> None:
    async with receiving() as receiver:
        await played(receiver, "clean", secrets=(SECRET, "whsec_other"))
    assert receiver.verified(SECRET) == receiver.verified("whsec_other") == [True]


async def test_a_refused_callback_is_retried_under_one_webhook_id_until_it_is_taken() -> None:
    async with receiving(503, 404, 202) as receiver:
        told = await played(receiver, "clean")
    assert [one["status"] for one in told["callbacks"]] == [503, 404, 202]
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert receiver.verified() == [True] * 3
    assert told["totals"]["retries"] == 2


async def test_after_three_retries_the_provider_gives_up() -> None:
    async with receiving(*[500] * 9) as receiver:
        told = await played(receiver, "clean")
    assert [one["attempt"] for one in told["callbacks"]] == [1, 2, 3, 4]


async def test_waits_between_tries_double() -> None:
    async with receiving(500, 500, 500) as receiver:
        begun = time.monotonic()
        await played(receiver, "clean", callback_retry_base=0.05)
    assert time.monotonic() - begun >= 0.05 + 0.1 + 0.2


async def test_every_try_takes_a_fresh_timestamp() -> None:
    async with receiving(500) as receiver:
        await played(receiver, "clean", callback_retry_base=1.1)
    first, second = (int(headers["webhook-timestamp"]) for headers, _ in receiver.got)
    assert second > first


async def test_an_unreachable_receiver_is_noted_as_an_error() -> None:
    told = await played(Receiver(url="http://127.0.0.1:1/"), "clean")
    assert [one["status"] for one in told["callbacks"]] == [None] * 4
    assert all(one["error"].startswith("Connect") for one in told["callbacks"])


async def test_duplicates_repeat_the_body() -> None:
    async with receiving() as receiver:
        told = await played(receiver, "duplicate")
    assert told["totals"]["duplicates"] == len(receiver.got) - 1 in {1, 2}
    assert len({body for _, body in receiver.got}) == 1
    assert all(receiver.verified())


async def test_a_lost_callback_is_never_sent() -> None:
    async with receiving() as receiver:
        told = await played(receiver, "lost")
    assert receiver.got == []
    assert (told["status"], told["totals"]["lost_callbacks"]) == ("completed", 1)


async def test_a_late_callback_is_genuine_and_stale() -> None:
    async with receiving() as receiver:
        told = await played(receiver, "late")
    assert receiver.verified() == [True]
    assert receiver.ages()[0] > 300
    assert told["totals"]["stale"] == 1


async def test_out_of_order_ends_with_processing() -> None:
    async with receiving() as receiver:
        await played(receiver, "out_of_order")
    assert [body["status"] for body in receiver.bodies()] == ["completed", "processing"]
    assert receiver.bodies()[1]["outputs"] == []
    assert all(receiver.verified())


async def test_a_forgery_lies_once_before_the_genuine_callback() -> None:
    async with receiving(401) as receiver:
        told = await played(receiver, "forged")
    assert receiver.verified() == [False, True]
    assert [body["status"] for body in receiver.bodies()] == ["failed", "completed"]
    assert (told["totals"]["forged"], told["totals"]["forged_refused"]) == (1, 1)
    assert [one["kind"] for one in told["callbacks"]] == ["forged", "genuine"]


async def test_leaving_drops_callbacks_under_way() -> None:
    async with receiving() as receiver:
        async with running(SimulatorConfig(delay=(60, 60))) as (base_url, sim):
            await submit_direct(base_url, "wavespeed-ai/flux-dev", {}, receiver.url)
            assert sim.truth()["quiet"] is False
        assert sim.truth()["quiet"] is True
        assert receiver.got == []


@pytest.mark.parametrize(
    ("scenario", "statuses"),
    [
        (Scenario.CLEAN, ["completed"]),
        (Scenario.LOST, []),
        (Scenario.FORGED, ["failed", "completed"]),
        (Scenario.MODERATION, ["failed"]),
        (Scenario.OUT_OF_ORDER, ["completed", "processing"]),
    ],
)
async def test_trigger_sends_the_callbacks_of_a_scenario(scenario: Scenario, statuses: list[str]) -> None:
    async with receiving() as receiver:
        sent = await trigger(scenario, receiver.url, SECRET, cdn_base="http://127.0.0.1:1")
    assert [body["status"] for body in receiver.bodies()] == statuses
    assert [(one.status, one.body) for one in sent] == [(200, "noted")] * len(statuses)


async def test_a_simulator_plays_what_was_triggered() -> None:
    """It never saw the submit: result and outputs follow from the id."""
    async with (
        receiving() as receiver,
        running() as (base_url, _),
        httpx.AsyncClient(trust_env=False) as client,
    ):
        await trigger(Scenario.FLAGGED, receiver.url, SECRET, cdn_base=base_url, token="a")
        (body,) = receiver.bodies()
        answer = await client.get(body["urls"]["get"], headers={"authorization": "Bearer key"})
        data = answer.json()["data"]
        files = [(await client.get(url)).content for url in body["outputs"]]
    assert {name: data[name] for name in ("id", "outputs", "has_nsfw_contents")} == {
        name: body[name] for name in ("id", "outputs", "has_nsfw_contents")
    }
    assert len({hashlib.sha256(file).hexdigest() for file in files}) == len(data["outputs"])


async def test_one_token_is_one_prediction() -> None:
    async with receiving() as receiver:
        for token in ("a", "a", ""):
            await trigger(Scenario.CLEAN, receiver.url, SECRET, cdn_base="http://127.0.0.1:1", token=token)
    first, again, other = (body["id"] for body in receiver.bodies())
    assert first == again != other
