"""One output: fetched, typed by its bytes, kept where it belongs and moved when that changes.

Failures of fetching become what the output says of itself.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from service import clock, failpoints, wavespeed
from service.durations import render_duration
from service.errors import NotFound
from service.ledger import Note
from service.ledger.pruning import is_due
from service.metrics.gathering import FAILED, FETCHES, KEPT, STORAGE_FAILED
from service.moderation import Action
from service.prediction import Disposition, Step
from service.storage import StorageError, layout
from service.tracing import telling
from workers.fetch import OutputBad, OutputGone, OutputRefused, OutputUnavailable, open_download
from workers.sniff import dimensions

if TYPE_CHECKING:
    from service.ledger import PredictionRecord
    from service.storage import Kept
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
        _observe(shop, time.monotonic() - began, KEPT)
        shop.meter.count("outputs")
        shop.meter.count("bytes", output.bytes or 0)
        return None
    _observe(shop, time.monotonic() - began, FAILED)
    shop.meter.count("fetches_failed")
    notes.append(Note(Step.FETCHED, f"{output.index} failed: {problem}"[:300]))
    return f"output {output.index}: {problem}"


def _observe(shop: Workshop, took: float, result: str) -> None:
    """How long, for metrics; how many by now, for `status`, which looks at the last minutes alone."""
    shop.gathering.observe("fetch", took, result)
    shop.gathering.count(FETCHES + result)


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
    is_asked = shop.opinion.asks and kind.media_type.startswith("image/")
    # What the second opinion may hold stands where nobody sees it until that is heard.
    doubted = is_asked and shop.opinion.holds and not held
    async with shop.room.claimed(download, held=held or doubted):
        with telling.storing(output.index, held=held or doubted) as span:
            kept = await shop.vault.keep(key, download, held=held or doubted)
            span.say("catchlight.bytes", kept.bytes)
    shop.room.took()
    if is_asked:
        output.opinion = await _heard(shop, kept.key, held=held or doubted)
    if doubted:
        held = _objects(shop, record, output)
        kept = kept if held else await _let_go(shop, kept)
    size = dimensions(download.head, kind)
    output.key, output.uri = kept.key, kept.uri
    output.sha256, output.bytes, output.media_type = kept.sha256, kept.bytes, kind.media_type
    output.width, output.height = size or (None, None)
    output.disposition = Disposition.HELD if held else Disposition.STORED
    output.held_at = clock.rfc3339(clock.now()) if held else None
    output.error = None if kind.allowed else "type_not_allowed"
    if doubted and held:
        output.error = "second_opinion"
    notes.append(Note(Step.FETCHED, f"{output.index}: {kept.bytes} bytes of {kind.media_type}"))
    notes.append(Note(Step.HELD if held else Step.STORED, kept.uri))
    if kept.conflict:
        notes.append(Note(Step.CONFLICT, f"other bytes stand at {key}"))


async def _heard(shop: Workshop, key: str, *, held: bool) -> float | None:
    """None, too, when the file cannot be read again just now: nothing is kept back or lost for that."""
    try:
        with shop.meter.inside("opinion"):
            return await shop.opinion.of(lambda: shop.vault.chunks(key, held=held))
    except (NotFound, StorageError):
        return None


def _objects(shop: Workshop, record: PredictionRecord, output: Output) -> bool:
    """Does policy hold it back for what the second opinion makes of it? What it would drop is held, too."""
    nsfw = shop.opinion.stricter(output.nsfw, output.opinion)
    return shop.policy.of(record.ref.source).action(record.model, nsfw) is not Action.RELEASE


async def _let_go(shop: Workshop, kept: Kept) -> Kept:
    placed = await shop.vault.move(kept.key, from_held=True, to_held=False, sha256=kept.sha256)
    return kept._replace(key=placed.key, uri=placed.uri, conflict=kept.conflict or placed.key != kept.key)


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
