"""What every page is made of: times and sizes in words, named assets, what is said once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from jinja2 import UndefinedError
from starlette.requests import Request

from service.web.dashboard import filters
from service.web.dashboard.assets import Assets
from service.web.dashboard.look import Look
from service.web.problems import Problem
from service.web.tokens import Role
from tests.builders import NOON
from tests.house import ROOT

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATES = ROOT / "service/web/dashboard/templates"


def request(path: str = "/", query: str = "", cookie: str = "", role: Role | None = None) -> Request:
    headers = [(b"cookie", cookie.encode())] if cookie else []
    state = {} if role is None else {"role": role}
    return Request(
        {
            "type": "http",
            "method": "GET",
            "scheme": "http",
            "server": ("127.0.0.1", 80),
            "path": path,
            "query_string": query.encode(),
            "headers": headers,
            "state": state,
        }
    )


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (None, filters.NONE),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1_234_567, "1.2 MB"),
        (64 * 10**9, "64 GB"),
    ],
)
def test_sizes_have_two_digits_and_a_unit(count: float | None, shown: str) -> None:
    assert filters.size(count) == shown


@pytest.mark.parametrize(
    ("instant", "shown"),
    [
        (NOON - 30, "30 s ago"),
        (NOON + 7200, "in 2 h"),
        ("2023-11-14T22:13:00.000Z", "20 s ago"),
        (None, filters.NONE),
        ("yesterday", filters.NONE),
    ],
)
def test_instants_are_told_from_now(instant: object, shown: str) -> None:
    assert filters.ago(instant, NOON) == shown


def test_every_word_of_ours_has_a_tone_and_a_strangers_has_the_quiet_one() -> None:
    assert [filters.tone(word) for word in ("done", "working", "held", "dead", "no word of ours")] == [
        "good",
        "busy",
        "warn",
        "bad",
        "quiet",
    ]


def test_an_asset_is_named_by_what_is_in_it() -> None:
    assets = Assets()
    assert assets.url("catchlight.css").startswith("/static/catchlight.")
    with pytest.raises(KeyError):
        assets.url("nobody.css")


def test_what_is_said_is_shown_once_and_escaped() -> None:
    look = Look()
    answer = look.back(request(), "/hooks", said='replayed <b>"p1"</b>')
    assert (answer.status_code, answer.headers["location"]) == (303, "/hooks")
    cookie = answer.headers["set-cookie"].partition(";")[0]
    page = look.page(request(cookie=cookie), "sign_in.html", goal="/", why="")
    assert b"replayed &lt;b&gt;&#34;p1&#34;&lt;/b&gt;" in bytes(page.body)
    assert "Max-Age=0" in page.headers["set-cookie"]
    assert "set-cookie" not in look.page(request(), "sign_in.html", goal="/", why="").headers


def test_a_cookie_that_nobody_here_made_says_nothing() -> None:
    page = Look().page(request(cookie="catchlight_said=%%%"), "sign_in.html", goal="/", why="")
    assert b'class="notice said"' not in bytes(page.body)


@pytest.mark.parametrize(("cookie", "theme"), [("", None), ("dark", "dark"), ("light", "light"), ("x", None)])
def test_the_theme_is_the_readers_choice(cookie: str, theme: str | None) -> None:
    asked = request(cookie=f"catchlight_theme={cookie}")
    body = bytes(Look().page(asked, "sign_in.html", goal="/", why="").body)
    assert (f'data-theme="{theme}"'.encode() in body) == (theme is not None)


def test_the_menu_is_for_whoever_is_in() -> None:
    look = Look("staging", can_sign_out=True)
    outside = bytes(look.page(request(), "sign_in.html", goal="/", why="").body)
    inside = bytes(look.page(request("/hooks/crm", role=Role.VIEWER), "sign_in.html", goal="/", why="").body)
    assert b'<nav aria-label="Pages">' not in outside
    assert b'<a href="/hooks" aria-current="page">Hooks</a>' in inside
    assert b"Sign out" in inside
    assert b"Sign out" not in outside
    assert b"staging" in outside


def test_a_template_that_asks_for_what_nobody_gave_is_a_bug_and_not_a_gap() -> None:
    with pytest.raises(UndefinedError):
        Look().page(request(), "sign_in.html")


@pytest.mark.parametrize("template", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_no_template_holds_what_the_content_policy_forbids(template: Path) -> None:
    """Inline styles, scripts and handlers would be dead in a browser; `safe` would let strangers write."""
    text = template.read_text("utf-8")
    inline = (" style=", "<style", "javascript:", " onclick", " onload", "hx-on")
    for forbidden in (*inline, "|safe", "| safe"):
        assert forbidden not in text
    assert text.count("<script") == text.count("<script src=")


def test_what_is_no_page_offers_the_list_that_it_stood_in() -> None:
    def links(path: str, query: str = "") -> list[str]:
        problem = Problem(404, "not_found", "there is nothing with such an id")
        page = Look().page(
            request(path, query, role=Role.VIEWER), "trouble.html", 404, problem=problem, answered_at=None,
            answers=True, asked_only=True,
        )  # fmt: skip
        found = re.findall(r'<a class="button[^"]*" href="([^"]+)">', bytes(page.body).decode())
        return [str(one) for one in found]

    assert links("/deliveries/dlv_no") == ["/deliveries", "/"]
    assert links("/predictions", "cursor=nonsense") == ["/predictions", "/"]
    assert links("/nowhere") == ["/"]
