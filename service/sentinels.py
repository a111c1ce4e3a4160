"""The address of a Redis that sentinels look after: whoever is primary now answers, and nobody names it.

`redis+sentinel://user:password@host:26379,host:26379/name/0`; `rediss+sentinel://` is the same over TLS, and
`?sentinel_password=…` is what the sentinels themselves ask for.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

SCHEMES = ("redis+sentinel", "rediss+sentinel")
PORT = 26_379
_OPTIONS = ("sentinel_username", "sentinel_password", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


class Watched(NamedTuple):
    sentinels: tuple[tuple[str, int], ...]
    name: str
    """Of the primary, as the sentinels call it."""
    database: int
    username: str | None
    password: str | None
    tls: bool
    options: dict[str, str]

    def to_redis(self) -> dict[str, Any]:
        """Of the client that talks to the primary."""
        login = {"username": self.username, "password": self.password, "db": self.database}
        return login | self._ssl()

    def to_sentinels(self) -> dict[str, Any]:
        login = {
            name.removeprefix("sentinel_"): value
            for name, value in self.options.items()
            if name.startswith("sentinel_")
        }
        return login | self._ssl()

    def _ssl(self) -> dict[str, Any]:
        files = {name: value for name, value in self.options.items() if name.startswith("ssl_")}
        return {"ssl": True, **files} if self.tls else {}


def watched(url: str) -> Watched | None:
    """None for an address of one server. Raises ValueError for one that is neither."""
    scheme = url.partition("://")[0]
    if scheme not in SCHEMES:
        return None
    parts = urlsplit(url)
    login, _, hosts = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    name, _, database = parts.path.strip("/").partition("/")
    if not hosts or not name:
        raise ValueError(f"needs sentinels and a name, like {SCHEMES[0]}://host:{PORT},host:{PORT}/name/0")
    if not (database or "0").isdigit():
        raise ValueError(f"{database} is no number of a database")
    options = dict(parse_qsl(parts.query))
    if unknown := sorted(set(options) - set(_OPTIONS)):
        raise ValueError(f"{', '.join(unknown)} is unknown; known are {', '.join(_OPTIONS)}")
    return Watched(
        tuple(_place(host) for host in hosts.split(",")),
        unquote(name),
        int(database or 0),
        unquote(user) or None,
        unquote(password) or None,
        scheme.startswith("rediss"),
        options,
    )


def _place(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":") if ":" in text.rpartition("]")[2] else (text, "", str(PORT))
    if not host or not port.isdigit():
        raise ValueError(f"{text or 'nothing'} is no sentinel: write host:{PORT}")
    return host.strip("[]"), int(port)
