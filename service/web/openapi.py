"""The OpenAPI 3.1 document of every route, built from the bodies it takes and the words it uses."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any

from service.events import Kind
from service.ledger.query import WORDS
from service.review import Decision
from service.web import sessions, told
from service.web.schemas import ReplayBody, ReviewBody, RunBody, SessionBody, SubmitBody, TrackBody
from service.web.shapes import DELIVERY_STATE, SHAPES, STRING, TOKEN, ref


def _parameter(name: str, place: str, schema: dict[str, Any], meaning: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": place,
        "required": place == "path",
        "schema": schema,
        "description": meaning,
    }


def _words(*, of_deliveries: bool) -> str:
    words = [word for word in WORDS if (word.deliveries if of_deliveries else word.predictions)]
    return "; ".join(["Words that must all hold", *(f"`{word.example}` {word.meaning}" for word in words)])


_ID = _parameter("id", "path", TOKEN, "The provider's id, or a delivery's")
_SOURCE = _parameter("source", "query", STRING, "Needed when two sources share an id")
_PAGE = [
    _parameter("limit", "query", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}, "Items"),
    _parameter("cursor", "query", {"type": "string", "pattern": "^[0-9]*$"}, "`next` of the page before"),
]
_HELD_PAGE = [
    _PAGE[0],
    _parameter(
        "cursor", "query", {"type": "string", "pattern": "^([0-9]+(-[0-9]+)?)?$"}, "`next` of the page before"
    ),
]
_INDEX = _parameter("index", "path", {"type": "integer", "minimum": 0}, "Of the output")
_KIND = _parameter("kind", "path", {"enum": [*Kind]}, "Of the event")
_QUERY = _parameter("query", "query", STRING, _words(of_deliveries=False))
_QUERY_OF_DELIVERIES = _parameter("query", "query", STRING, _words(of_deliveries=True))
_STATE = _parameter("state", "query", DELIVERY_STATE, "Only these")
_HOOK = _parameter("hook", "query", STRING, "Only those for this hook")
_KEY = _parameter("Idempotency-Key", "header", STRING, "The same key and body give the same answer")
_ORIGIN = _parameter("source", "path", STRING, "The provider's account, unless it has a path of its own")
_ACCOUNT = _parameter("source", "query", STRING, "The provider's account, when it is not the default one")
_SIGNED = [
    _parameter(f"webhook-{name}", "header", STRING, meaning) | {"required": True}
    for name, meaning in (
        ("id", "1 to 256 visible ASCII characters"),
        ("timestamp", "Unix seconds; what is more than 300 away is stale"),
        ("signature", "`v3,` and the HMAC-SHA256 of `id.timestamp.body` in lower-case hex; up to ten"),
    )
]
_VERBOSE = _parameter("verbose", "query", STRING, "What people want to know as well")
_SHARD = _parameter("shard", "query", STRING, "Of several shards, whose data; an id finds its own")
_NEXT = _parameter("next", "query", STRING, "The path to go on to")


_DECISIONS = {
    Decision.APPROVE: "Release a held output; a worker moves its file to its normal place",
    Decision.REJECT: "Let a held output stay held for good",
    Decision.UNDO: "Take the last decision back; the output is held again",
}

_BODIES = (SubmitBody, TrackBody, ReplayBody, RunBody, ReviewBody, SessionBody)
_EMPTY_BODIES = ("TrackBody", "ReplayBody", "ReviewBody")


def _answer(meaning: str, shape: str, media_type: str = "application/json") -> dict[str, Any]:
    return {"description": meaning, "content": {media_type: {"schema": ref(shape)}}}


def _public(
    summary: str,
    answers: dict[int, str],
    *refusals: int,
    body: str | None = None,
    parameters: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """An operation for everyone. `answers`: status → shape."""
    found = {str(status): _answer(summary, shape) for status, shape in answers.items()}
    refused = {
        str(status): _answer("Refused", "Problem", "application/problem+json") for status in sorted(refusals)
    }
    operation: dict[str, Any] = {
        "summary": summary,
        "security": [],
        "parameters": parameters or [],
        "responses": found | refused,
    }
    if body:
        operation["requestBody"] = {
            "required": body not in _EMPTY_BODIES,
            "content": {"application/json": {"schema": ref(body)}},
        }
    return operation


def _guarded(
    summary: str,
    answers: dict[int, str],
    *refusals: int,
    body: str | None = None,
    parameters: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """An operation for whoever has a token or a session, or is on this machine when no token is set."""
    usual = {400, 401, 403, 404, 429, 503, *((408, 413, 422) if body else ())}
    operation = _public(
        summary, answers, *{*refusals, *usual}, body=body, parameters=[*(parameters or ()), _SHARD]
    )
    del operation["security"]
    return operation


def _opening() -> dict[str, Any]:
    """By a program with JSON, or by the form of the sign-in page, which is answered with pages."""
    operation = _public(
        "Open a session: a cookie for 12 hours", {200: "Session"}, 401, 403, 408, 409, 413, 422, 429,
        body="SessionBody",
    )  # fmt: skip
    form = {"type": "object", "properties": {"token": STRING, "next": STRING}, "required": ["token"]}
    operation["requestBody"]["content"]["application/x-www-form-urlencoded"] = {"schema": form}
    for status in ("401", "403", "408", "409", "413", "422", "429"):
        operation["responses"][status]["content"] |= _HTML["content"]
    operation["responses"]["303"] = {"description": "The form's session is open: go on to `next`"}
    return operation


_HTML: dict[str, Any] = {"description": "A page", "content": {"text/html": {"schema": STRING}}}
_ENTERING = _public("A page that asks for a token", {}, 403, parameters=[_NEXT])
_ENTERING["responses"]["200"] = _HTML
_LEAVING = _public("End the session in this browser", {}, 403)
_LEAVING["responses"]["204"] = {"description": "The cookie is gone"}

_METRICS = _guarded("Metrics of the whole ledger, for Prometheus", {})
_METRICS["responses"].pop("503")
_METRICS["responses"]["200"] = {
    "description": "Its text format; when Redis is away `catchlight_redis_up` is 0 and most are missing",
    "content": {"text/plain": {"schema": STRING}},
}

_PATHS = {
    "/api/v1/predictions": {
        "get": _guarded(
            "Predictions, newest first", {200: "Predictions"}, 400, parameters=[*_PAGE, _QUERY]
        ),
        "post": _guarded(
            "Submit with our callback URL", {201: "Prediction"}, 402, 409, 429, 502, 504,
            body="SubmitBody", parameters=[_KEY, _ACCOUNT],
        ),
    },
    "/api/v1/predictions/{id}": {
        "get": _guarded("One prediction", {200: "Prediction"}, 404, 409, parameters=[_ID, _SOURCE])
    },
    "/api/v1/predictions/{id}/track": {
        "post": _guarded(
            "Adopt an id that someone else submitted", {202: "Prediction"}, 404,
            body="TrackBody", parameters=[_ID, _ACCOUNT],
        )
    },
    "/api/v1/predictions/{id}/replay": {
        "post": _guarded(
            "Again from a step", {202: "Prediction"}, 404, 409, body="ReplayBody", parameters=[_ID, _SOURCE]
        )
    },
    "/api/v1/deliveries": {
        "get": _guarded(
            "Deliveries, newest first", {200: "Deliveries"}, 400,
            parameters=[*_PAGE, _QUERY_OF_DELIVERIES, _STATE, _HOOK],
        )
    },
    "/api/v1/deliveries/{id}": {
        "get": _guarded(
            "One delivery, with its last 20 attempts", {200: "DeliveryWithHistory"}, 404, parameters=[_ID]
        )
    },
    "/api/v1/deliveries/{id}/retry": {
        "post": _guarded("Send it again", {202: "Delivery"}, 404, parameters=[_ID])
    },
    "/api/v1/runs": {
        "get": _guarded("Bulk runs, newest first", {200: "Runs"}, 400, parameters=_PAGE[:1]),
        "post": _guarded(
            "Replay or retry exactly what a query finds now; the sweeper carries it out",
            {201: "RunShown"}, 400, 404, body="RunBody",
        ),
    },
    "/api/v1/runs/{id}": {
        "get": _guarded("One run, and what became of it", {200: "RunShown"}, 404, parameters=[_ID])
    },
    "/api/v1/runs/{id}/resume": {
        "post": _guarded(
            "Carry on one that was planned or interrupted", {202: "RunShown"}, 404, parameters=[_ID]
        )
    },
    "/api/v1/refused": {
        "get": _guarded(
            "Callbacks that were turned away, newest first: of a flood a sample, and the totals of all",
            {200: "Refused"}, 400, parameters=_PAGE,
        )
    },
    "/api/v1/review": {
        "get": _guarded(
            "Held outputs that wait for a person, newest first", {200: "HeldOutputs"}, 400,
            parameters=[*_HELD_PAGE, _QUERY],
        )
    },
    **{
        f"/api/v1/review/{{id}}/{{index}}/{decision}": {
            "post": _guarded(
                summary, {202: "Prediction"}, 404, 409, body="ReviewBody", parameters=[_ID, _INDEX, _SOURCE]
            )
        }
        for decision, summary in _DECISIONS.items()
    },
    "/api/v1/scaling": {"get": _guarded("What is left to do", {200: "Scaling"})},
    "/openapi.json": {"get": _guarded("This document", {200: "Document"})},
    "/asyncapi.json": {"get": _guarded("The events that we send, as AsyncAPI", {200: "AsyncDocument"})},
    "/api/v1/schemas/{kind}": {
        "get": _guarded("The JSON Schema of one kind of event", {200: "Schema"}, 404, parameters=[_KIND])
    },
    "/sign-in": {"get": _ENTERING},
    "/session": {"post": _opening(), "delete": _LEAVING},
    "/webhooks/{source}": {
        "post": _public(
            "A callback of the provider; durable when answered", {200: "Received", 202: "Received"},
            400, 401, 404, 405, 408, 413, 415, 503,
            body="Callback", parameters=[_ORIGIN, *_SIGNED],
        )
    },
    "/metrics": {"get": _METRICS},
    "/livez": {"get": _public("This process runs", {200: "Alive"})},
    "/readyz": {"get": _public("Redis takes a write", {200: "Ready"}, 503, parameters=[_VERBOSE])},
}  # fmt: skip


@cache
def document() -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "info": {"title": "Catchlight", "version": version("catchlight")},
        "security": [{}, {"token": []}, {"session": []}],
        "components": {
            "schemas": SHAPES | {kind.__name__: kind.model_json_schema() for kind in _BODIES},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The admin token, or for reading the viewer token",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": sessions.COOKIE,
                    "description": "Of `POST /session`; a change needs `Sec-Fetch-Site: same-origin` as well",
                },
            },
        },
        "paths": _PATHS,
        "webhooks": told.webhooks(),
    }
