"""One `[[hooks]]` table: what an operator declares of a downstream endpoint, and what is wrong with it."""

import base64
import binascii
import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)
from pydantic_core import PydanticCustomError

from service.durations import parse_duration, parse_rate
from service.hooks.headers import Headers
from service.prediction import Nsfw

_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_KINDS = ("webhook", "redis-stream")
_REQUIRED: dict[str, str | tuple[str, ...]] = {"url": "", "secrets": (), "stream": ""}
"""Of its kind of hook; and what stands there when it was not given."""


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


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _whole(value: Any) -> Any:
    # For pydantic true is the number 1.
    if isinstance(value, bool):
        raise ValueError("must be a whole number")  # noqa: TRY004 - pydantic collects these
    return value


def _timeout(value: Any) -> float:
    seconds = parse_duration(value)
    if seconds == 0:
        raise ValueError("must be longer than 0 s")
    return seconds


def _kind(value: Any) -> Any:
    if value not in _KINDS:
        raise ValueError(f"must be {' or '.join(_KINDS)}: we run no commands, read a stream instead")
    return value


def _age(value: Any) -> float:
    seconds = parse_duration(value)
    if seconds < 1:
        raise ValueError("must be at least 1 s")
    return seconds


class Hook(BaseModel):
    """One `[[hooks]]` table; its secrets, those in its URL too, stay out of repr, JSON and error messages."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, hide_input_in_errors=True)

    name: Annotated[str, AfterValidator(_name)]
    kind: Annotated[Literal["webhook", "redis-stream"], BeforeValidator(_kind)] = "webhook"
    url: Annotated[
        str, AfterValidator(http_url), PlainSerializer(mask_url, return_type=str, when_used="json")
    ] = Field(default="", repr=False, validate_default=True)
    secrets: Annotated[
        tuple[str, ...],
        BeforeValidator(_secrets),
        PlainSerializer(lambda secrets: ["whsec_…"] * len(secrets), return_type=list[str], when_used="json"),
    ] = Field(default=(), validation_alias="secret", repr=False, validate_default=True)
    events: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ("*",)
    models: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ("*",)
    sources: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ("*",)
    nsfw: Annotated[tuple[Nsfw, ...], BeforeValidator(_listed)] = tuple(Nsfw)
    """Classes of outputs; all of them are no filter."""
    timeout: Annotated[float, BeforeValidator(_timeout)] = 10.0
    """Seconds for one attempt."""
    rate: Annotated[float, BeforeValidator(parse_rate)] | None = None
    """Attempts per second, None for as many as there are."""
    concurrency: Annotated[int, BeforeValidator(_whole), Field(ge=1)] | None = None
    """Attempts at once, None for a share of the worker; like the rate, in each worker process."""
    headers: Headers = Field(default={}, repr=False)
    """Sent with each attempt. The values of those that were references stand here already."""
    stream: Annotated[str, AfterValidator(_name)] = Field(default="", validate_default=True)
    """Its name; `keys.STREAM` stands in front."""
    maxlen: Annotated[int, BeforeValidator(_whole), Field(ge=1)] = 100_000
    """Entries that a stream has at most, read or not."""
    max_age: Annotated[float, BeforeValidator(_age)] = 7 * 86_400.0
    """Seconds after which an entry goes that every group has read."""

    @property
    def is_stream(self) -> bool:
        return self.kind == "redis-stream"

    @field_validator("url", "secrets", "timeout", "headers", "stream", "maxlen", "max_age", mode="wrap")
    @classmethod
    def _of_its_kind(cls, value: Any, check: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        """What only one kind of hook has, that has to have it, and no other may."""
        kind = info.data.get("kind", "webhook")
        of = "redis-stream" if info.field_name in ("stream", "maxlen", "max_age") else "webhook"
        not_given = value == _REQUIRED.get(info.field_name or "", ...)
        if of == kind and not_given:
            raise PydanticCustomError("missing", "is required")
        if of != kind and not not_given:
            raise ValueError(f"is for a hook of kind {of}, and this one is of kind {kind}")
        return value if of != kind else check(value)
