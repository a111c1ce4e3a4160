"""The functions that RQ jobs name. Doorbells: each says what to work on, never what to do.

They run on the concurrent worker's loop, or under a stock `rq worker` with RQ's JSON serializer, where each
opens what it needs.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from service.prediction import Ref
from service.settings import load
from workers import deliver, process, workshop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from workers.workshop import Workshop


async def process_prediction(source: str, id_: str) -> None:
    async with _workshop() as shop:
        await process.process(shop, Ref(source, id_))


async def deliver_event(delivery_id: str) -> None:
    async with _workshop() as shop:
        await deliver.deliver(shop, delivery_id)


@asynccontextmanager
async def _workshop() -> AsyncIterator[Workshop]:
    if (shop := workshop.current()) is not None:
        yield shop
        return
    async with workshop.opened(load(), workshop.instance_name()) as shop:
        yield shop
