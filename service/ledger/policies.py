"""The moderation policy that workers go by: every change stands in the ledger, with who made it and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from service.ledger.scripts import Scripts


class Policies:
    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def declare(self, policy: str, by: str) -> str | None:
        """Put it in force, in its words. The one before, when this is another; None for the first of all."""
        return cast("str | None", await self._scripts.run("policy", policy, by))
