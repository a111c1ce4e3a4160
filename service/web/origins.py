"""Where a request comes from: its peer, this machine or another, a page of ours or of a stranger."""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.types import Scope

_PROXIED = re.compile(
    r"x-forwarded-.*|(?:forwarded|via|x-real-ip|x-client-ip|true-client-ip|cf-connecting-ip)"
)
_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:/@\[\]]+))(?::[0-9]*)?")
_NETWORK_BITS = 64
"""Of IPv6: whoever has one address of such a network has all of them."""


def peer(scope: Scope) -> str:
    """The address of the peer, of IPv6 its network; empty when there is none."""
    host: str = scope["client"][0] if scope.get("client") else ""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or ip_network((int(address), _NETWORK_BITS), strict=False))
    return str(address)


def from_here(scope: Scope, headers: Headers) -> bool:
    """A local peer, no proxy in between, and a Host that no foreign page can have resolved to us."""
    host = scope["client"][0] if scope.get("client") else ""
    # HTTP/1.0 is what a proxy speaks that adds none of these headers.
    proxied = scope["http_version"] == "1.0" or any(_PROXIED.fullmatch(name) for name in headers)
    return _is_loopback(host) and not proxied and all(map(_names_loopback, headers.getlist("host") or [""]))


def of_another_site(headers: Headers) -> bool:
    """A browser lets any page post to us, and the posts of the person's own browser come from here."""
    origin = headers.get("origin")
    foreign = origin is not None and not _names_loopback(origin.partition("://")[2])
    return foreign or headers.get("sec-fetch-site", "none") not in ("none", "same-origin")


def of_our_own_page(headers: Headers) -> bool:
    """A browser says that a page of ours asks; https://www.w3.org/TR/fetch-metadata/ and the Origin."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    # To a plain http address browsers tell no site. The scheme is not compared: a proxy may end the TLS.
    scheme, _, authority = headers.get("origin", "").partition("://")
    return scheme in ("http", "https") and headers.getlist("host") == [authority]


def of_a_page(headers: Headers) -> bool:
    """Some page asks, through a browser."""
    return "origin" in headers or "sec-fetch-site" in headers


def over_https(scope: Scope, headers: Headers) -> bool:
    """Here or at a proxy in front. Who lies about it harms his own cookie only."""
    told = (headers.get("origin", ""), headers.get("x-forwarded-proto", ""))
    return scope["scheme"] == "https" or any(one.lower().startswith("https") for one in told)


def _names_loopback(authority: str) -> bool:
    match = _AUTHORITY.fullmatch(authority)
    return match is not None and _is_loopback((match[1] or match[2]).lower())


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
