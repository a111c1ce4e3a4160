"""The guard's decisions; `guard/addresses.txt` and `guard/urls.txt` hold one case a line."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import yarl
from hypothesis import given
from hypothesis import strategies as st

from workers.guard import Guard, GuardRefused

if TYPE_CHECKING:
    from workers.guard.addresses import IPNetwork

LOOPBACK = (ip_network("127.0.0.0/8"),)
ANY_HOST = Guard(hosts=("*",))


def rows(name: str) -> list[list[str]]:
    text = (Path(__file__).parent / "guard" / name).read_text("utf-8")
    return [line.split(" ", 1) for line in text.splitlines()]


@pytest.mark.parametrize(("expected", "text"), rows("addresses.txt"))
def test_only_public_addresses_pass(expected: str, text: str) -> None:
    if expected == "public":
        ANY_HOST.check_address(ip_address(text))
        return
    with pytest.raises(GuardRefused, match="CATCHLIGHT_FETCH_PRIVATE") as refused:
        ANY_HOST.check_address(ip_address(text))
    assert refused.value.word == "refused_address"


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("10.0.0.0/8", "10.1.2.3", "192.168.0.1"),
        ("127.0.0.1/32", "127.0.0.1", "127.0.0.2"),
        ("127.0.0.1/32", "127.0.0.1", "::ffff:127.0.0.1"),
        ("fd00::/8", "fd00::1", "fc00::1"),
        ("fe80::/10", "fe80::1", "fe80::1%eth0"),
        ("::1/128", "::1", "127.0.0.1"),
    ],
)
def test_a_private_network_allows_just_what_it_holds(network: str, inside: str, outside: str) -> None:
    guard = Guard(hosts=None, private=(ip_network(network),))
    guard.check_address(ip_address(inside))
    with pytest.raises(GuardRefused):
        guard.check_address(ip_address(outside))


@pytest.mark.parametrize(
    ("word", "url"),
    [
        *rows("urls.txt"),
        ("refused_scheme", ""),
        ("refused_host", "http:// example.com/"),
        ("refused_host", "http://example.com /"),
        ("refused_host", "\x00http://example.com/"),
        ("refused_host", "http://exam\tple.com/"),
        ("refused_host", "http://example.com\r\nHost: evil/"),
        ("refused_host", "http://example.com/a b"),
        ("refused_host", "http://example.com/\x00"),
        ("refused_host", "http://example.com/\u3000"),
        ("refused_host", "http://example.com/\ud800"),
        ("refused_host", f"http://{'a' * 64}.com/"),
        ("refused_host", f"http://{'a.' * 130}com/"),
        ("refused_host", f"http://example.com/{'a' * 20_000}"),
    ],
)
def test_a_url_that_could_be_read_in_two_ways_is_refused_before_any_lookup(word: str, url: str) -> None:
    with pytest.raises(GuardRefused) as refused:
        ANY_HOST.check_url(url)
    assert refused.value.word == word


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("http://example.com", "example.com", 80),
        ("https://example.com/", "example.com", 443),
        ("HTTPS://EXAMPLE.com:443/a%20b?c=d#e", "example.com", 443),
        ("https://example.com:80/", "example.com", 80),
        ("http://a_b.xn--exmple-cua.com/é?q=é", "a_b.xn--exmple-cua.com", 80),
        ("http://8.8.8.8/", "8.8.8.8", 80),
        ("http://[2606:4700:4700:0::1111]:443/", "2606:4700:4700::1111", 443),
        ("http://example.com?url=http://127.0.0.1", "example.com", 80),
        ("http://example.com/@127.0.0.1", "example.com", 80),
    ],
)
def test_an_ordinary_url_leads_where_it_says(url: str, host: str, port: int) -> None:
    target = ANY_HOST.check_url(url)
    assert (target.host, target.port) == (host, port)


@pytest.mark.parametrize(
    ("pattern", "url"),
    [
        ("cdn.example.com", "https://cdn.example.com/x"),
        ("CDN.example.com ", "https://cdn.EXAMPLE.com/x"),
        ("*.example.com", "https://a.example.com/x"),
        ("*.example.com", "https://a.b.example.com/x"),
        ("*", "https://anything.org/x"),
        ("8.8.8.8", "https://8.8.8.8/x"),
        ("2606:4700:4700::1111", "https://[2606:4700:4700:0:0:0:0:1111]/x"),
        ("[2606:4700:4700:0:0::1111]", "https://[2606:4700:4700::1111]/x"),
    ],
)
def test_listed_hosts_pass(pattern: str, url: str) -> None:
    Guard(hosts=("other.org", pattern)).check_url(url)
    Guard(hosts=None).check_url(url)


@pytest.mark.parametrize(
    ("pattern", "url"),
    [
        ("cdn.example.com", "https://a.cdn.example.com/x"),
        ("cdn.example.com", "https://cdn.example.com.evil.com/x"),
        ("*.example.com", "https://example.com/x"),
        ("*.example.com", "https://notexample.com/x"),
        ("*.8.8", "https://8.8.8.8/x"),
        ("8.8.8.8", "https://8.8.4.4/x"),
        ("", "https://example.com/x"),
        ("*.example.com", "https://other.org:8443/x"),
    ],
)
def test_hosts_that_are_not_listed_are_refused_by_the_name_of_the_setting(pattern: str, url: str) -> None:
    with pytest.raises(GuardRefused, match="CATCHLIGHT_FETCH_HOSTS") as refused:
        Guard(hosts=(pattern,)).check_url(url)
    assert refused.value.word == "refused_host"


def test_a_private_network_does_not_widen_the_list_of_hosts() -> None:
    with pytest.raises(GuardRefused) as refused:
        Guard(hosts=("cdn.example.com",), private=LOOPBACK).check_url("http://127.0.0.1/")
    assert refused.value.word == "refused_host"


@pytest.mark.parametrize("private", [(), LOOPBACK])
def test_a_literal_address_has_other_ports_only_inside_a_private_network(
    private: tuple[IPNetwork, ...],
) -> None:
    with pytest.raises(GuardRefused, match="CATCHLIGHT_FETCH_PRIVATE") as refused:
        Guard(hosts=("*",), private=private).check_url("http://8.8.8.8:8080/")
    assert refused.value.word == "refused_port"
    assert Guard(hosts=("*",), private=LOOPBACK).check_url("http://127.0.0.1:8080/").port == 8080


def test_other_ports_of_a_name_are_refused_before_any_lookup_when_no_network_is_private() -> None:
    with pytest.raises(GuardRefused) as refused:
        ANY_HOST.check_url("http://cdn.example.com:9000/")
    assert refused.value.word == "refused_port"


@pytest.mark.parametrize("answers", [["8.8.8.8"], ["127.0.0.1", "8.8.8.8"], ["8.8.8.8", "127.0.0.1"]])
def test_other_ports_of_a_name_need_every_address_inside_a_private_network(answers: list[str]) -> None:
    guard = Guard(hosts=("*",), private=LOOPBACK)
    guard.check_url("http://cdn.example.com:9000/")
    guard.check_answers("cdn.example.com", 9000, [ip_address("127.0.0.1"), ip_address("127.0.0.2")])
    with pytest.raises(GuardRefused) as refused:
        guard.check_answers("cdn.example.com", 9000, [ip_address(answer) for answer in answers])
    assert refused.value.word == "refused_port"


@given(st.text(max_size=80) | st.from_regex(r"https?://[0-9a-fxX.:\[\]%@\\/]{1,30}(/.*)?", fullmatch=True))
def test_any_text_is_either_refused_or_means_the_same_host_to_the_http_libraries(text: str) -> None:
    try:
        target = ANY_HOST.check_url(text)
    except GuardRefused:
        return
    for seen in (httpx.URL(text).raw_host.decode(), yarl.URL(str(httpx.URL(text))).raw_host or ""):
        assert target.host == (seen if target.address is None else str(ip_address(seen)))
