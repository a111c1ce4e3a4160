"""One output: fetched, typed by its bytes, kept where it belongs and moved when that changes.

Failures of fetching become what the output says of itself.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from service import clock, failpoints, wavespeed
from service.durations import render_duration
from service.ledger import Note
from service.ledger.pruning import is_due
from service.metrics.gathering import FAILED, KEPT, STORAGE_FAILED
from service.prediction import Disposition, Step
from service.storage import StorageError, layout
from workers.fetch import OutputBad, OutputGone, OutputRefused, OutputUnavailable, open_download
from workers.sniff import dimensions

if TYPE_CHECKING:
    from service.ledger import PredictionRecord
    from workers.fetch import Download
    from workers.outputs import Output
    from workers.workshop import Workshop


def folder(record: PredictionRecord) -> str:
    source, id_ = record.ref
    return layout.folder(source, record.model, record.day, id_, default_source=wavespeed.SOURCE)


async def fetch_and_keep(
    shop: Workshop,
    record: PredictionRecord,
    output: Output,
    *,
    hold: bool,
    notes: list[Note],
) -> str | None:
    """Settle `output`, or leave it open for another round. Returns what went wrong, for people.

    Raises NoRoom when that is all that is wrong.
    """
    shop.room.check(held=hold)
    await failpoints.reach("fetch.before", record.model)
    began = time.monotonic()
    try:
        async with (
            shop.room.excusing(),
            open_download(shop.fetch_session, output.url or "", shop.limits, shop.flight) as download,
        ):
            await _keep(shop, record, output, download, hold=hold, notes=notes)
    except OutputRefused as error:
        output.lose(error.word)
        problem = str(error)
    except OutputGone as error:
        output.gone, output.bad = output.gone + 1, False
        problem = str(error)
    except OutputBad as error:
        output.bad = True
        problem = str(error)
    except (OutputUnavailable, StorageError) as error:
        if isinstance(error, StorageError):
            shop.room.refused(str(error))
        output.bad = False
        problem = str(error)
        if isinstance(error, StorageError):
            shop.gathering.count(STORAGE_FAILED)
    else:
        shop.gathering.observe("fetch", time.monotonic() - began, KEPT)
        return None
    shop.gathering.observe("fetch", time.monotonic() - began, FAILED)
    notes.append(Note(Step.FETCHED, f"{output.index} failed: {problem}"[:300]))
    return f"output {output.index}: {problem}"


async def _keep(
    shop: Workshop,
    record: PredictionRecord,
    output: Output,
    download: Download,
    *,
    hold: bool,
    notes: list[Note],
) -> None:
    await failpoints.reach("fetch.head")
    kind = download.type
    held = hold or not kind.allowed
    key = layout.output_key(folder(record), output.index, kind.extension)
    async with shop.room.claimed(download, held=held):
        kept = await shop.vault.keep(key, download, held=held)
    shop.room.took()
    size = dimensions(download.head, kind)
    output.key, output.uri = kept.key, kept.uri
    output.sha256, output.bytes, output.media_type = kept.sha256, kept.bytes, kind.media_type
    output.width, output.height = size or (None, None)
    output.disposition = Disposition.HELD if held else Disposition.STORED
    output.held_at = clock.rfc3339(clock.now()) if held else None
    output.error = None if kind.allowed else "type_not_allowed"
    notes.append(Note(Step.FETCHED, f"{output.index}: {kept.bytes} bytes of {kind.media_type}"))
    notes.append(Note(Step.HELD if held else Step.STORED, kept.uri))
    if kept.conflict:
        notes.append(Note(Step.CONFLICT, f"other bytes stand at {key}"))


async def expire(shop: Workshop, record: PredictionRecord, output: Output, notes: list[Note]) -> None:
    """Delete the file if it has been held, or rejected, for longer than it may. Raises StorageError."""
    kind = str(output.disposition)
    lives = record.prune.get(kind)
    if lives is None or output.key is None or not is_due(output.stored(), kind, lives, clock.now()):
        return
    await shop.vault.delete(output.key, held=True)
    await shop.vault.delete_derived(output.key, output.sha256, held=True)
    notes.append(Note(Step.HELD, f"{output.index} deleted: {kind} for longer than {render_duration(lives)}"))
    output.key, output.uri = None, None
    if output.disposition is Disposition.HELD:
        # Nobody can decide about it any more.
        output.lose("retention")


async def release(shop: Workshop, output: Output, key: str, notes: list[Note]) -> None:
    """From `held/` to its normal place. Again is harmless. Raises NotFound, StorageError."""
    placed = await shop.vault.move(key, from_held=True, to_held=False, sha256=output.sha256)
    await shop.vault.delete_derived(key, output.sha256, held=True)
    output.key, output.uri = placed
    output.disposition = Disposition.RELEASED
    notes.append(Note(Step.STORED, placed.uri))
    if placed.key != key:
        notes.append(Note(Step.CONFLICT, f"other bytes stand at {key}"))


async def withdraw(shop: Workshop, output: Output, key: str, why: str, notes: list[Note]) -> None:
    """The way back."""
    placed = await shop.vault.move(key, from_held=False, to_held=True, sha256=output.sha256)
    # After the file, and what is made of it meanwhile is not kept: see `Derived`.
    await shop.vault.delete_derived(key, output.sha256, held=False)
    output.key, output.uri = placed
    output.disposition, output.held_at = Disposition.HELD, clock.rfc3339(clock.now())
    notes.append(Note(Step.HELD, f"{output.index} moved: {why}"))
