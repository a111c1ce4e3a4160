"""No key of ours lives for ever but those on the list, which are bounded or trimmed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service import events, keys
from service.hooks import Delivered
from service.ledger import Commit
from service.prediction import Disposition, Ref, Stage
from tests.builders import LEASE, accept, callback, completed, hook, output

if TYPE_CHECKING:
    from service.ledger import Ledger
    from tests.builders import Clock

WORDS = ("model:acme/painter", "via:callback", "delivery.hook:crm", "delivery.hook:mail")
HOOKS = (hook("crm"), hook("mail", events=["prediction.*"]))


@pytest.mark.anyio
async def test_no_key_of_ours_lives_for_ever_but_those_on_the_list(ledger: Ledger, clock: Clock) -> None:
    for id_ in ("p1", "p2", "p3"):
        await accept(ledger, callback(completed(id_)))
        record = await ledger.predictions.lease(Ref("main", id_), LEASE, "w1")
        assert record is not None
        outputs = [output(0, Disposition.HELD)]
        public = record.public() | {"stage": "done", "outputs": outputs}
        told = events.of_prediction(record.ref, 1, public, HOOKS, clock.now)
        await ledger.predictions.commit(
            record.ref, Stage.WORKING, record.token, Commit(Stage.DONE, outputs=outputs, events=told)
        )
    listed, _ = await ledger.reading.deliveries(50, None)
    for one in listed:
        taken = await ledger.deliveries.take(one["id"], 20)
        assert taken is not None
        await ledger.deliveries.attempted(taken, Delivered(), status=200, error="", now=clock.now)
    allowed = {
        keys.INDEX,
        keys.EXPIRY,
        keys.REVIEW,
        keys.DELIVERIES,
        keys.TALLY,
        keys.SEQUENCE,
        keys.SCHEMA,
        keys.SETTLED,
        keys.STAGE + "done",
        keys.WORDS,
        *(keys.WORD + word for word in WORDS),
    }
    immortal = [key for key in await ledger.redis.keys("*") if await ledger.redis.ttl(key) < 0]
    assert set(immortal) == allowed | {"rq:queue:catchlight", "rq:queues"}
