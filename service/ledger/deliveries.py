"""Deliveries in the ledger: taken for an attempt, written down, sent again; and the state of each hook."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

from service import keys
from service.events import delivery_id
from service.hooks import Dead, Delivered, Outage, Parked, Retry
from service.hooks.troubles import limit_of, trouble
from service.ledger import compact
from service.ledger.compacting import restore
from service.ledger.connection import reaching
from service.ledger.delivery import DeliveryRecord
from service.ledger.records import pairs
from service.ledger.runs import NO_TURN
from service.signing import event_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.events import Event
    from service.ledger.runs import Turn
    from service.ledger.scripts import Scripts
    from service.prediction import Ref

_ENABLE_BATCH = 500
_PARKED = "parked"
_IS_PROBE = 2
OVER = "over"
"""What a script says of a member that has had its turn in a run."""


def anew(ref: Ref, told: DeliveryRecord, occasion: str) -> str:
    """The id of its event when that is told once more, and not as the same."""
    return event_id(ref.source, ref.id, told.event, f"{told.event_id}/{occasion}")


class Deliveries:
    def __init__(self, scripts: Scripts, retention: float) -> None:
        self._scripts = scripts
        self._retention = int(retention)

    async def take(self, delivery_id: str, seconds: float) -> DeliveryRecord | None:
        """The delivery with its body, leased for one attempt; None when it is not to be sent (now)."""
        reply = await self._scripts.run("deliver", delivery_id, seconds)
        return DeliveryRecord.load(pairs(reply)) if isinstance(reply, list) else None

    async def attempted(
        self,
        delivery: DeliveryRecord,
        decision: Delivered | Retry | Parked | Dead,
        *,
        status: int | None,
        error: str,
        now: float,
        ms: int = 0,
        answer: str = "",
    ) -> bool:
        """Write down one attempt and what was decided of it. False: another took the delivery meanwhile.

        `ms`: milliseconds that it took; `answer`: the beginning of the answer, on one line.
        """
        state, wait, counts, disable = "delivered", 0.0, 1, False
        if isinstance(decision, Retry):
            state, wait = "pending", max(decision.at - now, 0.0)
        elif isinstance(decision, Parked):
            state, counts = _PARKED, _IS_PROBE
        elif isinstance(decision, Dead):
            state, disable = "dead", decision.disable
        said = ("" if status is None else status, error, f"{wait:.3f}", counts, int(disable))
        return await self._finish(delivery, state, *said, ms=ms, answer=answer)

    async def postpone(self, delivery: DeliveryRecord, wait: float) -> bool:
        """Give it back untried, for `wait` seconds."""
        return await self._finish(delivery, "pending", "", "", f"{wait:.3f}", 0, 0)

    async def give_up(self, delivery: DeliveryRecord, why: str) -> bool:
        """It is dead without an attempt: its hook has done nothing wrong."""
        return await self._finish(delivery, "dead", "", why, "0", 0, 0)

    async def park(self, delivery: DeliveryRecord) -> bool:
        """Give it back untried, until its hook takes something."""
        return await self._finish(delivery, _PARKED, "", "", "0", 0, 0)

    async def _finish(
        self, delivery: DeliveryRecord, state: str, *said: str | int, ms: int = 0, answer: str = ""
    ) -> bool:
        """`said`: what `delivered.lua` wants to know between the state and the retention."""
        status, error, *_ = said
        word = trouble(int(status) if status != "" else None, str(error))
        arguments = (delivery.id, delivery.token, state, *said, self._retention, ms, answer)
        return bool(await self._scripts.run("delivered", *arguments, limit_of(ms), word))

    async def ring_probes(self, hooks: Sequence[str]) -> int:
        """One delivery for each hook for which some are parked and which is not disabled; how many ring."""
        return int(await self._scripts.run("probe", *hooks)) if hooks else 0

    async def outage(self, hook: str) -> Outage | None:
        """Of an enabled hook that fails."""
        reply = await self._scripts.run("outage", hook)
        return Outage(reply[0], float(reply[1]), reply[2]) if reply else None

    async def notice(self, hook: str, outage: Outage, percent: int, event: Event) -> bool:
        """Send an event about a hook; False when that was done before, or the outage is over."""
        told = {
            "id": event.id,
            "kind": event.kind,
            "body": event.body,
            "deliveries": event.deliveries(),
        }
        arguments = (hook, outage.since, percent, self._retention, json.dumps(told, ensure_ascii=False))
        return bool(await self._scripts.run("notice", *arguments))

    async def send_again(self, delivery_ids: Sequence[str], turn: Turn = NO_TURN, member: str = "") -> int:
        """Ring deliveries anew, whatever became of them; same event, same bytes. Returns how many exist.

        As the turn of a run's member: only those that have ended, and none when its turn is over. Raises
        Conflict for a record that cannot be read.
        """
        if not delivery_ids and turn is NO_TURN:
            return 0
        arguments: list[str | int] = [turn.run, turn.number, member, *delivery_ids]
        while isinstance(answer := await self._scripts.run("redeliver", *arguments), list):
            for ref in answer:
                await restore(self._scripts, ref)
        return 0 if answer == OVER else int(answer)

    async def send_anew(
        self, ref: Ref, deliveries: Sequence[DeliveryRecord], occasion: str, turn: Turn = NO_TURN
    ) -> int:
        """What a prediction has told, told again under new event ids; the same bytes. Returns how many ring.

        The ids are a function of the old ones and `occasion`. Raises Conflict as `send_again`.
        """
        new = []
        for one in deliveries:
            id_ = anew(ref, one, occasion)
            new.append({"from": one.id, "event_id": id_, "id": delivery_id(id_, one.hook)})
        arguments = (str(ref), turn.run, turn.number, json.dumps(new))
        while (answer := await self._scripts.run("anew", *arguments)) == "compact":
            await restore(self._scripts, str(ref))
        return 0 if answer == OVER else int(answer)

    async def body(self, delivery: DeliveryRecord) -> str | None:
        """Of its event, as it is sent; None when that is no longer in the ledger."""
        redis, ref = self._scripts.redis, str(delivery.ref)
        with reaching():
            if body := await redis.hget(keys.EVENTS + ref, delivery.event_id):
                return str(body)
            fields = cast("dict[str, str]", await redis.hgetall(keys.PREDICTION + ref))
        if not compact.is_compact(fields):
            return None
        try:
            return compact.restored(fields).events.get(delivery.event_id)
        except ValueError:
            return None

    async def enable(self, hook: str) -> None:
        """Enable a hook and ring everything that was parked for it."""
        while await self._scripts.run("enable", hook, _ENABLE_BATCH):
            pass

    async def disable(self, hook: str, why: str, now: float) -> None:
        with reaching():
            await self._scripts.redis.hset(keys.HOOK + hook, mapping={"disabled": f"{now:.3f}", "why": why})

    async def hook_state(self, hook: str) -> dict[str, str]:
        """`disabled` (an instant) and `why` of a disabled hook, `failing_since` of one that only fails."""
        with reaching():
            return cast("dict[str, str]", await self._scripts.redis.hgetall(keys.HOOK + hook))
