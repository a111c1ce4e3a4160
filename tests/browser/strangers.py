"""A ledger in which strangers have written all that they can, in every field that anybody shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service import clock, events, wavespeed
from service.hooks import Dead
from service.intake import Intake
from service.ledger import Arrival, Commit, Ledger, Note
from service.ledger.callback_headers import CallbackHeaders
from service.ledger.refusals import Batch, RefusedCallback
from service.ledger.runs import Kind, Order
from service.prediction import Disposition, Reason, Ref, Stage, Step, Via
from service.refusals import RefusedFor
from service.review import Decision
from tests.browser.hostile import PAYLOADS
from tests.builders import LEASE, RETENTION, hook, output

if TYPE_CHECKING:
    from collections.abc import Sequence

_AT_ONCE = 12
"""Of payloads for one prediction that is looked at by itself."""
PAGES = tuple(f"all-{start}" for start in range(0, len(PAYLOADS), _AT_ONCE))
"""Ids of predictions that have all payloads between them."""


async def write(redis_url: str) -> None:
    """One prediction for each payload, for the lists; and a few of many, for pages of their own."""
    ledger = Ledger(redis_url, RETENTION)
    try:
        for n, payload in enumerate(PAYLOADS):
            await _prediction(ledger, f"one-{n}", [payload], held=n % 2 == 0)
        for n, id_ in enumerate(PAGES):
            some = PAYLOADS[n * _AT_ONCE : (n + 1) * _AT_ONCE]
            await _prediction(ledger, id_, some, held=True)
        await _refused(ledger)
        for payload in PAYLOADS[::4]:
            await ledger.runs.plan(Order(Kind.REPLAY, payload), [payload], None, None, clock.now())
            await ledger.roles.beat("work", payload)
    finally:
        await ledger.aclose()


async def _prediction(ledger: Ledger, id_: str, payloads: Sequence[str], *, held: bool) -> None:
    words = " ".join(payloads)
    said: dict[str, Any] = {
        "id": id_,
        "model": words,
        "status": "completed" if held else "failed",
        "outputs": [*payloads, "https://cdn.example/0.png"] if held else [],
        "has_nsfw_contents": None,
        "error": words,
        "created_at": words,
        "input": {"prompt": words} | {payload: payload for payload in payloads},
        "urls": {"get": words},
        words: words,
    }
    ref = Ref(wavespeed.SOURCE, id_)
    around = CallbackHeaders.of(words[:200], 0, [(b"user-agent", words.encode()), (b"content-type", b"x/y")])
    metadata = {payload: [payload, {payload: payload}] for payload in payloads} | {"prompt": words}
    arrival = Arrival(
        ref, Via.CALLBACK, Step.CALLED_BACK, wavespeed.report(said), words, metadata=metadata, headers=around
    )
    await Intake(ledger).accept(arrival)
    await _ended(ledger, ref, words, held=held)


async def _ended(ledger: Ledger, ref: Ref, words: str, *, held: bool) -> None:
    record = await ledger.predictions.lease(ref, LEASE, words[:60])
    assert record is not None
    strange = {"media_type": words, "error": words}
    outputs = [
        output(0, Disposition.STORED, uri=words, key=words, **strange),
        output(1, Disposition.HELD, nsfw="unknown", uri=None, key="held/x/1.png", error=words),
        output(2, Disposition.LOST, uri=words, sha256=words, **strange),
    ]  # fmt: skip
    stage = Stage.DONE if held else Stage.DEAD
    ended = record.public() | {"stage": stage, "outputs": outputs}
    told = events.of_prediction(ref, record.generation, ended, [hook()], clock.now())
    notes = [Note(Step.FETCHED, words), Note(Step.JUDGED, words)]
    commit = Commit(
        stage, None if held else Reason.OUTPUTS_BAD, words, outputs=outputs, events=told, notes=notes
    )
    assert await ledger.predictions.commit(ref, Stage.WORKING, record.token, commit)
    for one in told:
        delivery = await ledger.deliveries.take(events.delivery_id(one.id, hook().name), LEASE)
        assert delivery is not None
        await ledger.deliveries.attempted(
            delivery, Dead(words, disable=False), status=502, error=words, now=clock.now(), answer=words
        )
    if held and ref.id.endswith("0"):
        await ledger.reviews.decide(ref, 1, Decision.REJECT, words[:60], words[:200])


async def _refused(ledger: Ledger) -> None:
    sample = [
        RefusedCallback(clock.now(), payload, RefusedFor.SIGNATURE, payload, payload, 1, payload)
        for payload in PAYLOADS
    ]
    await ledger.refusals.write(Batch("p", 1, {RefusedFor.SIGNATURE: len(sample)}, sample))
