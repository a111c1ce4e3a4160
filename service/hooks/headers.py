"""Headers that an operator has us send to a hook: which are his to choose, and that none is ever shown."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

MOST = 32
_LONGEST = 4096
_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,64}")
_VALUE = re.compile(r"[!-~](?:[ -~\t]*[!-~])?")
# The message and its signature are ours, and how it travels is the connection's.
_OURS = re.compile(
    r"webhook-.*|content-.*|host|connection|keep-alive|te|trailer|transfer-encoding|upgrade|expect"
    r"|accept-encoding|proxy-.*"
)


def _headers(value: Any) -> dict[str, str]:
    """Names in lower case. No message quotes a value: most of them are secrets."""
    if not isinstance(value, Mapping):
        raise ValueError('must be a table, like { x-team = "blue" }')  # noqa: TRY004 - pydantic collects these
    if len(value) > MOST:
        raise ValueError(f"has {len(value)} entries; {MOST} at most")
    headers: dict[str, str] = {}
    for given, text in value.items():
        name = str(given).lower()
        if not _NAME.fullmatch(name):
            raise ValueError(f"{given!r} is not the name of a header")
        if _OURS.fullmatch(name):
            raise ValueError(f"{name} is ours to set: take another name")
        if name in headers:
            raise ValueError(f"{name} stands there twice")
        headers[name] = _value(name, text)
    return headers


def _value(name: str, text: Any) -> str:
    if not isinstance(text, str):
        raise ValueError(f'{name} must be text, {{ env = "NAME" }} or {{ file = "/path" }}')  # noqa: TRY004 - as above
    if not _VALUE.fullmatch(text) or len(text) > _LONGEST:
        raise ValueError(
            f"{name} must have 1 to {_LONGEST} characters of ASCII on one line, and no blank around"
        )
    return text


Headers = Annotated[
    dict[str, str],
    BeforeValidator(_headers),
    PlainSerializer(
        lambda headers: dict.fromkeys(headers, "…"), return_type=dict[str, str], when_used="json"
    ),
]
