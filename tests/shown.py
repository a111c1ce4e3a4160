"""Predictions whose files really stand in a store, put into the ledger as a worker commits them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from service import clock, wavespeed
from service.intake import Intake
from service.ledger import Arrival, Commit, Ledger
from service.prediction import Disposition, Ref, Stage, Step, Via
from service.storage import layout, open_vault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

DAY, MODEL = "2026-11-28", "vendor/model"
_EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "video/mp4": "mp4", "text/plain": "txt"}


@dataclass(frozen=True)
class File:
    data: bytes
    media_type: str = "image/png"
    disposition: Disposition = Disposition.HELD
    nsfw: str = "unknown"
    more: tuple[tuple[str, Any], ...] = ()
    """Further fields of the output."""


async def show(redis_url: str, folder: Path, id_: str, *files: File, source: str = wavespeed.SOURCE) -> Ref:
    """One prediction with these outputs."""
    ledger, vault = Ledger(redis_url, 8e5), open_vault(folder.as_uri(), None, threads=2)
    ref = Ref(source, id_)
    said = {
        "id": id_,
        "model": MODEL,
        "status": "completed",
        "outputs": [f"https://cdn.example/{index}" for index in range(len(files))],
        "has_nsfw_contents": [{"clean": False, "flagged": True}.get(file.nsfw) for file in files],
    }
    await Intake(ledger).accept(Arrival(ref, Via.CALLBACK, Step.CALLED_BACK, wavespeed.report(said)))
    outputs = [await _kept(vault, id_, index, file) for index, file in enumerate(files)]
    record = await ledger.predictions.lease(ref, 10, "worker")
    assert record
    assert await ledger.predictions.commit(
        ref, Stage.WORKING, record.token, Commit(Stage.DONE, outputs=outputs)
    )
    await ledger.aclose()
    await vault.aclose()
    return ref


async def _kept(vault: Any, id_: str, index: int, file: File) -> dict[str, Any]:
    held = file.disposition in (Disposition.HELD, Disposition.REJECTED)
    key = layout.output_key(
        f"{layout.slug(MODEL)}/{DAY.replace('-', '/')}/{id_}", index, _EXTENSIONS[file.media_type]
    )

    async def chunks() -> AsyncIterator[bytes]:
        yield file.data

    kept = await vault.keep(key, chunks(), held=held)
    return {
        "index": index,
        "disposition": file.disposition,
        "nsfw": file.nsfw,
        "url": f"https://cdn.example/{index}",
        "key": key,
        "uri": kept.uri,
        "sha256": hashlib.sha256(file.data).hexdigest(),
        "bytes": len(file.data),
        "media_type": file.media_type,
        "width": None,
        "height": None,
        "error": None,
        "held_at": clock.rfc3339(clock.now()) if held else None,
    } | dict(file.more)


def paths(ref: Ref, indices: Sequence[int]) -> list[str]:
    return [f"/media/{ref.source}/{ref.id}/{index}" for index in indices]
