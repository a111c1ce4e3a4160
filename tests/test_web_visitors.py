"""Who may do what: every route of the running application against every kind of visitor."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from service.web import attempts
from service.web.tokens import Role, Token
from tests.described import operations
from tests.serving import serving
from tests.visitors import (
    ADMIN,
    OPERATOR_TOKEN,
    OWN_PAGE,
    TOKENS,
    VIEWER,
    VIEWER_TOKEN,
    bearer,
    cookie,
    session,
    visitor,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import httpx

    from tests.serving import Served

pytestmark = pytest.mark.anyio

HALF_A_DAY = 12 * 3600
TAMPERED = session(VIEWER_TOKEN)["cookie"].partition("=")[2].replace("viewer", "operator")
VISITORS: dict[str, tuple[dict[str, str], str]] = {
    "no credentials": ({}, "stranger"),
    "a wrong bearer": (bearer("wrong"), "stranger"),
    "an expired session": (session(OPERATOR_TOKEN, age=HALF_A_DAY) | OWN_PAGE, "stranger"),
    "a tampered session": (cookie(TAMPERED) | OWN_PAGE, "stranger"),
    "a session of a former token": (session(Token.of("former", Role.OPERATOR)) | OWN_PAGE, "stranger"),
    "a wrong bearer with a session": (session(OPERATOR_TOKEN) | OWN_PAGE | bearer("wrong"), "stranger"),
    "an empty bearer with a session": (
        session(OPERATOR_TOKEN) | OWN_PAGE | {"authorization": "Bearer"},
        "stranger",
    ),
    "the viewer's bearer": (bearer(VIEWER), "viewer"),
    "the viewer's session": (session(VIEWER_TOKEN) | OWN_PAGE, "viewer"),
    "the operator's bearer": (bearer(ADMIN), "operator"),
    "the operator's bearer on another site": (bearer(ADMIN) | {"sec-fetch-site": "cross-site"}, "operator"),
    "the operator's session": (session(OPERATOR_TOKEN) | OWN_PAGE, "operator"),
    "the operator's session on another site": (
        session(OPERATOR_TOKEN) | {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
        "abused",
    ),
    "the operator's session on a neighbour's site": (
        session(OPERATOR_TOKEN) | {"sec-fetch-site": "same-site"},
        "abused",
    ),
    "the operator's session without a page": (session(OPERATOR_TOKEN), "abused"),
}
"""What each sends, and what he is to a guarded route."""
OPEN = {
    "/webhooks/{source}": (401, "signature"),
    "/livez": (200, None),
    "/readyz": (200, None),
    "/static/{file}": (404, "no_such_route"),
}
"""Routes that look at nobody, and what they answer without a signature."""
ENTRANCE = {
    ("/sign-in", "get"): (200, None),
    ("/session", "post"): (422, "invalid"),
    ("/session", "delete"): (204, None),
    ("/sign-out", "post"): (303, None),
    ("/theme", "post"): (415, "content_type"),
}
READING = ("get", "head")
ENDLESS = "/live"
"""An answer to it does not end by itself."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def server(redis_server: str) -> AsyncIterator[Served]:
    """It looks at every token, however many were wrong: here each request is to be judged by itself."""
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(attempts, "FREE", 1_000_000)
        patches.setattr(attempts, "OVERALL_MOST", 1_000_000)
        async with serving(redis_server, **TOKENS) as served:
            yield served


def asked(server: Served) -> Iterator[tuple[str, str]]:
    """Every route by every method that it has, and a guarded one by two more."""
    for path, method in operations(server.app.routes):
        yield path, method
        if path not in OPEN and (path, method) not in ENTRANCE:
            yield from ((path, "head"), (path, "patch"))


def expected(path: str, method: str, is_a: str, sent: dict[str, str]) -> tuple[int, str | None] | None:
    """Status and reason; None when the visitor gets through to the route itself."""
    if path in OPEN:
        return OPEN[path]
    if (path, method) in ENTRANCE:
        foreign = is_a == "abused" or sent.get("sec-fetch-site") == "cross-site"
        return (403, "cross_site") if foreign and method not in READING else ENTRANCE[path, method]
    match is_a:
        case "stranger":
            return 401, "token"
        case "viewer" if method not in READING:
            return 403, "read_only"
        case "abused" if method not in READING:
            return 403, "cross_site"
        case _:
            return None


def told(answer: httpx.Response) -> tuple[int, str | None]:
    problem = answer.headers.get("content-type") == "application/problem+json" and answer.content
    return answer.status_code, answer.json()["reason"] if problem else None


@pytest.mark.parametrize("name", VISITORS)
async def test_every_route_treats_a_visitor_by_what_he_has_shown(server: Served, name: str) -> None:
    sent, is_a = VISITORS[name]
    wrong = []
    async with visitor(server) as client:
        for path, method in set(asked(server)):
            if path == ENDLESS and method == "get" and is_a != "stranger":
                continue
            answer = await client.request(method, filled(path), headers=sent)
            client.cookies.clear()
            wanted, got = expected(path, method, is_a, sent), told(answer)
            through = wanted is None and got[0] not in (401, 403, 429) and got[0] < 500
            if not through and got != wanted and not (method == "head" and wanted and got[0] == wanted[0]):
                wrong.append((method, path, got, wanted or "through"))
    assert wrong == []


def filled(path: str) -> str:
    return re.sub(r"\{\w+\}", "wavespeed", path)


async def test_the_open_routes_and_the_way_in_are_among_the_routes(server: Served) -> None:
    """Else the table would say something about nothing."""
    found = set(operations(server.app.routes))
    assert set(ENTRANCE) < found
    assert set(OPEN) < {path for path, _ in found}
    guarded = {method for path, method in found if path not in OPEN and (path, method) not in ENTRANCE}
    assert guarded >= {"get", "post"}


async def test_a_refusal_says_how_to_get_in_or_which_role_it_takes(server: Served) -> None:
    async with visitor(server) as client:
        nobody = await client.get("/api/v1/scaling")
        viewer = await client.post("/api/v1/predictions/p/track", headers=bearer(VIEWER))
        pageless = await client.post("/api/v1/predictions/p/track", headers=session(OPERATOR_TOKEN))
    assert "Authorization: Bearer" in nobody.json()["detail"]
    assert "/sign-in" in nobody.json()["detail"]
    assert nobody.headers["www-authenticate"] == "Bearer"
    assert "operator" in viewer.json()["detail"]
    assert "Sec-Fetch-Site" in pageless.json()["detail"]
