"""The events that we send, described: OpenAPI's `webhooks`, AsyncAPI, and a JSON Schema for each kind."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any

from service import keys
from service.events import OF_DISPOSITION, OF_STAGE, Kind
from service.web.shapes import SHAPES, STRING, ref

_INSTANT = {"type": "string", "format": "date-time"}
_MEANINGS = {
    Kind.COMPLETED: "All outputs have their disposition, which may be held",
    Kind.FAILED: "The provider said so; `reason` has its word",
    Kind.EXPIRED: "The outputs were gone, or nobody ever told how it ended",
    Kind.DEAD: "We gave up; `reason` says why, and a replay begins anew",
    Kind.HELD: "One output waits for a person; nothing leads to its file",
    Kind.RELEASED: "A person has cleared an output that was held",
    Kind.REJECTED: "A person has not cleared it",
    Kind.PING: "Sent by `catchlight hooks test`",
    Kind.FAILING: "A hook, never the one that hears it, fails: 50, 90 or 100 % of its schedule are spent",
}
_HEADERS = {
    "webhook-id": "The event's id: the same over attempts, replays and hooks",
    "webhook-timestamp": "Unix seconds of this attempt",
    "webhook-signature": "`v1,` and base64; two, with a space between, while a secret rotates",
}
_ANSWERS = {
    "2XX": "Delivered; the body is not looked at",
    "410": "Never again: the hook is disabled until somebody enables it",
    "429": "Later: `Retry-After` is honoured, up to an hour; so it is with 503",
    "default": "Tried again by the schedule; redirects are not followed",
}


def _data(kind: Kind) -> dict[str, Any]:
    if kind is Kind.PING:
        return {"type": "object", "properties": {"hook": STRING}, "required": ["hook"]}
    if kind is Kind.FAILING:
        return ref("HookFailing")
    one = (
        {"properties": {"outputs": {"minItems": 1, "maxItems": 1}}} if kind in OF_DISPOSITION.values() else {}
    )
    stage = next((stage for stage, of in OF_STAGE.items() if of is kind), None)
    of_stage = {"properties": {"stage": {"const": stage}}} if stage else {}
    return {"allOf": [ref("Told"), one or of_stage]}


def shape(kind: Kind) -> dict[str, Any]:
    """Of the body, with references into `components`."""
    properties = {"type": {"const": kind}, "timestamp": _INSTANT, "data": _data(kind)}
    return {"type": "object", "properties": properties, "required": list(properties)}


def schema(kind: Kind) -> dict[str, Any]:
    """The same as a JSON Schema of its own."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind,
        "description": _MEANINGS[kind],
        **_local(shape(kind)),
        "$defs": {name: _local(SHAPES[name]) for name in ("Told", "HookFailing", "Output")},
    }


def _local(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: inner.replace("#/components/schemas/", "#/$defs/") if name == "$ref" else _local(inner)
            for name, inner in value.items()
        }
    return [_local(one) for one in value] if isinstance(value, list) else value


def webhooks() -> dict[str, Any]:
    """For OpenAPI: what a hook of yours is asked."""
    parameters = [
        {"name": name, "in": "header", "required": True, "schema": STRING, "description": meaning}
        for name, meaning in _HEADERS.items()
    ]
    return {
        kind: {
            "post": {
                "summary": _MEANINGS[kind],
                "security": [],
                "parameters": parameters,
                "requestBody": {"required": True, "content": {"application/json": {"schema": shape(kind)}}},
                "responses": {status: {"description": meaning} for status, meaning in _ANSWERS.items()},
            }
        }
        for kind in Kind
    }


@cache
def asyncapi() -> dict[str, Any]:
    """The events as messages: signed POSTs to hooks, and entries of streams."""
    headers = {name: STRING | {"description": text} for name, text in _HEADERS.items()}
    messages = {kind: {"$ref": f"#/components/messages/{kind}"} for kind in Kind}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Catchlight's events", "version": version("catchlight")},
        "defaultContentType": "application/json",
        "channels": {
            "hook": {"description": "The `url` of a hook, by POST, signed per Standard Webhooks",
                     "messages": messages},
            "stream": {"address": keys.STREAM + "{name}",
                       "description": "A hook of the kind redis-stream: fields `id`, `type` and `body`",
                       "parameters": {"name": {"description": "`stream` of the hook"}},
                       "messages": messages},
        },
        "operations": {
            channel: {"action": "send", "channel": {"$ref": f"#/channels/{channel}"}}
            for channel in ("hook", "stream")
        },
        "components": {
            "schemas": {name: SHAPES[name] for name in ("Told", "HookFailing", "Output")},
            "messages": {
                kind: {
                    "name": kind,
                    "summary": _MEANINGS[kind],
                    "headers": {"type": "object", "properties": headers},
                    "payload": shape(kind),
                }
                for kind in Kind
            },
        },
    }  # fmt: skip
