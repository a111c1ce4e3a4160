"""The ledger rebuilt from storage: every manifest that tells of a prediction it does not have.

Nothing is told to hooks and nobody is asked: what has no manifest does not come back by this.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service import clock, wavespeed
from service.errors import NotFound
from service.prediction import Ref
from workers.rebuilt import of_manifest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from service.ledger import Ledger
    from service.ledger.rebuilding import Rebuilt
    from service.storage import Vault
    from service.storage.vault import Found

AT_ONCE = 32
"""Manifests in memory, each with its payload."""
UNREADABLE_SHOWN = 100


@dataclass(slots=True)
class Report:
    found: int = 0
    missing: int = 0
    """Can be rebuilt."""
    rebuilt: int = 0
    known: int = 0
    """The ledger had them, and keeps what it had."""
    aged: int = 0
    """Past CATCHLIGHT_RETENTION: it would forget them at once."""
    unreadable: int = 0
    why: list[dict[str, str]] = field(default_factory=list)
    """Of the first that could not be read."""

    def refuse(self, key: str, why: str) -> None:
        self.unreadable += 1
        if len(self.why) < UNREADABLE_SHOWN:
            self.why.append({"manifest": key, "why": why[:300]})


class Reindex:
    """`dry`: only count what would be rebuilt. `sources`: of these alone; of all when it is None."""

    def __init__(
        self,
        ledger: Ledger,
        vault: Vault,
        retention: float,
        *,
        sources: frozenset[str] | None = None,
        dry: bool,
    ) -> None:
        self._sources = sources
        self._ledger = ledger
        self._vault = vault
        self._retention = retention
        self._dry = dry
        self.report = Report()

    async def run(self) -> Report:
        """Raises StorageError, LedgerDown; another run goes on where this one ended."""
        async for some in self._portions():
            missing = await self._missing(some)
            read = [one for one in await asyncio.gather(*map(self._read, missing)) if one is not None]
            self.report.missing += len(read)
            if self._dry:
                continue
            rebuilt, known = await self._ledger.rebuilding.rebuild(read)
            self.report.rebuilt += rebuilt
            self.report.known += known
        return self.report

    async def _portions(self) -> AsyncIterator[list[Found]]:
        some: list[Found] = []
        async for found in self._vault.manifests():
            if self._sources is not None and _ref(found).source not in self._sources:
                continue
            some.append(found)
            if len(some) == AT_ONCE:
                yield some
                some = []
        if some:
            yield some

    async def _missing(self, some: list[Found]) -> list[Found]:
        """Those that the ledger has not, by where they stand: they need not be read to see that."""
        known = await self._ledger.rebuilding.known([_ref(found) for found in some])
        ours = [found for found in some if not (found.held and await self._is_a_twin(found.key))]
        missing = [found for found in ours if _ref(found) not in known]
        self.report.found += len(ours)
        self.report.known += len(ours) - len(missing)
        return missing

    async def _is_a_twin(self, key: str) -> bool:
        """Of two, the one in the open counts, unless that is what a killed worker could not delete."""
        try:
            in_the_open = await self._vault.read(key, held=False)
        except NotFound:
            return False
        try:
            return _attempts(await self._vault.read(key, held=True)) <= _attempts(in_the_open)
        except (ValueError, NotFound):
            return True

    async def _read(self, found: Found) -> Rebuilt | None:
        try:
            data = await self._vault.read(found.key, held=found.held)
            one = of_manifest(data, found.key, self._retention, clock.now())
        except (ValueError, NotFound) as error:
            self.report.refuse(self._vault.uri(found.key, held=found.held), str(error))
            return None
        if one is None:
            self.report.aged += 1
        return one


def _attempts(data: bytes) -> int:
    try:
        return int(json.loads(data)["attempts"])
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError("not a manifest of ours") from error


def _ref(found: Found) -> Ref:
    return Ref(found.place.source or wavespeed.SOURCE, found.place.id)
