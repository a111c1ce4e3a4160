"""The ledger's Lua scripts: each file of `lua/` behind the shared prelude, run by its name."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any

from service import clock, keys, queues
from service.errors import LedgerDown
from service.ledger import schema
from service.ledger.connection import reaching
from service.ledger.server import ADMIT_BELOW
from service.ledger.together import Together

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.commands.core import AsyncScript

    from service.ledger.connection import Redis

URGENT_WITHIN = 86_400.0


class Scripts:
    """Runs scripts on Redis' own clock, or on a virtual one when given (seconds since the epoch)."""

    def __init__(
        self,
        redis: Redis,
        virtual_now: Callable[[], float] | None = None,
        *,
        together: bool = False,
        urgent_within: float = URGENT_WITHIN,
    ) -> None:
        self.redis = redis
        self._together = Together(redis) if together else None
        self._virtual_now = virtual_now
        self._agreed = False
        whole = sources(urgent_within)
        self._scripts = {name: redis.register_script(source) for name, source in whole.items()}

    async def run(self, name: str, *arguments: str | float | bytes) -> Any:
        """The script's answer. Raises LedgerDown, also for a ledger of a newer version."""
        if not self._agreed and (why := await self.agree()):
            raise LedgerDown(why)
        return await self._run(name, *arguments)

    async def agree(self) -> str | None:
        """Bring the ledger's layout to ours, once; else why that cannot be. Raises LedgerDown."""
        found = int(await self._run("schema", schema.VERSION, 0))
        if why := schema.newer(found):
            return why
        if found < schema.VERSION:
            await schema.forward(self.redis, found)
            await self._run("schema", schema.VERSION, 1)
        self._agreed = True
        return None

    async def _run(self, name: str, *arguments: str | float | bytes) -> Any:
        script: AsyncScript = self._scripts[name]
        virtual = f"{self._virtual_now():.3f}" if self._virtual_now else ""
        whole = [virtual, clock.rfc3339(clock.now()), *arguments]
        with reaching():
            if self._together:
                return await self._together.run(script, whole)
            return await script(args=whole)


def sources(urgent_within: float = URGENT_WITHIN) -> dict[str, str]:
    """Script name → its whole source; `urgent_within` as the ledger has it."""
    folder = resources.files("service.ledger") / "lua"
    files = {entry.name.removesuffix(".lua"): entry.read_text("utf-8") for entry in folder.iterdir()}
    shares = f"local URGENT_WITHIN, ADMIT_BELOW = {urgent_within:.0f}, {ADMIT_BELOW}\n"
    prelude = shares + keys.lua() + queues.lua() + files.pop("prelude")
    return {name: prelude + body for name, body in files.items()}
