"""What the guard refuses before, during and after a redirect."""

from __future__ import annotations

import asyncio

import pytest

from tests import origin
from tests.downloads import download, outcome, word
from tests.origin import answer, redirect
from workers.fetch import OutputRefused
from workers.guard import Guard


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_three_redirects_are_followed_and_no_more(status: int) -> None:
    hops = {"/a": redirect("./b", status), "/b": redirect("c#d", status), "/c": answer(b"file")}
    assert outcome(redirect("/a", status), others=hops) == b"file"
    assert word(outcome(redirect("/z", status), others={"/z": redirect("/a"), **hops})) == "refused_redirect"


@pytest.mark.parametrize(
    "location",
    [
        "",
        "/x",
        "http://example.com/",
        "http://127.0.0.2/",
        "http://169.254.169.254/latest/meta-data/",
        "http://2130706433/",
        "http://user:secret@127.0.0.1/",
        "//example.com/",
        "/\\example.com/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://[::1",
        "http://127.0.0.1:99999/",
    ],
)
def test_a_redirect_to_anything_odd_is_refused(location: str) -> None:
    found = outcome(redirect(location))
    assert isinstance(found, OutputRefused)
    assert found.word == "refused_redirect"
    assert "secret" not in str(found)


def test_a_redirect_to_a_forbidden_port_of_ours_sees_no_connection() -> None:
    async def story() -> int:
        async with origin.running(host="127.0.0.2") as canary:
            scripts = {"/x": redirect(f"http://127.0.0.2:{canary.port}/")}
            async with origin.running(scripts) as server:
                with pytest.raises(OutputRefused, match="CATCHLIGHT_FETCH_HOSTS"):
                    await download(server.url("/x"))
            return canary.accepted

    assert asyncio.run(story()) == 0


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://example.com/x", "refused_host"),
        ("http://10.0.0.1/x", "refused_address"),
        ("http://0x7f.1/x", "refused_address"),
        ("ftp://127.0.0.1/x", "refused_scheme"),
        ("http://127.0.0.1:0/x", "refused_port"),
        ("http://127.0.0.1/" + "x" * 100_000, "refused_host"),
    ],
)
def test_a_refused_url_keeps_the_word_of_the_guard(url: str, expected: str) -> None:
    with pytest.raises(OutputRefused) as refused:
        asyncio.run(download(url))
    assert refused.value.word == expected


def test_a_name_refused_at_its_lookup_keeps_the_word_too() -> None:
    with pytest.raises(OutputRefused) as refused:
        asyncio.run(download("http://localhost/x", guard=Guard(hosts=("localhost",))))
    assert refused.value.word == "refused_address"
