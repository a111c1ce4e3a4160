"""One strict reading of a URL, so that no other parser can read another host out of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Literal

from service.errors import Refused

Word = Literal["refused_host", "refused_address", "refused_scheme", "refused_port", "refused_redirect"]

DEFAULT_PORTS = {"http": 80, "https": 443}

_LONGEST = 16_384
_HIGHEST_PORT = 65_535
_UNREADABLE = re.compile(r"[\x00-\x20\x7f-\xa0\\\ud800-\udfff]|\s")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)")
_AUTHORITY = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]*)(?::(.*))?")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_NAME = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
)
# The WHATWG rule: a host whose last label is a number is an IPv4 address, whatever the rest looks like.
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.*", re.DOTALL)


class GuardRefused(Refused):
    """No connection was made; `word` is the contract's, the text names the setting to change."""

    def __init__(self, word: Word, message: str) -> None:
        super().__init__(message)
        self.word = word


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads."""

    scheme: str
    host: str
    """A name in lower case, or the canonical text of an address."""
    port: int
    address: IPv4Address | IPv6Address | None
    """None when `host` is a name."""

    @property
    def usual_port(self) -> bool:
        return self.port in DEFAULT_PORTS.values()


def read_url(url: str) -> Target:
    """Refuses what two parsers could read differently: escapes, credentials, backslashes, odd numbers."""
    if len(url) > _LONGEST or _UNREADABLE.search(url):
        raise GuardRefused(
            "refused_host", "the URL is too long or holds white space, control characters or a backslash"
        )
    if not (match := _URL.match(url)):
        known = url.partition(":")[0].lower() in DEFAULT_PORTS
        raise GuardRefused(
            "refused_host" if known else "refused_scheme", "the URL is not http://… or https://…"
        )
    scheme, authority = match[1].lower(), match[2]
    if scheme not in DEFAULT_PORTS:
        raise GuardRefused("refused_scheme", f"scheme {scheme[:20]!r} is neither http nor https")
    if "@" in authority:
        raise GuardRefused("refused_host", "the URL holds credentials before its host")
    if not authority.isascii() or not (parts := _AUTHORITY.fullmatch(authority)):
        raise GuardRefused(
            "refused_host", f"the host {authority[:80]!r} is not plain ASCII (write xn--… for other names)"
        )
    address, host = _read_host(parts[1].lower())
    return Target(scheme, host, _read_port(parts[2], DEFAULT_PORTS[scheme]), address)


def _read_host(text: str) -> tuple[IPv4Address | IPv6Address | None, str]:
    if text.startswith("[") or _ENDS_IN_NUMBER.fullmatch(text):
        address = _read_address(text)
        return address, str(address)
    if not _NAME.fullmatch(text):
        raise GuardRefused("refused_host", f"{text[:80]!r} is not a host name")
    return None, text


def _read_address(text: str) -> IPv4Address | IPv6Address:
    try:
        if text.startswith("["):
            if "%" in text:
                raise GuardRefused("refused_address", "the address names a zone")
            return IPv6Address(text[1:-1])
        return IPv4Address(text)
    except AddressValueError:
        raise GuardRefused("refused_address", f"{text[:80]!r} is an odd spelling of an address") from None


def _read_port(text: str | None, default: int) -> int:
    if text is None:
        return default
    if not _PORT.fullmatch(text) or int(text) > _HIGHEST_PORT:
        raise GuardRefused("refused_port", f"{text[:20]!r} is not a port")
    return int(text)
