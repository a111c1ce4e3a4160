"""The OpenAPI document: valid, and about exactly the routes that there are."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from service.settings import Settings
from service.web.app import build
from service.web.openapi import document
from service.web.schemas import ReplayBody, ReviewBody, RunBody, SessionBody, SubmitBody, TrackBody
from service.web.sessions import COOKIE
from tests.described import operations
from tests.serving import SECRET, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENT = document()
OPERATIONS = [
    pytest.param(path, method, operation, id=f"{method} {path}")
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
]


HTML: dict[str, list[list[str]]] = {
    "/sign-in": [["text/html"]],
    "/session": [[], ["application/problem+json", "text/html"]],
    "/metrics": [["text/plain"]],
}
"""Routes for browsers and Prometheus, and what else they may answer with than JSON."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (found for name, found in value.items() if name == "$ref")
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_it_lists_every_route_of_the_application_and_no_other() -> None:
    app = build(Settings.model_validate({"webhook_secrets": SECRET}), "redis://127.0.0.1:9/0")
    listed = {(path, method) for path, item in DOCUMENT["paths"].items() for method in item}
    assert set(operations(app.routes, pages=False)) == listed


def test_it_is_plain_json_of_version_3_1() -> None:
    assert re.fullmatch(r"3\.1\.\d+", DOCUMENT["openapi"])
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT
    assert set(DOCUMENT) == {"openapi", "info", "security", "components", "paths", "webhooks"}
    assert set(DOCUMENT["info"]) == {"title", "version"}


def test_every_reference_leads_somewhere_and_every_schema_is_used() -> None:
    schemas = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    assert set(references(DOCUMENT)) == schemas


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_an_operation_says_what_it_is_takes_and_answers(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    assert set(operation) <= {"summary", "parameters", "responses", "requestBody", "security"}
    assert operation["summary"]
    named = [(parameter["in"], parameter["name"]) for parameter in operation["parameters"]]
    assert len(named) == len(set(named))
    assert {name for place, name in named if place == "path"} == set(re.findall(r"\{(\w+)\}", path))
    for status, answer in operation["responses"].items():
        assert re.fullmatch(r"[2-5]\d\d", status)
        assert answer["description"]
        wanted = "application/json" if status < "4" else "application/problem+json"
        assert list(answer.get("content", {})) in ([wanted], *HTML.get(path, ()))
    assert method == "post" or "requestBody" not in operation


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_all_but_callbacks_probes_and_the_way_in_are_guarded(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    public = path in ("/livez", "/readyz", "/webhooks/{source}", "/sign-in", "/session")
    assert ("security" in operation) == public
    assert public or {"401", "403", "429"} <= set(operation["responses"])


def test_a_guarded_route_takes_a_token_or_a_session() -> None:
    named = {name for way in DOCUMENT["security"] for name in way}
    assert named == set(DOCUMENT["components"]["securitySchemes"]) == {"token", "session"}
    assert DOCUMENT["components"]["securitySchemes"]["session"]["name"] == COOKIE


@pytest.mark.parametrize("body", [SubmitBody, TrackBody, ReplayBody, ReviewBody, RunBody, SessionBody])
def test_bodies_are_closed_and_spelled_as_they_are_sent(body: type[SubmitBody]) -> None:
    schema = DOCUMENT["components"]["schemas"][body.__name__]
    assert schema["additionalProperties"] is False
    spelled = {field.alias or name for name, field in body.model_fields.items()}
    assert set(schema["properties"]) == spelled


@pytest.mark.anyio
async def test_it_is_served(redis_url: str) -> None:
    async with serving(redis_url) as server:
        assert (await server.client.get("/openapi.json")).json() == DOCUMENT
