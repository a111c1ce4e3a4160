"""Where a request comes from: its address for the waits, our own pages, and https in front of us."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from service.web import origins


@pytest.mark.parametrize(
    ("host", "peer"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("127.0.0.1", "127.0.0.1"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
    ],
)
def test_a_peer_is_its_address_and_of_ipv6_its_network(host: str, peer: str) -> None:
    assert origins.peer({"client": (host, 5000)}) == peer


def test_a_peer_without_an_address_is_one_as_well() -> None:
    assert origins.peer({"client": None}) == origins.peer({}) == ""


@pytest.mark.parametrize(
    ("headers", "own"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "same-origin", "origin": "null"}, True),
        ({"origin": "http://us.example:8080"}, True),
        ({"origin": "https://us.example:8080"}, True),
        ({}, False),
        *(({"sec-fetch-site": s}, False) for s in ("none", "same-site", "cross-site", "", "Same-Origin")),
        ({"sec-fetch-site": "cross-site", "origin": "http://us.example:8080"}, False),
        *(
            ({"origin": origin}, False)
            for origin in (
                *("null", "", "us.example:8080", "ftp://us.example:8080", "http://us.example:8080/"),
                *("http://us.example", "http://us.example:8081", "http://us.example:8080.evil.example"),
            )
        ),
    ],
)  # fmt: skip
def test_a_page_of_ours_says_so_by_its_site_or_else_by_its_origin(headers: dict[str, str], own: bool) -> None:
    assert origins.of_our_own_page(Headers(headers | {"host": "us.example:8080"})) is own


@pytest.mark.parametrize("hosts", [[], ["us.example", "evil.example"], ["evil.example", "us.example"]])
def test_an_origin_is_held_against_the_one_host_there_is(hosts: list[str]) -> None:
    raw = [(b"origin", b"http://us.example"), *((b"host", host.encode()) for host in hosts)]
    assert not origins.of_our_own_page(Headers(raw=raw))


@pytest.mark.parametrize(
    ("scheme", "headers", "https"),
    [
        ("https", {}, True),
        ("http", {"origin": "https://us.example"}, True),
        ("http", {"x-forwarded-proto": "https"}, True),
        ("http", {"x-forwarded-proto": "HTTPS,http"}, True),
        ("http", {"x-forwarded-proto": "http", "origin": "http://us.example"}, False),
        ("http", {}, False),
    ],
)
def test_https_may_end_at_a_proxy(scheme: str, headers: dict[str, str], https: bool) -> None:
    assert origins.over_https({"scheme": scheme}, Headers(headers)) is https
