"""The types of settings: each reads what a person writes, says what is wrong with it, and shows it again."""

import re
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, SecretStr

from service import sentinels
from service.durations import (
    parse_duration,
    parse_rate,
    parse_schedule,
    parse_size,
    render_duration,
    render_rate,
    render_schedule,
    render_size,
)
from service.hooks import http_url, mask_url
from service.moderation import Override

_HOST = re.compile(r"\*|(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_REST = {
    "redis": "host:port/db",
    "rediss": "host:port/db",
    "unix": "/path",
    "file": "/path",
    "s3": "bucket/prefix",
    "gs": "bucket/prefix",
    "az": "container/prefix",
}
_ON_DISK = ("file", "unix")
_WEBHOOK_PREFIX = "whsec_"
_REASONS_MOST, _REASON_MOST = 9, 60


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def longer_than(limit: str) -> AfterValidator:
    def check(seconds: float) -> float:
        if seconds <= parse_duration(limit):
            raise ValueError(f"must be longer than {limit}")
        return seconds

    return AfterValidator(check)


def at_least(limit: str) -> AfterValidator:
    def check(seconds: float) -> float:
        if seconds < parse_duration(limit):
            raise ValueError(f"must be at least {limit}")
        return seconds

    return AfterValidator(check)


def at_most(limit: str) -> AfterValidator:
    def check(seconds: float) -> float:
        if seconds > parse_duration(limit):
            raise ValueError(f"must be at most {limit}")
        return seconds

    return AfterValidator(check)


def _entries(value: Any) -> list[Any]:
    """`a,b` or a list, without blanks around the entries; an empty entry is a slip of the pen and refused."""
    if value == "":
        return []
    entries = value.split(",") if isinstance(value, str) else value
    if not isinstance(entries, (list, tuple)):
        raise ValueError("must be text with commas between, or a list")  # noqa: TRY004 - pydantic collects these
    stripped = [entry.strip() if isinstance(entry, str) else entry for entry in entries]
    if "" in stripped:
        raise ValueError("has an empty entry: remove the comma")
    return stripped


def _hosts(value: Any) -> tuple[str, ...]:
    hosts = tuple(_host(str(entry).lower()) for entry in _entries(value))
    if not hosts:
        raise ValueError("must name at least one host; * allows every public one")
    return hosts


def _host(text: str) -> str:
    try:
        return str(ip_address(text.strip("[]")))
    except ValueError:
        if _HOST.fullmatch(text):
            return text
    raise ValueError(
        f"{text!r} is not a host: write host.example, *.domain.example or *, without scheme or port"
    )


def _names(value: Any) -> tuple[str, ...]:
    return tuple(str(entry) for entry in _entries(value))


def _networks(value: Any) -> tuple[Any, ...]:
    return tuple(_network(entry) for entry in _entries(value))


def _network(value: Any) -> IPv4Network | IPv6Network:
    try:
        return ip_network(str(value))
    except ValueError:
        pass
    try:
        nearest = f"; did you mean {ip_network(str(value), strict=False)}?"
    except ValueError:
        nearest = ""
    raise ValueError(f"'{value}' is not a network: write it like 10.0.0.0/8 or fd00::/8{nearest}")


def _reasons(value: Any) -> tuple[str, ...]:
    """A key of the keyboard for each: nine have one."""
    reasons = tuple(str(entry) for entry in _entries(value))
    if len(reasons) > _REASONS_MOST:
        raise ValueError(f"has more than {_REASONS_MOST} reasons")
    for reason in reasons:
        if len(reason) > _REASON_MOST or not reason.isprintable():
            raise ValueError(f"a reason is a line of at most {_REASON_MOST} characters")
    return reasons


def _secret(value: Any) -> SecretStr:
    """Visible ASCII: it stands in a header or is a signature's key, and a blank in it is a copying error."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(text, str) or not text.removeprefix(_WEBHOOK_PREFIX):
        raise ValueError("holds an empty secret: give it a value or remove it")
    if not all("!" <= letter <= "~" for letter in text):
        raise ValueError("holds a secret with a blank or a letter outside ASCII: copy it again")
    return SecretStr(text)


def _mask(secret: SecretStr) -> str:
    """Enough to tell two secrets apart, never enough to use one."""
    text = secret.get_secret_value()
    return f"{_WEBHOOK_PREFIX * text.startswith(_WEBHOOK_PREFIX)}…({len(text)} characters)"


def _secrets(value: Any) -> tuple[SecretStr, ...]:
    return tuple(_secret(entry) for entry in _entries(value))


def _public_url(url: str) -> str:
    parts = urlsplit(http_url(url))
    if parts.query or parts.fragment:
        raise ValueError("must end with its path, for others are appended: no ? and no #")
    return url.rstrip("/")


def _url_of(schemes: tuple[str, ...], url: str) -> str:
    if not _is_url_of(schemes, url):
        raise ValueError(f"must be a URL: {' or '.join(f'{scheme}://{_REST[scheme]}' for scheme in schemes)}")
    return url


def _redis_url(url: str) -> str:
    return url if sentinels.watched(url) else _url_of(("redis", "rediss", "unix"), url)


def _is_url_of(schemes: tuple[str, ...], url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    fine = (parts.path.startswith("/") and not host) if parts.scheme in _ON_DISK else bool(host)
    return fine and parts.scheme in schemes and url.isprintable()


def _rule(rule: Override) -> Override:
    if not rule.model:
        raise ValueError("needs a model: a glob, like provider/*")
    if rule.clean is rule.flagged is rule.unknown is None:
        raise ValueError("changes nothing: set clean, flagged or unknown to release, hold or drop")
    return rule


def _whole(value: Any) -> Any:
    # For pydantic true is the number 1.
    if isinstance(value, bool):
        raise ValueError("must be a whole number")  # noqa: TRY004 - pydantic collects these
    return value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


_shown = partial(PlainSerializer, return_type=str, when_used="json")

Duration = Annotated[float, BeforeValidator(parse_duration), _shown(render_duration)]
Schedule = Annotated[tuple[float, ...], BeforeValidator(parse_schedule), _shown(render_schedule)]
Size = Annotated[int, BeforeValidator(parse_size), _shown(render_size)]
Rate = Annotated[float, BeforeValidator(parse_rate), _shown(render_rate)]
Whole = Annotated[int, BeforeValidator(_whole)]
Secret = Annotated[SecretStr, BeforeValidator(_secret), _shown(_mask)]
Secrets = Annotated[tuple[Secret, ...], BeforeValidator(_secrets)]
Hosts = Annotated[tuple[str, ...], BeforeValidator(_hosts)]
Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
Reasons = Annotated[tuple[str, ...], BeforeValidator(_reasons)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_networks)]
HttpUrl = Annotated[str, AfterValidator(_public_url), _shown(mask_url)]
RedisUrl = Annotated[str, AfterValidator(_redis_url), _shown(mask_url)]
StorageUrl = Annotated[str, AfterValidator(partial(_url_of, ("file", "s3", "gs", "az"))), _shown(mask_url)]
Directory = Annotated[Path, AfterValidator(Path.expanduser)]
Level = Annotated[Literal["debug", "info", "warning", "error", "critical"], BeforeValidator(_lower)]
Format = Literal["auto", "console", "json"]
Rule = Annotated[Override, AfterValidator(_rule)]
