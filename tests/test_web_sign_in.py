"""The way in: a page, a form or a program's JSON, and the cookie that comes of it."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from service import clock
from service.web import sessions
from service.web.access import _to_sign_in
from tests.serving import serving
from tests.visitors import ADMIN, OPERATOR_TOKEN, OWN_PAGE, TOKENS, VIEWER, VIEWER_TOKEN, session, visitor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.serving import Served

pytestmark = pytest.mark.anyio

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
TRACK = "/api/v1/predictions/p/track"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def server(redis_server: str) -> AsyncIterator[Served]:
    async with serving(redis_server, **TOKENS) as served:
        yield served


@pytest.fixture
async def browser(server: Served) -> AsyncIterator[httpx.AsyncClient]:
    """It keeps its cookies, and says that our own page asks."""
    async with visitor(server) as client:
        client.headers.update(BROWSER | OWN_PAGE)
        yield client


class Page(HTMLParser):
    """What stands in a page: its tags with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def inputs(self) -> dict[str | None, str | None]:
        return {found.get("name"): found.get("value") for tag, found in self.tags if tag == "input"}


def given(answer: httpx.Response) -> tuple[str, set[str]]:
    """The value of the cookie that an answer sets, and its attributes."""
    (line,) = answer.headers.get_list("set-cookie")
    pair, *attributes = line.split("; ")
    name, _, value = pair.partition("=")
    assert name == sessions.COOKIE
    return value, {attribute.lower() for attribute in attributes}


async def test_a_browser_is_led_from_a_page_through_the_form_back_to_it(browser: httpx.AsyncClient) -> None:
    sent_away = await browser.get("/nobody/knows/this?tab=files&x=%2F")
    assert sent_away.status_code == 303
    page = Page((await browser.get(sent_away.headers["location"])).text)
    (form,) = [
        found for tag, found in page.tags if tag == "form" and str(found["action"]).startswith("/session")
    ]
    assert form["method"] == "post"
    filled_in = {"token": ADMIN, "next": str(page.inputs()["next"])}
    signed_in = await browser.post("/session", data=filled_in)
    assert (signed_in.status_code, signed_in.headers["location"]) == (
        303,
        "/nobody/knows/this?tab=files&x=%2F",
    )
    assert (await browser.get(signed_in.headers["location"])).status_code == 404
    assert (await browser.post(TRACK)).status_code == 202


async def test_a_program_signs_in_with_json_and_is_told_its_role_and_its_time(server: Served) -> None:
    for token, role in ((ADMIN, "operator"), (VIEWER, "viewer")):
        async with visitor(server) as client:
            answer = await client.post("/session", json={"token": token})
            assert (answer.status_code, answer.json()["role"]) == (200, role)
            expires = clock.parse_rfc3339(answer.json()["expires_at"])
            assert expires == pytest.approx(clock.now() + 12 * 3600, abs=30)
            value, _ = given(answer)
            assert sessions.role_of((OPERATOR_TOKEN, VIEWER_TOKEN), value, clock.now()) == role


async def test_the_cookie_is_for_the_browser_alone_and_for_our_own_pages(browser: httpx.AsyncClient) -> None:
    _, attributes = given(await browser.post("/session", json={"token": ADMIN}))
    assert attributes == {"httponly", "samesite=strict", "path=/", "max-age=43200"}


@pytest.mark.parametrize(
    "told", [{"origin": "https://us.example", "host": "us.example"}, {"x-forwarded-proto": "https"}]
)
async def test_over_https_it_is_secure(server: Served, told: dict[str, str]) -> None:
    async with visitor(server) as client:
        _, attributes = given(await client.post("/session", json={"token": ADMIN}, headers=told))
    assert "secure" in attributes


@pytest.mark.parametrize("token", [ADMIN, VIEWER])
async def test_signing_out_ends_it_in_the_browser(browser: httpx.AsyncClient, token: str) -> None:
    await browser.post("/session", json={"token": token})
    assert (await browser.get("/api/v1/scaling")).status_code == 200
    answer = await browser.delete("/session")
    value, attributes = given(answer)
    assert (answer.status_code, value) == (204, '""')
    assert {"max-age=0", "path=/", "httponly", "samesite=strict"} <= attributes
    assert (await browser.get("/api/v1/scaling")).status_code == 401


async def test_a_wrong_token_is_told_on_the_page_and_opens_nothing(browser: httpx.AsyncClient) -> None:
    for token in ("wrong", "", "<script>"):
        answer = await browser.post("/session", data={"token": token, "next": "/x"})
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert "set-cookie" not in answer.headers
        page = Page(answer.text)
        assert "alert" in [found.get("role") for tag, found in page.tags if tag == "p"]
        assert "That token is wrong." in page.text
        assert "Authorization" not in page.text
        assert page.inputs() == {"next": "/x", "token": None}


async def test_who_loads_the_answer_to_a_wrong_token_again_comes_back_to_the_form(
    browser: httpx.AsyncClient,
) -> None:
    page = Page((await browser.get("/sign-in", params={"next": "/gallery?open=a"})).text)
    (action,) = [
        found["action"] for tag, found in page.tags if found.get("action", "") != "/theme" and tag == "form"
    ]
    assert (
        await browser.post(str(action), data={"token": "x", "next": "/gallery?open=a"})
    ).status_code == 401
    again = await browser.send(browser.build_request("GET", str(action)))
    page = Page((await browser.get(again.headers["location"])).text)
    assert page.inputs()["next"] == "/gallery?open=a"


async def test_a_token_that_was_copied_with_its_line_end_is_right(browser: httpx.AsyncClient) -> None:
    assert (await browser.post("/session", data={"token": f" {ADMIN}\r\n"})).status_code == 303
    assert (await browser.post("/session", json={"token": f"{ADMIN}\n"})).status_code == 200


@pytest.mark.parametrize(
    ("headers", "path"),
    [
        (BROWSER, "/api/v1/scaling"),
        (BROWSER, "/openapi.json"),
        ({"accept": "*/*"}, "/predictions/p"),
        ({"accept": "application/json"}, "/predictions/p"),
        ({}, "/"),
    ],
)
async def test_a_program_or_a_route_of_the_api_is_refused_in_place(
    server: Served, headers: dict[str, str], path: str
) -> None:
    async with visitor(server) as client:
        answer = await client.get(path, headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (401, "token")


async def test_a_form_that_nobody_may_send_is_not_led_away(server: Served) -> None:
    async with visitor(server) as client:
        answer = await client.post("/review", headers=BROWSER)
    assert answer.status_code == 401
    assert "Authorization: Bearer" in Page(answer.text).text


@pytest.mark.parametrize(
    ("asked", "goal"),
    [
        ("/", "/"),
        ("/predictions/p?a=b&c=%2F#x", "/predictions/p?a=b&c=%2F#x"),
        ("/session?next=%2Fgallery%3Fopen%3Da", "/gallery?open=a"),
        ("/sign-in?next=/x", "/x"),
        ("/session?next=//evil.example", "/"),
        *(
            (foreign, "/")
            for foreign in (
                *("//evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example"),
                *("https://evil.example", "evil.example", "javascript:x", "/\r\nset-cookie: a=b"),
                *("/session", "/theme", "/sign-out?x", "/sign-in?next=/session", "/live", "/session/#a"),
                *("", " /x", "/x y", "/ü", "/" + "x" * 3000),
            )
        ),
    ],
)  # fmt: skip
async def test_after_signing_in_one_goes_on_within_our_own_pages(
    browser: httpx.AsyncClient, asked: str, goal: str
) -> None:
    page = Page((await browser.get("/sign-in", params={"next": asked})).text)
    assert page.inputs()["next"] == goal
    assert [found["href"] for tag, found in page.tags if tag == "a"][-1] == goal
    answer = await browser.post("/session", data={"token": ADMIN, "next": asked})
    assert answer.headers["location"] == goal


async def test_what_is_asked_for_cannot_break_out_of_the_page(browser: httpx.AsyncClient) -> None:
    evil = "/\"><script>alert('x')</script>&quot;"
    text = (await browser.get("/sign-in", params={"next": evil})).text
    page = Page(text)
    assert page.inputs()["next"] == evil
    assert all(found.get("src") for tag, found in page.tags if tag == "script")


async def test_the_page_needs_nothing_from_anywhere_else(browser: httpx.AsyncClient) -> None:
    page = Page((await browser.get("/sign-in")).text)
    tags = {tag for tag, _ in page.tags}
    assert {"form", "label", "button", "title", "h1"} <= tags
    assert not tags & {"style", "iframe", "base"}
    names = {name for _, found in page.tags for name in found}
    assert not [name for name in names if name.startswith("on") or name == "style"]
    for address in (found[name] for _, found in page.tags for name in ("src", "href") if name in found):
        assert str(address).startswith(("/", "#"))
        if str(address).startswith("/static/"):
            asset = await browser.get(str(address))
            assert (asset.status_code, "immutable" in asset.headers["cache-control"]) == (200, True)
    assert ("html", {"lang": "en"}) in page.tags


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
)
async def test_no_other_site_signs_a_browser_in_or_out(server: Served, headers: dict[str, str]) -> None:
    async with visitor(server) as client:
        signed_in = await client.post("/session", data={"token": ADMIN}, headers=headers)
        signed_out = await client.delete("/session", headers=headers)
        without_a_page = await client.delete("/session", headers=session(VIEWER_TOKEN))
        linked = await client.get("/sign-in", headers=headers)
    for answer in (signed_in, signed_out, without_a_page):
        assert (answer.status_code, answer.json()["reason"]) == (403, "cross_site")
        assert "set-cookie" not in answer.headers
    assert linked.status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 422, "invalid"),
        (b"[]", 422, "invalid"),
        (b'{"token": 5}', 422, "invalid"),
        (b'{"token": ""}', 422, "invalid"),
        (b'{"token": "x", "role": "operator"}', 422, "invalid"),
        (b"token=x", 422, "invalid"),
        (b" " * 9000, 413, "too_large"),
    ],
)
async def test_an_odd_body_is_refused_and_counts_as_no_attempt(
    server: Served, body: bytes, status: int, reason: str
) -> None:
    async with visitor(server) as client:
        for _ in range(7):
            answer = await client.post("/session", content=body)
            assert (answer.status_code, answer.json()["reason"]) == (status, reason)
        assert (await client.post("/session", json={"token": ADMIN})).status_code == 200


@pytest.mark.parametrize("body", [b"&".join([b"token=x"] * 9), b"next=/" + b"x" * 9000])
async def test_a_form_has_few_and_short_fields(browser: httpx.AsyncClient, body: bytes) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert (await browser.post("/session", content=body, headers=form)).status_code in (413, 422)
    for odd in (b"\xff\xfe=%ff&token=%00", b"token", b"", b"=&=&;"):
        assert (await browser.post("/session", content=odd, headers=form)).status_code == 401


async def test_without_a_token_there_is_nothing_to_sign_in_to(redis_server: str) -> None:
    async with serving(redis_server) as open_server:
        told = await open_server.client.post("/session", json={"token": "x"})
        assert (told.status_code, told.json()["reason"]) == (409, "no_token")
        assert (await open_server.client.get("/sign-in")).status_code == 200
        for method, path in (("GET", "/sign-in"), ("POST", "/session"), ("DELETE", "/session")):
            answer = await open_server.client.request(method, path, headers={"host": "us.example"})
            assert (answer.status_code, answer.json()["reason"]) == (403, "loopback_only")


def test_the_redirect_keeps_the_whole_address() -> None:
    """The one thing that an HTTP client would tidy before it sends it."""
    answer = _to_sign_in({"raw_path": b"//evil.example/%2e", "query_string": b"a=%20&b"})
    location = urlsplit(answer.headers["location"])
    assert (location.netloc, location.path) == ("", "/sign-in")
    assert parse_qs(location.query) == {"next": ["//evil.example/%2e?a=%20&b"]}
