"""What the API takes and shows, as JSON Schemas by name: the words are those of the code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service.ledger import Outcome
from service.ledger.runs import Kind, State
from service.prediction import Disposition, Nsfw, Reason, Stage, Step, Via
from service.refusals import RefusedFor
from service.review import Decision
from service.web.tokens import Role

if TYPE_CHECKING:
    from enum import StrEnum

STRING: dict[str, Any] = {"type": "string"}
TOKEN: dict[str, Any] = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,128}$"}
_NULLABLE: dict[str, Any] = {"type": ["string", "null"]}
_INSTANT: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}
_COUNT: dict[str, Any] = {"type": ["integer", "null"]}
DELIVERY_STATE: dict[str, Any] = {"enum": ["pending", "delivered", "dead"]}


def _words(vocabulary: type[StrEnum], *, null: bool = False) -> dict[str, Any]:
    return {"enum": [*vocabulary, None] if null else [*vocabulary]}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _listed(name: str) -> dict[str, Any]:
    return {"type": "array", "items": ref(name)}


_DELIVERY: dict[str, Any] = {
    "id": STRING,
    "event_id": STRING,
    "event": STRING,
    "prediction": _NULLABLE,
    "source": _NULLABLE,
    "hook": STRING,
    "state": DELIVERY_STATE,
    "attempts": {"type": "integer"},
    "last_status": _COUNT,
    "next_attempt_at": _INSTANT,
    "created_at": _INSTANT,
    "error": _NULLABLE,
}

_RUN = {
    "id": STRING,
    "kind": _words(Kind),
    "query": STRING,
    "from": _NULLABLE,
    "rate": {"type": "number"},
    "new_id": {"type": "boolean"},
    "again_of": _NULLABLE,
    "state": _words(State),
    "created_at": {"type": "string", "format": "date-time"},
    "started_at": _INSTANT,
    "ended_at": _INSTANT,
    "total": {"type": "integer"},
    "oldest": _INSTANT,
    "newest": _INSTANT,
    "seconds": {"type": "number"},
    "position": {"type": "integer"},
    "done": {"type": "integer"},
    "skipped": {"type": "integer"},
    "failed": {"type": "integer"},
}

SHAPES = {
    "Output": _object(
        index={"type": "integer"},
        disposition=_words(Disposition, null=True),
        nsfw=_words(Nsfw),
        uri=_NULLABLE,
        sha256=_NULLABLE,
        bytes=_COUNT,
        media_type=_NULLABLE,
        width=_COUNT,
        height=_COUNT,
        error=_NULLABLE,
    ),
    "Review": _object(
        index={"type": "integer"},
        decision=_words(Decision),
        by=STRING,
        at={"type": "string", "format": "date-time"},
        reason=_NULLABLE,
    ),
    "Held": _object(
        id=STRING,
        source=STRING,
        model=STRING,
        index={"type": "integer"},
        nsfw=_words(Nsfw),
        media_type=_NULLABLE,
        bytes=_COUNT,
        width=_COUNT,
        height=_COUNT,
        error=_NULLABLE,
        held_at=_INSTANT,
        metadata={"type": "object"},
    ),
    "Line": _object(at={"type": "string", "format": "date-time"}, step=_words(Step), detail=STRING),
    "Delivery": _object(**_DELIVERY),
    "DeliveryWithHistory": _object(**_DELIVERY, history=_listed("Attempt")),
    "Attempt": _object(
        at={"type": "string", "format": "date-time"},
        status=_COUNT,
        ms={"type": "integer"},
        error=_NULLABLE,
        answer=STRING,
        probe={"type": "boolean"},
    ),
    "Prediction": _object(
        id=STRING,
        source=STRING,
        model=STRING,
        stage=_words(Stage),
        status=STRING,
        reason=_words(Reason, null=True),
        received_via=_words(Via, null=True),
        created_at=_INSTANT,
        received_at=_INSTANT,
        finished_at=_INSTANT,
        attempts={"type": "integer"},
        error=_NULLABLE,
        outputs=_listed("Output"),
        reviews=_listed("Review"),
        timeline=_listed("Line"),
        deliveries=_listed("Delivery"),
        metadata={"type": "object"},
    ),
    "Told": _object(
        id=STRING,
        source=STRING,
        model=STRING,
        status=STRING,
        stage=_words(Stage),
        reason=_words(Reason, null=True),
        received_via=_words(Via, null=True),
        created_at=_INSTANT,
        finished_at=_INSTANT,
        outputs=_listed("Output"),
        metadata={"type": "object"},
    ),
    "HookFailing": _object(
        hook=STRING,
        percent={"type": "integer"},
        failing_since={"type": "string", "format": "date-time"},
        budget_seconds={"type": "number"},
    ),
    "Predictions": _object(items=_listed("Prediction"), next=_NULLABLE),
    "Deliveries": _object(items=_listed("Delivery"), next=_NULLABLE),
    "Run": _object(**_RUN),
    "RunShown": _object(
        **_RUN,
        became={"type": "object", "additionalProperties": {"type": "integer"}},
        left=_listed("LeftOver"),
    ),
    "LeftOver": _object(member=STRING, outcome={"enum": ["skipped", "failed"]}, why=STRING),
    "Runs": _object(items=_listed("Run"), next=_NULLABLE),
    "RefusedCallback": _object(
        at={"type": "string", "format": "date-time"},
        source=STRING,
        reason=_words(RefusedFor),
        why=STRING,
        address=_NULLABLE,
        bytes=_COUNT,
        webhook_id=_NULLABLE,
    ),
    "Refused": _object(
        items=_listed("RefusedCallback"),
        next=_NULLABLE,
        totals={"type": "object", "additionalProperties": {"type": "integer"}},
    ),
    "HeldOutputs": _object(items=_listed("Held"), next=_NULLABLE),
    "Scaling": _object(
        backlog={"type": "integer"},
        waiting={"type": "integer"},
        working={"type": "integer"},
        due={"type": "integer"},
        awaited={"type": "integer"},
        deliveries_due={"type": "integer"},
        oldest_due_seconds={"type": "number"},
        nearest_deletion_seconds={"type": ["number", "null"]},
    ),
    "Session": _object(role=_words(Role), expires_at={"type": "string", "format": "date-time"}),
    "Callback": {
        "type": "object",
        "properties": {"id": TOKEN, "status": STRING},
        "required": ["id", "status"],
        "description": "The provider's prediction, flat or as the `data` of an envelope",
    },
    "Received": _object(id=STRING, outcome=_words(Outcome)),
    "Alive": _object(status={"const": "ok"}),
    "Ready": {
        "type": "object",
        "properties": {"status": {"const": "ok"}, "checks": _listed("Check")},
        "required": ["status"],
    },
    "Check": _object(name=STRING, state={"enum": ["ok", "warn"]}, detail=STRING),
    "Document": {"type": "object", "required": ["openapi", "info", "paths"]},
    "AsyncDocument": {"type": "object", "required": ["asyncapi", "channels"]},
    "Schema": {"type": "object", "required": ["title", "$defs"]},
    "Problem": _object(type=STRING, title=STRING, status={"type": "integer"}, reason=STRING, detail=STRING),
}
