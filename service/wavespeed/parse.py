"""What the provider said, as a Report: a callback's bytes and a poll's answer give the same thing."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from service import clock, errors, moderation
from service.prediction import Reason, Report, Verdict
from service.wavespeed import strict_json

if TYPE_CHECKING:
    from service.wavespeed.signature import Verified

ID = re.compile(r"[A-Za-z0-9_-]{1,128}")

_MAX_ERROR = 500
_MAX_INPUT_TEXT = 4096
_MODERATION_CODES = (1200, "1200")

_FAILURES = {
    "failed": Reason.PROVIDER_FAILED,
    "cancelled": Reason.CANCELLED,
    "canceled": Reason.CANCELLED,
    "timeout": Reason.TIMEOUT,
    "deleted": Reason.DELETED,
}


def parse(verified: Verified) -> Report:
    """The prediction in a genuine callback; raises Unparseable."""
    return report(strict_json.loads(verified.body), verified.body)


def report(data: object, body: bytes = b"") -> Report:
    """The prediction in decoded JSON, flat or in the envelope `{code, message, data}`; raises Unparseable.

    Only `id`, `status` and `outputs` must be of their type. Any other field may be anything. `body` is what
    `data` was decoded from, where that is known.
    """
    fields = _prediction(data)
    status = _status(fields)
    verdict, reason = _verdict(status, fields.get("code"))
    outputs = _outputs(fields.get("outputs"))
    model = fields.get("model")
    payload = fields if _cannot_hold_media(body) else _without_media(fields)
    return Report(
        id=_id(fields),
        status=status,
        verdict=verdict,
        model=model if isinstance(model, str) else "",
        reason=reason,
        error=one_line(fields.get("error")),
        created_at=clock.parse_rfc3339(fields.get("created_at")),
        outputs=outputs,
        nsfw=moderation.classify(fields.get("has_nsfw_contents", moderation.MISSING), len(outputs)),
        payload=payload,
        text=body if payload is data and b"\n" not in body else b"",
    )


def one_line(said: object) -> str:
    """A provider's error for a person: at most 500 printable characters; empty for "", null and {}."""
    if not said:
        return ""
    text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
    printable = "".join(char if char.isprintable() else " " for char in text[: 4 * _MAX_ERROR])
    return " ".join(printable.split())[:_MAX_ERROR]


def _prediction(data: object) -> dict[str, Any]:
    if isinstance(data, dict) and "id" not in data and isinstance(data.get("data"), dict):
        data = data["data"]
    if not isinstance(data, dict):
        raise errors.Unparseable("not an object")
    return data


def _id(fields: dict[str, Any]) -> str:
    value = fields.get("id")
    if not isinstance(value, str) or not ID.fullmatch(value):
        raise errors.Unparseable("id is not 1 to 128 of the characters A-Z a-z 0-9 _ -")
    return value


def _status(fields: dict[str, Any]) -> str:
    value = fields.get("status")
    if not isinstance(value, str):
        raise errors.Unparseable("status is not a string")
    return value


def _verdict(status: str, code: object) -> tuple[Verdict, Reason | None]:
    word = status.lower()
    if word == "completed":
        return Verdict.COMPLETED, None
    if word == "failed" and code in _MODERATION_CODES:
        return Verdict.FAILED, Reason.MODERATION
    if reason := _FAILURES.get(word):
        return Verdict.FAILED, reason
    # A word we do not know is not an end: polling will show what it leads to.
    return Verdict.PENDING, None


def _outputs(value: object) -> tuple[Any, ...]:
    if value is None:
        return ()
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, str | dict):
        return (value,)
    raise errors.Unparseable("outputs is not a list")


def _cannot_hold_media(body: bytes) -> bool:
    """Nothing in it can be long enough, nor an inline medium: no need to look at every value."""
    return 0 < len(body) <= _MAX_INPUT_TEXT and b"data:" not in body.lower() and b"\\u" not in body


def _without_media(fields: dict[str, Any]) -> dict[str, Any]:
    """The very same when there are none."""
    if "input" not in fields or (slim := _slim(fields["input"])) == fields["input"]:
        return fields
    return fields | {"input": slim}


def _slim(value: Any) -> Any:
    match value:
        case str() if len(value) > _MAX_INPUT_TEXT or value[:5].lower() == "data:":
            raw = value.encode()
            return f"<omitted {len(raw)} bytes sha256:{hashlib.sha256(raw).hexdigest()}>"
        case list():
            return [_slim(item) for item in value]
        case dict():
            return {key: _slim(item) for key, item in value.items()}
        case _:
            return value
