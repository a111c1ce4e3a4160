"""A Catchlight that has lived: of everything that a page can show there is some, and it went the real way."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from service import runs
from service.ledger import Arrival
from service.ledger.query import Query
from service.ledger.runs import Kind, Order
from service.prediction import Ref, Stage, Step, Via
from service.review import Decision
from service.simulator.scenario import Scenario
from service.simulator.simulator import SimulatorConfig
from service.simulator.sink import Outage
from tests.browser import addresses
from tests.serving import SECRET, callback, serving_with, sign
from tests.workplace import shop_of, workplace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from tests.serving import Served
    from tests.workplace import Workplace
    from workers.workshop import Workshop

DOWN = {"url": "http://127.0.0.1:9/hook"}
"""A hook that nobody listens at."""
_LIFE = (
    *(Scenario.CLEAN,) * 9,
    *(Scenario.MULTI,) * 3,
    *(Scenario.FLAGGED,) * 3,
    *(Scenario.UNKNOWN,) * 4,
    Scenario.EMPTY_FLAGS,
    Scenario.FAILED,
    Scenario.MODERATION,
    Scenario.CANCELLED,
    Scenario.EXPIRED,
    Scenario.FLAKY,
    Scenario.OBJECT,
    Scenario.TEXT,
    Scenario.EMPTY,
)
_MODELS = ("acme/painter-xl", "acme/portraits/instant-character", "house/sketch-2.1")
_PROMPTS = (
    "a fox in the snow at dawn, watercolour, soft light from the left",
    "product photo of a ceramic mug on slate, 85 mm",
    "portrait of an old sailor, oil on canvas, chiaroscuro",
    "isometric city block in the rain, neon, reflections on wet asphalt",
)


@dataclass
class Filled:
    place: Workplace
    shop: Workshop
    server: Served
    ids: Mapping[str, str]
    """One prediction for each stage."""

    async def pages(self) -> list[str]:
        """The path of every page; of those that are about one thing, of some."""
        place = self.place
        return await addresses.pages(self.server.app.routes, place.ledger, place.settings.hooks)


@asynccontextmanager
async def filled(redis_url: str, folder: Path, **changes: Any) -> AsyncIterator[Filled]:
    """`changes` are settings by name. The hook `down` has given up on all that it was to be told."""
    config = SimulatorConfig(delay=(0, 0), media_bytes=9_000)
    hooks = {"down": DOWN | {"events": ["prediction.completed", "prediction.expired", "output.held"]}}
    wanted = {"tables": _table(hooks), "webhook_secrets": SECRET, "environment": "staging"} | changes
    async with (
        workplace(redis_url, folder, config=config, outage=Outage(first=2), **wanted) as place,
        shop_of(place) as shop,
        serving_with(place.settings, redis_url) as server,
    ):
        ids = await _lived(place, shop)
        await _refused(server)
        await _decided(place, shop)
        await _ran(place)
        await place.ledger.roles.beat("sweep", "desk-2")
        await place.ledger.roles.beat("work", "desk-3")
        yield Filled(place, shop, server, ids)


def _table(hooks: Mapping[str, Mapping[str, Any]]) -> str:
    lines = []
    for name, fields in hooks.items():
        lines += ["[[hooks]]", f'name = "{name}"', 'secret = "whsec_c2VjcmV0LW9mLXRoZS10ZXN0LWhvb2s="']
        lines += [f"{key} = {value!r}".replace("'", '"') for key, value in fields.items()]
    return "\n".join(lines) + "\n"


async def _lived(place: Workplace, shop: Workshop) -> dict[str, str]:
    ids: dict[str, str] = {}
    for n, scenario in enumerate(_LIFE):
        inputs = {"prompt": _PROMPTS[n % len(_PROMPTS)], "seed": 1000 + n, "size": "1024*1024"}
        said = place.payload(scenario, model=_MODELS[n % len(_MODELS)], input=inputs)
        ended = await place.worked(shop, await place.complete(said))
        ids.setdefault(ended["stage"], ended["id"])
    nowhere = place.payload(Scenario.CLEAN, outputs=["https://somewhere.example/0.png"])
    dead = await place.worked(shop, await place.complete(nowhere))
    assert dead["stage"] == Stage.DEAD, dead
    ids[Stage.DEAD] = dead["id"]
    for ref in [Ref("wavespeed", one) for one in ids.values()]:
        await place.delivered(shop, ref)
    ids[Stage.AWAITED] = "tracked-by-hand"
    awaited = Ref("wavespeed", ids[Stage.AWAITED])
    given = Arrival(awaited, Via.TRACK, Step.TRACKED, metadata={"order": "4711"}, due_in=3600)
    await place.intake.accept(given)
    waiting = await place.complete(place.payload(Scenario.CLEAN))
    ids[Stage.ACCEPTED] = waiting.id
    return ids


async def _refused(server: Served) -> None:
    """A wrong signature, none, an old one, a source that nobody has, and what is no JSON."""
    body = callback("refused")
    await server.call_back(body, sign(body, secret="another"))
    await server.call_back(body, {})
    await server.call_back(b"no json")
    await server.client.post("/webhooks/nobody", content=body, headers=sign(body))


async def _decided(place: Workplace, shop: Workshop) -> None:
    """The oldest of what is held is released, the next rejected."""
    items, _ = await place.ledger.reading.held(Query(), 50, None)
    for item, decision in zip(items[-2:], (Decision.APPROVE, Decision.REJECT), strict=True):
        ref = Ref(item["source"], item["id"])
        await place.ledger.reviews.decide(ref, item["index"], decision, "ada", "as agreed")
        await place.worked(shop, ref)


async def _ran(place: Workplace) -> None:
    """One planned, and one that has ended."""
    await runs.plan(place.ledger, Order(Kind.REPLAY, "stage:dead"))
    ended = await runs.plan(place.ledger, Order(Kind.REPLAY, "stage:failed", "deliver", rate=1000.0))
    await runs.carry_on(place.ledger, ended.id)
