"""The events' documents: what is really sent fits its schema, and what would not fit does not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from service import events, keys
from service.events import Kind
from service.hooks import Outage
from service.prediction import Disposition, Stage
from service.web import told
from service.web.openapi import document
from tests.builders import NOON, accept, callback, completed, finish, hook, lease, output
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.ledger import Ledger

pytestmark = pytest.mark.anyio


def fits(body: str) -> None:
    said = json.loads(body)
    schema = told.schema(Kind(said["type"]))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(said, schema, jsonschema.Draft202012Validator)


async def sent(ledger: Ledger) -> list[str]:
    """Of a prediction with one output that is stored, one held, one released, one rejected and one lost."""
    await accept(ledger, callback(completed(nsfw="cfffc")))
    became = ("stored", "held", "released", "rejected", "lost")
    outputs = [output(n, Disposition(one)) for n, one in enumerate(became)]
    record = await lease(ledger)
    ended = record.public() | {"outputs": outputs}
    return [
        event.body
        for stage in (Stage.DONE, Stage.FAILED, Stage.EXPIRED, Stage.DEAD)
        for event in events.of_prediction(record.ref, 1, ended | {"stage": stage}, [hook()], NOON)
    ]


async def test_every_event_that_is_sent_fits_its_schema(ledger: Ledger) -> None:
    bodies = await sent(ledger)
    bodies.append(events.ping("crm", NOON))
    outage = Outage(since="1700000000.000", seconds=1.0, noticed=0)
    bodies.append(events.failing(hook(), outage, 50, schedule=(5.0,), hooks=[hook("ops")], at=NOON).body)
    for body in bodies:
        fits(body)
    assert {json.loads(body)["type"] for body in bodies} == set(Kind)


@pytest.mark.parametrize("change", [{"stage": "failed"}, {"outputs": None}, {"id": 7}, {"metadata": []}])
async def test_what_would_not_fit_does_not(ledger: Ledger, change: dict[str, Any]) -> None:
    said = json.loads((await sent(ledger))[0])
    said["data"] |= change
    with pytest.raises(jsonschema.ValidationError):
        fits(json.dumps(said))


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (found for name, found in value.items() if name == "$ref")
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from references(inner)


@pytest.mark.parametrize("whole", [told.asyncapi(), *map(told.schema, Kind)])
def test_every_reference_of_a_document_leads_somewhere(whole: dict[str, Any]) -> None:
    for reference in set(references(whole)):
        found: Any = whole
        for name in reference.removeprefix("#/").split("/"):
            found = found[name]
        assert found


def test_openapi_has_every_event_as_a_webhook_with_the_headers_that_verify_it() -> None:
    webhooks = document()["webhooks"]
    assert set(webhooks) == set(Kind)
    for kind, item in webhooks.items():
        assert {one["name"] for one in item["post"]["parameters"]} == {
            "webhook-id", "webhook-timestamp", "webhook-signature",
        }  # fmt: skip
        body = item["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert body["properties"]["type"] == {"const": kind}


async def test_the_documents_are_served(redis_url: str) -> None:
    async with serving(redis_url) as server:
        assert (await server.client.get("/asyncapi.json")).json() == json.loads(json.dumps(told.asyncapi()))
        found = (await server.client.get("/api/v1/schemas/prediction.completed")).json()
        assert found["title"] == "prediction.completed"
        assert (await server.client.get("/api/v1/schemas/nothing")).status_code == 404


async def test_an_event_as_the_ledger_keeps_it_fits_too(ledger: Ledger) -> None:
    await accept(ledger, callback(completed()))
    await finish(ledger, hooks=[hook()], outputs=[output()])
    found = await ledger.redis.hgetall(f"{keys.EVENTS}main:p1")
    assert found
    for body in found.values():
        fits(str(body))
