"""`manifest.json` beside the files: what the provider said and what became of it; the ledger's own backup."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import structlog

from service import clock
from service.errors import NotFound
from service.ledger import callback_headers, decisions
from service.ledger.arrival import pack
from service.prediction import Disposition, Nsfw
from service.storage import StorageError, layout
from workers.keep import folder
from workers.outage import waited_out

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.ledger import Commit, PredictionRecord
    from workers.outputs import Output
    from workers.workshop import Workshop

log = structlog.get_logger("work")

_ENCODER = json.JSONEncoder(ensure_ascii=False)
_STORED = {Disposition.STORED, Disposition.RELEASED}
_PRIVATE = {"gone", "bad"}
_UNSETTLED = {"stage", "reason", "finished_at", "error", "outputs", "timeline", "deliveries"}
"""Of the record as it was leased; how it ends says the commit that follows."""


async def leave(shop: Workshop, record: PredictionRecord, end: Commit) -> None:
    """That of a failure, which has no files; a store that cannot take it holds up nothing."""
    try:
        await write(shop, record, (), end)
    except StorageError as error:
        log.warning("manifest.unwritten", error=str(error))


async def write(shop: Workshop, record: PredictionRecord, outputs: Sequence[Output], end: Commit) -> None:
    """Beside the stored files, or under `held/` when none is stored, before `end` is committed.

    Raises StorageError.

    A text that is not clean is an output too: where stored files keep the manifest in the open, such texts
    stand in a second one under `held/`.
    """
    with shop.meter.inside("manifests"):
        await _written(shop, record, outputs, end)


async def _written(shop: Workshop, record: PredictionRecord, outputs: Sequence[Output], end: Commit) -> None:
    key = f"{folder(record)}/{layout.MANIFEST}"
    said = _said(record) if record.payload else await _said_before(shop, key, outputs)
    whole = await _content(shop, record, outputs, end)
    if record.payload_dropped_at:
        said = {"payload": reduced(said["payload"])}
        whole["payload_dropped_at"] = record.payload_dropped_at
    whole |= said
    covered = [one.index for one in outputs if _is_text(one) and one.nsfw is not Nsfw.CLEAN]
    if not in_the_open(outputs):
        await shop.vault.write(key, _encoded(whole), held=True)
        # A stricter duplicate may have moved the last file that kept the manifest in the open.
        await shop.vault.delete(key, held=False)
        return
    if covered:
        await shop.vault.write(key, _encoded(whole), held=True)
        whole |= {"payload": _without(said["payload"], covered)}
    elif record.attempts > 1:
        # It stood there when nothing was stored yet: a review has released the first, or a replay found it.
        await shop.vault.delete(key, held=True)
    await shop.vault.write(key, _encoded(whole), held=False)


def reduced(payload: Mapping[str, Any]) -> dict[str, Any]:
    """What stays of it when its retention is over: the outputs, texts and links, which a replay needs."""
    return {name: value for name, value in payload.items() if name == "outputs"}


def in_the_open(outputs: Sequence[Output]) -> bool:
    """Beside stored files; and with clean texts, which it holds as a folder holds files, if all is clean."""
    if any(one.disposition in _STORED for one in outputs):
        return True
    texts = [one for one in outputs if _is_text(one)]
    return bool(texts) and all(one.nsfw is Nsfw.CLEAN for one in outputs)


def _is_text(output: Output) -> bool:
    return output.disposition is Disposition.SKIPPED


async def _content(
    shop: Workshop, record: PredictionRecord, outputs: Sequence[Output], end: Commit
) -> dict[str, Any]:
    so_far = await waited_out(lambda: shop.ledger.reading.timeline(record), str(record.ref))
    now = clock.now()
    ours = [
        {"at": clock.rfc3339(now - note.ago), "step": note.step, "detail": note.detail} for note in end.notes
    ]
    return {
        **{name: value for name, value in record.public().items() if name not in _UNSETTLED},
        "stage": end.to,
        "reason": end.reason or None,
        "finished_at": clock.rfc3339(record.was.finished_at if record.was else now),
        "error": end.error or record.said_error or None,
        "outputs": [
            {name: value for name, value in output.stored().items() if name not in _PRIVATE}
            for output in outputs
        ],
        "callback": None,
        "payload": {},
        "timeline": so_far + ours,
        "ledger": _of_the_ledger(record, end),
    }


def _of_the_ledger(record: PredictionRecord, end: Commit) -> dict[str, Any]:
    """What it shows nobody, and cannot be rebuilt without."""
    return {
        "sequence": record.sequence,
        "known_at": record.heard_at,
        "verdict": record.verdict,
        "nsfw": pack(record.nsfw),
        "digest": record.digest,
        "generation": record.generation,
        "error": end.error,
        "said_reason": record.said_reason,
        "said_error": record.said_error,
        "reviews": decisions.kept(record.reviews),
    }


def _said(record: PredictionRecord) -> dict[str, Any]:
    """With the headers that it came with, should it have come by callback."""
    around = {"callback": record.callback.named()} if record.callback else {}
    return {"payload": record.payload, **around}


async def _said_before(shop: Workshop, key: str, outputs: Sequence[Output]) -> dict[str, Any]:
    """The ledger lets go of it some time after the end, and from then on it stands in the manifest alone.

    Where there are two, the one under `held/` has every text. Without any: what is still known.
    Raises StorageError.
    """
    for held in (True, False):
        try:
            whole = json.loads(await shop.vault.read(key, held=held))
            payload = whole["payload"]
        except (NotFound, ValueError, KeyError, TypeError):
            continue
        if isinstance(payload, dict) and ("outputs" in payload or not outputs):
            around = callback_headers.of_manifest(whole.get("callback"))
            return {"payload": payload} | ({"callback": around} if around else {})
    log.warning("manifest.lost", key=key)
    return {"payload": {"outputs": [one.url for one in outputs]}}


def _without(payload: Any, covered: Sequence[int]) -> dict[str, Any]:
    said = payload["outputs"]
    values = said if isinstance(said, list) else [said]
    kept = [None if index in covered else value for index, value in enumerate(values)]
    return {**payload, "outputs": kept}


def _encoded(content: dict[str, Any]) -> bytes:
    """A line for each of its parts: indented throughout it would be written by the encoder that is no C."""
    parts = (f"  {json.dumps(name)}: {_ENCODER.encode(value)}" for name, value in content.items())
    return ("{\n" + ",\n".join(parts) + "\n}\n").encode()
