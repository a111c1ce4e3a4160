"""Rounds of polling: what is due is taken together, and each source is asked by its key and within its rate.

No source waits for another: one that is slow, paused or silent has a round of its own that lasts as long as
it takes, and what is due of it meanwhile comes again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from service.ending import end
from workers.polling import FIRST_WAIT, GROWTH, TAKE_MOST, Poller, give_up

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.intake import Intake
    from service.ledger import DuePoll, Ledger
    from service.settings import Settings
    from service.wavespeed import Client
    from workers.pace import Pace

log = structlog.get_logger("sweep")


class Rounds:
    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        intake: Intake,
        clients: Mapping[str, Client],
        paces: Mapping[str, Pace],
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._pollers = {
            name: Poller(settings, ledger, intake, client, paces[name]) for name, client in clients.items()
        }
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._told: set[str] = set()

    @property
    def paused(self) -> bool:
        """Does every provider want to be left alone?"""
        return all(poller.paused for poller in self._pollers.values())

    async def poll(self) -> list[asyncio.Task[None]]:
        """Begin a round for each source of which something is due. Raises what an earlier round came to."""
        for name in [name for name, task in self._under_way.items() if task.done()]:
            self._under_way.pop(name).result()
        if self.paused:
            return []
        due = await self._ledger.sweeping.due_polls(TAKE_MOST, FIRST_WAIT, GROWTH, self._settings.poll_max)
        begun = []
        for name, of_source in _by_source(due).items():
            if name not in self._pollers:
                await self._without_a_key(name, of_source)
            elif name not in self._under_way:
                self._under_way[name] = asyncio.create_task(self._pollers[name].poll(of_source))
                begun.append(self._under_way[name])
        return begun

    async def aclose(self) -> None:
        await end(*self._under_way.values())

    async def _without_a_key(self, name: str, due: Sequence[DuePoll]) -> None:
        """Nobody can be asked: the source is declared no more, or has no key. Deadlines hold all the same."""
        if name not in self._told:
            self._told.add(name)
            log.warning("poll.no_key", source=name, fix="declare it in [[sources]] again, with a key")
        for one in due:
            await give_up(self._settings, self._ledger, one)


def _by_source(due: Sequence[DuePoll]) -> dict[str, list[DuePoll]]:
    groups: dict[str, list[DuePoll]] = {}
    for one in due:
        groups.setdefault(one.ref.source, []).append(one)
    return groups
