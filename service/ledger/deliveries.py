"""Deliveries in the ledger: taken for an attempt, written down, sent again; and the state of each hook."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from service import keys
from service.hooks import Dead, Delivered, Retry
from service.ledger.compacting import restore
from service.ledger.connection import reaching
from service.ledger.records import DeliveryRecord, pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.ledger.scripts import Scripts

_ENABLE_BATCH = 500


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
        decision: Delivered | Retry | Dead,
        *,
        status: int | None,
        error: str,
        now: float,
    ) -> bool:
        """Write down one attempt and what was decided of it. False: another took the delivery meanwhile."""
        state, wait, disable = "delivered", 0.0, False
        if isinstance(decision, Retry):
            state, wait = "pending", max(decision.at - now, 0.0)
        elif isinstance(decision, Dead):
            state, disable = "dead", decision.disable
        return await self._finish(delivery, state, status, error, wait, counts=True, disable=disable)

    async def postpone(self, delivery: DeliveryRecord, wait: float) -> bool:
        """Give it back untried, for `wait` seconds."""
        return await self._finish(delivery, "pending", None, "", wait, counts=False, disable=False)

    async def _finish(
        self,
        delivery: DeliveryRecord,
        state: str,
        status: int | None,
        error: str,
        wait: float,
        *,
        counts: bool,
        disable: bool,
    ) -> bool:
        arguments = (
            delivery.id,
            delivery.token,
            state,
            "" if status is None else status,
            error,
            f"{wait:.3f}",
            int(counts),
            int(disable),
            self._retention,
        )
        return bool(await self._scripts.run("delivered", *arguments))

    async def send_again(self, delivery_ids: Sequence[str]) -> int:
        """Ring deliveries anew, whatever became of them; same event, same bytes. Returns how many exist."""
        if not delivery_ids:
            return 0
        while isinstance(answer := await self._scripts.run("redeliver", *delivery_ids), list):
            for ref in answer:
                await restore(self._scripts, ref)
        return int(answer)

    async def enable(self, hook: str) -> None:
        """Enable a hook and ring everything that was parked for it."""
        while await self._scripts.run("enable", hook, _ENABLE_BATCH):
            pass

    async def disable(self, hook: str, why: str, now: float) -> None:
        with reaching():
            await self._scripts.redis.hset(keys.HOOK + hook, mapping={"disabled": f"{now:.3f}", "why": why})

    async def hook_state(self, hook: str) -> dict[str, str]:
        """`{disabled: instant, why}` of a disabled hook, else empty."""
        with reaching():
            return cast("dict[str, str]", await self._scripts.redis.hgetall(keys.HOOK + hook))
