"""Downstream hooks: what an operator declares, which events one gets, and what an answer of it means.

A delivery's schedule of n waits allows n + 1 attempts; which status means what is written in `decide`.
"""

import base64
import binascii
import re
from collections.abc import Iterable
from datetime import UTC
from email.utils import parsedate_to_datetime
from fnmatch import fnmatchcase
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from service.durations import jittered, parse_duration, parse_rate

_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_GONE = 410
_BUSY = frozenset({429, 503})
_LONGEST_WAIT = 3600.0
"""However long a busy hook asks us to stay away, in seconds."""


def http_url(text: str) -> str:
    """`text` when it is an absolute http or https URL with a host, else ValueError."""
    try:
        parts = urlsplit(text)
        fine = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        fine = False
    if not fine or not text.isprintable() or " " in text:
        raise ValueError("must be an absolute http:// or https:// URL")
    return text


def mask_url(url: str) -> str:
    """The URL without its password, query and fragment: stores and proxies take keys in all of them."""
    parts = urlsplit(url)
    login, at, address = parts.netloc.rpartition("@")
    user, colon, _ = login.partition(":")
    query = parts.query and "?…"
    # By hand: urlunsplit turns unix:///run/redis.sock into unix:/run/redis.sock.
    return f"{parts.scheme}://{user}{colon and ':…'}{at}{address}{parts.path}{query}"


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("must be 1 to 64 of a-z, 0-9, _ and -")
    return text


def _secrets(value: Any) -> tuple[str, ...]:
    """One secret, or two while rotating: what Standard Webhooks calls `whsec_` and base64."""
    secrets = (value,) if isinstance(value, str) else value
    if not isinstance(secrets, (list, tuple)) or len(secrets) not in (1, 2):
        raise ValueError("must be one whsec_<base64> string, or a list of two while rotating")
    for secret in secrets:
        key = secret.removeprefix("whsec_") if isinstance(secret, str) else ""
        if key == secret or not _is_base64(key):
            raise ValueError("must be whsec_ and base64; `openssl rand -base64 32` makes the second part")
    return tuple(secrets)


def _is_base64(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) > 0
    except (binascii.Error, ValueError):
        return False


def _globs(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _timeout(value: Any) -> float:
    seconds = parse_duration(value)
    if seconds == 0:
        raise ValueError("must be longer than 0 s")
    return seconds


class Hook(BaseModel):
    """One `[[hooks]]` table; its secrets, those in its URL too, stay out of repr, JSON and error messages."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, hide_input_in_errors=True)

    name: Annotated[str, AfterValidator(_name)]
    url: Annotated[
        str, AfterValidator(http_url), PlainSerializer(mask_url, return_type=str, when_used="json")
    ] = Field(repr=False)
    secrets: Annotated[
        tuple[str, ...],
        BeforeValidator(_secrets),
        PlainSerializer(lambda secrets: ["whsec_…"] * len(secrets), return_type=list[str], when_used="json"),
    ] = Field(validation_alias="secret", repr=False)
    events: Annotated[tuple[str, ...], BeforeValidator(_globs)] = ("*",)
    models: Annotated[tuple[str, ...], BeforeValidator(_globs)] = ("*",)
    timeout: Annotated[float, BeforeValidator(_timeout)] = 10.0
    """Seconds for one attempt."""
    rate: Annotated[float, BeforeValidator(parse_rate)] | None = None
    """Attempts per second, None for as many as there are."""


def matches(hook: Hook, event: str, model: str) -> bool:
    return _any(hook.events, event) and _any(hook.models, model)


def _any(globs: Iterable[str], text: str) -> bool:
    return any(fnmatchcase(text, glob) for glob in globs)


class Delivered(NamedTuple):
    pass


class Retry(NamedTuple):
    at: float
    """Seconds since the epoch."""


class Dead(NamedTuple):
    reason: str
    disable: bool
    """Whether the hook itself is switched off: it said that it is gone."""


def decide(  # noqa: PLR0917 - the facts of one attempt, in the order in which they are known
    status: int | None,
    error: str,
    retry_after: str | None,
    attempts: int,
    schedule: tuple[float, ...],
    now: float,
    fraction: float,
) -> Delivered | Retry | Dead:
    """What follows from one attempt.

    `status` is None when no answer came, and `error` says why. `attempts` counts the one just made;
    `schedule` and `now` are in seconds; 0 ≤ `fraction` < 1 feeds the jitter.
    """
    if status is not None and 200 <= status < 300:  # noqa: PLR2004 - the class of success in HTTP
        return Delivered()
    if status == _GONE:
        return Dead("the hook answered 410, gone", disable=True)
    if attempts > len(schedule):
        failure = error if status is None else f"HTTP {status}"
        return Dead(f"{failure}, after {attempts} attempts", disable=False)
    wait = jittered(schedule[attempts - 1], fraction)
    if status in _BUSY:
        wait = min(max(wait, _asked_wait(retry_after, now)), _LONGEST_WAIT)
    return Retry(now + wait)


def _asked_wait(retry_after: str | None, now: float) -> float:
    """Seconds from a `Retry-After` of either form in RFC 9110; 0 for none, for the past and for nonsense."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        # Thousands of digits are one `inf` for float and an error for int.
        return float(text)
    try:
        date = parsedate_to_datetime(text)
        return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now)
    except (ValueError, OverflowError):
        return 0.0
