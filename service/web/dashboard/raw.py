"""What the provider said, as a page shows it: from the ledger, or from the manifest where it stands alone.

Texts and links of what nobody has cleared are covered, and what is too long to read is cut.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from service import plain_json, wavespeed
from service.errors import NotFound
from service.ledger import callback_headers
from service.prediction import Disposition, Nsfw
from service.storage import StorageError, layout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.ledger import PredictionRecord
    from service.storage import Vault

log = structlog.get_logger("dashboard")

_TEXT_MOST, _TEXT_KEPT, _ITEMS_MOST = 2_000, 200, 100
_CURL_MOST = 32_768
COVERED = "(covered: nobody has cleared it)"


@dataclass(frozen=True, slots=True)
class Raw:
    """`said` is empty where nothing is left of it."""

    said: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of the callback that brought it; empty when it came otherwise, or before they were kept."""


async def read(vault: Vault, record: PredictionRecord) -> Raw:
    if record.payload:
        return Raw(record.payload, record.callback.named() if record.callback else {})
    if not record.day:
        return Raw()
    source, id_ = record.ref
    folder = layout.folder(source, record.model, record.day, id_, default_source=wavespeed.SOURCE)
    # Where there are two, the one under `held/` has every text.
    for held in (True, False):
        try:
            whole = json.loads(await vault.read(f"{folder}/{layout.MANIFEST}", held=held))
            said, around = whole["payload"], whole.get("callback")
        except NotFound:
            continue
        except (StorageError, ValueError, KeyError, TypeError) as error:
            log.warning("manifest.unread", prediction=str(record.ref), error=str(error))
            continue
        if isinstance(said, dict):
            return Raw(said, callback_headers.of_manifest(around))
    return Raw()


def shown(said: Mapping[str, Any], outputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """For a person's eyes. `outputs` are those of the public object."""
    clear = {one["index"] for one in outputs if _is_clear(one)}
    named = said.get("outputs")
    if named is None:
        return {name: _cut(value) for name, value in said.items()}
    values = named if isinstance(named, list) else [named]
    covered = [value if index in clear else COVERED for index, value in enumerate(values)]
    whole = {**said, "outputs": covered if isinstance(named, list) else covered[0]}
    return {name: _cut(value) for name, value in whole.items()}


def curl(url: str, raw: Raw, seen: Mapping[str, Any]) -> str:
    """Empty unless all of it is `seen`: half a body would be another callback."""
    body = plain_json.encoded(raw.said)
    if not raw.said or seen != raw.said or len(body) > _CURL_MOST:
        return ""
    return wavespeed.curl(url, raw.headers.get("webhook-id") or "msg_again", body)


def _is_clear(output: Mapping[str, Any]) -> bool:
    return bool(output["nsfw"] == Nsfw.CLEAN or output["disposition"] == Disposition.RELEASED)


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _TEXT_MOST:
        return f"{value[:_TEXT_KEPT]}… ({len(value)} characters)"
    if isinstance(value, list):
        more = [f"… ({len(value)} of them)"] if len(value) > _ITEMS_MOST else []
        return [_cut(one) for one in value[:_ITEMS_MOST]] + more
    if isinstance(value, dict):
        return {name: _cut(one) for name, one in value.items()}
    return value
