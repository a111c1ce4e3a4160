"""Of what people look for among all that went well: held, dead, hooks that gave up, refused callbacks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from service import clock, events, runs, wavespeed
from service.hooks import Dead
from service.intake import Intake
from service.ledger import Arrival, Commit, Ledger
from service.ledger.refusals import Batch, RefusedCallback
from service.ledger.runs import Kind, Order
from service.prediction import Disposition, Reason, Ref, Stage, Step, Via
from service.refusals import RefusedFor
from tests.builders import LEASE, RETENTION, hook, output

if TYPE_CHECKING:
    from collections.abc import Sequence

_AT_ONCE = 50
_MODELS = ("acme/painter-xl", "acme/portraits/instant-character", "house/sketch-2.1")
REFUSED = 500


async def add(redis_url: str, held: int, dead: int) -> None:
    """Through the scripts that do it in life."""
    ledger = Ledger(redis_url, RETENTION, together=True)
    try:
        kinds = [True] * held + [False] * dead
        for start in range(0, len(kinds), _AT_ONCE):
            some = list(enumerate(kinds[start : start + _AT_ONCE], start))
            await Intake(ledger).accept_all([_arrival(n) for n, _ in some])
            await asyncio.gather(*(_end(ledger, n, is_held) for n, is_held in some))
        await _refuse(ledger)
        await runs.plan(ledger, Order(Kind.REPLAY, "stage:dead"))
    finally:
        await ledger.aclose()


def _arrival(n: int) -> Arrival:
    said: dict[str, Any] = {
        "id": f"v{n:08d}",
        "model": _MODELS[n % len(_MODELS)],
        "status": "completed",
        "outputs": [f"https://cdn.example/{n}/{index}.png" for index in range(2)],
        "has_nsfw_contents": [True, False],
        "input": {"prompt": "a fox in the snow at dawn", "seed": n, "size": "1024*1024"},
    }
    ref = Ref(wavespeed.SOURCE, said["id"])
    return Arrival(
        ref, Via.POLL, Step.POLLED, wavespeed.report(said), metadata={"order": str(n), "team": "press"}
    )


async def _end(ledger: Ledger, n: int, is_held: bool) -> None:
    ref = Ref(wavespeed.SOURCE, f"v{n:08d}")
    record = await ledger.predictions.lease(ref, LEASE, "bench")
    if record is None:
        raise RuntimeError(f"{ref} could not be leased")
    stage, outputs = (Stage.DONE, _held()) if is_held else (Stage.DEAD, [])
    reason = None if is_held else Reason.OUTPUTS_REFUSED
    ended = record.public() | {"stage": stage, "outputs": outputs}
    told = events.of_prediction(ref, record.generation, ended, [hook()], clock.now())
    commit = Commit(stage, reason, "" if is_held else "host is not allowed", outputs=outputs, events=told)
    await ledger.predictions.commit(ref, Stage.WORKING, record.token, commit)
    if not is_held:
        await _give_up(ledger, [events.delivery_id(one.id, hook().name) for one in told])


def _held() -> list[dict[str, Any]]:
    return [
        output(0, Disposition.HELD, nsfw="flagged", uri=None, key="held/acme/2026/01/02/v/0.png"),
        output(1, Disposition.STORED),
    ]


async def _give_up(ledger: Ledger, deliveries: Sequence[str]) -> None:
    for id_ in deliveries:
        delivery = await ledger.deliveries.take(id_, LEASE)
        if delivery is not None:
            gave_up = Dead("HTTP 502", disable=False)
            said = "answered 502"
            await ledger.deliveries.attempted(delivery, gave_up, status=502, error=said, now=clock.now())


async def _refuse(ledger: Ledger) -> None:
    one = ("wavespeed", RefusedFor.SIGNATURE, "no signature matches", "192.0.2.7", 512, "msg_1")
    sample = [RefusedCallback(clock.now() - n, *one) for n in range(100)]
    await ledger.refusals.write(Batch("bench", 1, {RefusedFor.SIGNATURE: REFUSED}, sample))
