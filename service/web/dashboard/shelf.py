"""The files of outputs, as a web process reaches them: which may be shown, and where they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from service import clock
from service.darkroom.asking import Darkroom
from service.darkroom.derived import Derived, Original
from service.errors import InvalidInput, NotFound
from service.given import check_id
from service.ledger.query import Query
from service.prediction import Disposition, Nsfw, Ref
from service.storage import open_vault
from service.web.dashboard.seal import Seal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from service.ledger import Ledger, PredictionRecord
    from service.settings import Settings

_THREADS = 8
_INDEX_DIGITS = 6
_OPEN = {Disposition.STORED, Disposition.RELEASED}


@dataclass(frozen=True, slots=True)
class Item:
    """An output whose file there is."""

    ref: Ref
    index: int
    original: Original
    output: Mapping[str, Any]
    """As the ledger keeps it."""
    nsfw: Nsfw
    """The ledger's latest word; a duplicate may have been stricter since it was fetched."""
    record: PredictionRecord

    @property
    def opinion(self) -> float | None:
        """What our own model says of it, 0 to 1, where it was asked."""
        found = self.output.get("opinion")
        return float(found) if isinstance(found, (int, float)) else None

    @property
    def path(self) -> str:
        return f"{self.ref.source}/{self.ref.id}/{self.index}"


class Shelf:
    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self.vault = open_vault(settings.effective_storage_url, settings.held_storage_url, threads=_THREADS)
        self.derived = Derived(self.vault, Darkroom())
        self.seal = Seal.of(settings)
        self._ledger = ledger

    async def aclose(self) -> None:
        await self.derived.aclose()
        await self.vault.aclose()

    async def there(self, request: Request) -> tuple[PredictionRecord, Mapping[str, Any]]:
        """Of the path's source, id and index: a prediction and its output. Raises NotFound."""
        ref, index = where(request)
        record = await self._ledger.reading.still(Query(), ref)
        if record is None:
            raise NotFound(f"no prediction {ref.id} of {ref.source}")
        found = next((one for one in record.outputs if one.get("index") == index), None)
        if found is None:
            raise NotFound(f"{ref.id} has no output {index}")
        return record, found

    async def asked(self, request: Request) -> Item:
        """As `there`. Raises NotFound, also for an output that has no file."""
        record, found = await self.there(request)
        item = item_of(record, found)
        if item is None:
            raise NotFound(
                f"output {found['index']} of {record.ref.id} is {found.get('disposition')}: "
                "it has no file to show"
            )
        return item

    def revealed(self, item: Item) -> str:
        """What the URL of a held output needs for a minute."""
        return self.seal.opened(item.ref, item.index, item.original.sha256, clock.now())

    def is_revealed(self, item: Item, given: str) -> bool:
        return self.seal.is_open(item.ref, item.index, item.original.sha256, given, clock.now())


def where(request: Request) -> tuple[Ref, int]:
    """Raises NotFound for what can be nobody's id or index."""
    source, text = request.path_params["source"], request.path_params["index"]
    try:
        ref = Ref(check_id(source), check_id(request.path_params["id"]))
    except InvalidInput:
        raise NotFound("there is nothing with such an id") from None
    if not (text.isascii() and text.isdigit() and len(text) <= _INDEX_DIGITS):
        raise NotFound("there is no output with such an index")
    return ref, int(text)


def item_of(record: PredictionRecord, output: Mapping[str, Any]) -> Item | None:
    """None for an output that has no file, or none that anybody may look at."""
    disposition, key, sha256 = (output.get(name) for name in ("disposition", "key", "sha256"))
    held = disposition == Disposition.HELD
    if not key or not sha256 or not (held or disposition in _OPEN):
        return None
    index: int = output["index"]
    nsfw = record.nsfw[index] if index < len(record.nsfw) else Nsfw.UNKNOWN
    media_type, size = output.get("media_type") or "", output.get("bytes") or 0
    return Item(record.ref, index, Original(key, sha256, held, media_type, size), output, nsfw, record)
