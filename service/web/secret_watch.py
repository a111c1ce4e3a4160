"""Signatures that fail in a row: is it a stranger, or has the secret changed? The provider is asked.

What it says is logged and kept for `status`. The secret that is set stays as it is: whoever could have it
replaced by failing callbacks would choose whom we believe.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING

import structlog

from service import comparing
from service.comparing import State
from service.errors import LedgerDown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.ledger import Ledger
    from service.sources import Source
    from service.wavespeed import Client

log = structlog.get_logger("receiver")

AGAIN_AFTER = 600.0
"""Seconds between two questions about one source: strangers may fail as often as they like."""
REDIS_RETRY = 5.0


class SecretWatch:
    """`after`: so many failures in a row; 0 for never. Each process counts its own."""

    def __init__(
        self, ledger: Ledger, sources: Sequence[Source], clients: Mapping[str, Client], after: int
    ) -> None:
        self._ledger = ledger
        self._asked_about = {one.name: one for one in sources if one.key and one.secrets} if after else {}
        self._clients = clients
        self._after = after
        self._failed: Counter[str] = Counter()
        self._asked_at: dict[str, float] = {}
        self._suspects: set[str] = set()
        self._news = asyncio.Event()

    def mismatched(self, source: str) -> None:
        """One callback that none of the source's secrets has signed. Waits for nothing."""
        if source not in self._asked_about:
            return
        self._failed[source] += 1
        since = time.monotonic() - self._asked_at.get(source, -AGAIN_AFTER)
        if self._failed[source] >= self._after and since >= AGAIN_AFTER:
            self._asked_at[source] = time.monotonic()
            self._suspects.add(source)
            self._news.set()

    def verified(self, source: str) -> None:
        """A genuine one: whoever failed before had another secret than the provider."""
        if self._failed:
            self._failed.pop(source, None)

    async def keep_comparing(self) -> None:
        """Until cancelled. Begins with what was drifted at the last look: it may be mended by now."""
        self._suspects |= await self._drifted()
        while True:
            while self._suspects:
                await self._compare(self._suspects.pop())
            await self._news.wait()
            self._news.clear()

    async def _drifted(self) -> set[str]:
        while True:
            try:
                last = await self._ledger.secrets.last()
            except LedgerDown:
                # The beat beside us says so.
                await asyncio.sleep(REDIS_RETRY)
            else:
                return {one["source"] for one in last if one["state"] == State.DRIFTED} & set(
                    self._asked_about
                )

    async def _compare(self, name: str) -> None:
        compared = await comparing.compare(self._asked_about[name], self._clients[name])
        if compared.state is State.DRIFTED:
            log.error("secret.drifted", source=name, detail=compared.detail, fix=comparing.remedy(name))
        else:
            log.info("secret.compared", source=name, detail=compared.detail, failed=self._failed[name])
        if compared.state is State.UNKNOWN:
            return
        try:
            await self._ledger.secrets.keep(compared.public())
        except LedgerDown as error:
            log.warning("redis.away", error=str(error))
