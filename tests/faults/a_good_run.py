"""A small history made by hand, in which everything went well, for the checker's tests to break."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service import clock

if TYPE_CHECKING:
    from tests.faults.history import Line

START = 1_700_000_000.0


def at(seconds: float) -> str:
    return clock.rfc3339(START + seconds)


def step(seconds: float, name: str, detail: str = "") -> dict[str, Any]:
    return {"at": at(seconds), "step": name, "detail": detail}


def output(index: int, nsfw: str, disposition: str) -> dict[str, Any]:
    folder = "painter/2026/01/01/one"
    place = f"held/{folder}/{index}.png" if disposition == "held" else f"{folder}/{index}.png"
    return {
        "index": index,
        "nsfw": nsfw,
        "disposition": disposition,
        "uri": f"file:///store/{place}",
        "sha256": f"sha{index}",
    }


def told(kind: str, event_id: str, *outputs: dict[str, Any], status: int = 200) -> Line:
    thin = [one if one["disposition"] == "stored" else one | {"uri": None, "sha256": None} for one in outputs]
    return {
        "at": START + 4,
        "what": "hook",
        "hook": "sample",
        "prediction": "one",
        "event_id": event_id,
        "type": kind,
        "verified": True,
        "status": status,
        "body": f"body of {event_id}",
        "outputs": thin,
    }


def well() -> list[Line]:
    """One prediction with a clean and a flagged output, called back once, stored once, told once."""
    clean, flagged = output(0, "clean", "stored"), output(1, "flagged", "held")
    timeline = [
        *(step(1, "called_back"), step(1, "accepted", "completed"), step(2, "leased"), step(3, "stored")),
        step(3, "committed", "done"),
    ]
    found = {
        "id": "one",
        "stage": "done",
        "reason": None,
        "finished_at": at(3),
        "outputs": [clean, flagged],
        "timeline": timeline,
    }
    return [
        {"at": START, "what": "run", "seed": 1, "hooks": ["sample"], "in_flight": 4},
        {
            "at": START,
            "what": "prediction",
            "id": "one",
            "scenario": "multi",
            "ready": START,
            "expected_stage": "done",
            "nsfw": ["clean", "flagged"],
            "poison": False,
            "files": {"0": "sha0", "1": "sha1"},
        },
        {
            "at": START + 1,
            "what": "callback",
            "prediction": "one",
            "kind": "genuine",
            "attempt": 1,
            "status": 200,
            "seconds": 0.01,
            "error": None,
        },
        told("prediction.completed", "evt_1", clean, flagged),
        told("output.held", "evt_2", flagged),
        {"at": START + 5, "what": "calm"},
        {"at": START + 6, "what": "sample", "backlog": 0, "oldest_due_seconds": 0},
        {"at": START + 9, "what": "ledger", "prediction": "one", "found": found},
        file("painter/2026/01/01/one/0.png", "sha0"),
        file("painter/2026/01/01/one/manifest.json", "any"),
        file("held/painter/2026/01/01/one/1.png", "sha1"),
        *(
            key("catchlight:stage:done", -1),
            key("catchlight:prediction:source:one", 99),
            key("rq:queues", -1),
        ),
        process("baseline", 20),
        process("drained", 22),
    ]


def file(path: str, sha256: str) -> Line:
    return {"at": START + 9, "what": "file", "path": path, "sha256": sha256, "bytes": 9}


def key(name: str, ttl: int) -> Line:
    return {"at": START + 9, "what": "key", "name": name, "type": "hash", "ttl": ttl}


def process(moment: str, descriptors: int) -> Line:
    line = {"role": "work", "moment": moment, "descriptors": descriptors, "memory": 1}
    return {"at": START + 9, "what": "process"} | line


def one(lines: list[Line], what: str, number: int = 0) -> Line:
    return [line for line in lines if line["what"] == what][number]


def found(lines: list[Line]) -> dict[str, Any]:
    object_: dict[str, Any] = one(lines, "ledger")["found"]
    return object_
