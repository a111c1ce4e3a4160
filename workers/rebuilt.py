"""What a manifest tells of a prediction, as the ledger is to hold it again.

A manifest is written just before the commit that it tells of, so the last lines of that are put behind its
own. Versions before the first that could rebuild wrote no `ledger` part: what it says is then concluded.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from service import clock, events, plain_json, wavespeed
from service.ledger import PredictionRecord, decisions
from service.ledger.arrival import digest, pack
from service.ledger.rebuilding import PAYLOAD_IN_THE_MANIFEST, Rebuilt
from service.prediction import TERMINAL, Disposition, Ref, Stage, Step, Verdict
from service.review import Decision, Review
from service.storage import layout
from workers.outputs import Output, ending

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Said = dict[str, Any]


def of_manifest(data: bytes, key: str, retention: float, now: float) -> Rebuilt | None:
    """None when its retention is over. Raises ValueError for what tells of no ended prediction.

    `key` is without `held/`; `now` and `retention` in seconds.
    """
    try:
        said = json.loads(data)
        return _rebuilt(said, key, retention, now)
    except (AttributeError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"not a manifest of ours: {type(error).__name__} {error}") from error


def _rebuilt(said: Said, key: str, retention: float, now: float) -> Rebuilt | None:
    place = layout.place_of(key)
    ref = Ref(said["source"], said["id"])
    day = place.day if place else ""
    at = layout.folder(ref.source, said["model"], day, ref.id, default_source=wavespeed.SOURCE)
    if key != f"{at}/{layout.MANIFEST}":
        raise ValueError(f"it tells of {ref}, which has another place")
    outputs = [Output.load(output) for output in said["outputs"]]
    lines: list[Said] = [
        {"at": _instant(line["at"]), "step": str(line["step"]), "detail": str(line["detail"])}
        for line in said["timeline"]
    ]
    last = max((line["at"] for line in lines), default=0.0)
    finished_at = _instant(said["finished_at"]) if "finished_at" in said else last
    ended = max(last, finished_at)
    if (keep := ended + retention - now) <= 0:
        return None
    fields = _fields(said, outputs, lines) | {"day": day, "finished_at": f"{finished_at:.3f}"}
    record = PredictionRecord.load(fields)
    if record.corrupt or record.stage not in TERMINAL:
        raise ValueError(record.corrupt or f"it ended in a stage that is not known here: {record.stage}")
    decided = {output.index: output.decision for output in outputs}
    told = events.of_prediction(ref, record.generation, record.public(), (), finished_at, decided=decided)
    return Rebuilt(
        ref,
        sequence=int(said.get("ledger", {}).get("sequence", 0)),
        known_at=record.known_at,
        fields=fields,
        lines=[*lines, *_last_lines(record.stage, told, lines, ended)],
        events={event.id: event.body for event in told},
        held=any(output.disposition is Disposition.HELD for output in outputs),
        keep=keep,
    )


def _fields(said: Said, outputs: Sequence[Output], lines: Sequence[Said]) -> dict[str, str]:
    kept = said.get("ledger") or _concluded(said, outputs, lines)
    stage = said.get("stage") or ending(outputs).stage
    reason = said.get("reason") if "stage" in said else ending(outputs).reason
    fields = {
        "source": said["source"],
        "id": said["id"],
        "stage": stage,
        "model": said["model"],
        "status": said["status"],
        "verdict": kept["verdict"],
        "reason": reason,
        "via": said["received_via"],
        "known_at": f"{float(kept['known_at']):.3f}",
        "created_at": _optional(said["created_at"]),
        "received_at": _optional(said["received_at"]),
        "nsfw": kept["nsfw"],
        "digest": kept["digest"],
        "generation": kept["generation"],
        "error": kept["error"],
        "said_reason": kept["said_reason"],
        "said_error": kept["said_error"],
        "attempts": said["attempts"],
        # No job and no lease of before is left; one that is, commits nothing over this.
        "token": said["attempts"],
        "rings": said["attempts"],
        "polls": 0,
        "payload": PAYLOAD_IN_THE_MANIFEST,
        "payload_dropped_at": said.get("payload_dropped_at"),
        "outputs": plain_json.encoded([output.stored() for output in outputs]),
        "reviews": plain_json.encoded(kept["reviews"]) if kept["reviews"] else "",
        "metadata": plain_json.encoded(said["metadata"]) if said["metadata"] else "",
    }
    return {name: str(value) for name, value in fields.items() if value not in (None, "")}


def _concluded(said: Said, outputs: Sequence[Output], lines: Sequence[Said]) -> Said:
    """What the manifest of an older version leaves out: it had one for a completion only."""
    named = said["payload"].get("outputs")
    values = named if isinstance(named, list) else [] if named is None else [named]
    return {
        "verdict": Verdict.COMPLETED,
        "known_at": min((line["at"] for line in lines), default=0.0),
        "nsfw": pack([output.nsfw for output in outputs]),
        "digest": digest(values),
        "generation": 1,
        "error": "",
        "said_reason": None,
        "said_error": "",
        "reviews": decisions.kept(_reviews(said["reviews"], {output.index: output for output in outputs})),
    }


def _reviews(said: Sequence[Said], outputs: Mapping[int, Output]) -> dict[int, Review]:
    return {
        one["index"]: Review(
            number=max(outputs[one["index"]].decision, 1),
            decision=Decision(one["decision"]),
            by=one["by"],
            reason=one["reason"] or "",
            at=_instant(one["at"]),
            nsfw=outputs[one["index"]].nsfw,
            sha256=outputs[one["index"]].sha256,
        )
        for one in said
    }


def _last_lines(
    stage: Stage | str, told: Sequence[events.Event], lines: Sequence[Said], at: float
) -> list[Said]:
    """Those that the commit itself wrote: the end, and the events that had not been told before."""
    before = Counter(line["detail"] for line in lines if line["step"] == Step.EVENT)
    new = [event.kind for event in told]
    for kind in tuple(new):
        if before[kind]:
            before[kind] -= 1
            new.remove(kind)
    ours = [(Step.COMMITTED, str(stage)), *((Step.EVENT, str(kind)) for kind in new)]
    return [{"at": at, "step": str(step), "detail": detail} for step, detail in ours]


def _instant(text: object) -> float:
    instant = clock.parse_rfc3339(text)
    if instant is None:
        raise ValueError(f"{text!r} is no instant")
    return instant


def _optional(text: object) -> str:
    return "" if text is None else f"{_instant(text):.3f}"
