"""The settings as a table: of the documentation, and of `config show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_UNSET = {
    "redis_url": "embedded (in `up`, `demo`)",
    "storage_url": "`file:///<data dir>/outputs`",
    "held_storage_url": "the same store under `held/`",
    "disk_free": "1 GiB, or 2 % of a disk smaller than 50 GiB",
    "fetch_max_bytes": "per kind: image 64 MiB, video 1 GiB, other 256 MiB",
}
"""What stands in for a value that is not set, where that is not nothing."""


class SettingRow(NamedTuple):
    name: str
    variable: str | None
    """None where only the file can hold it."""
    default: str
    meaning: str
    value: str
    """Effective, secrets masked."""
    origin: str
    """`default`, `environment CATCHLIGHT_X`, or the name of the file."""


def rows(
    meanings: Mapping[str, str],
    tables: Iterable[str],
    defaults: Mapping[str, Any],
    values: Mapping[str, Any],
    origins: Mapping[str, str],
) -> list[SettingRow]:
    """`defaults` and `values` are JSON forms of all settings, secrets masked already."""
    return [
        SettingRow(
            name,
            variable=None if name in tables else f"CATCHLIGHT_{name.upper()}",
            default=_text(name, defaults[name]),
            meaning=meaning,
            value=_text(name, values[name]),
            origin=origins.get(name, "default"),
        )
        for name, meaning in meanings.items()
    ]


def _text(name: str, value: Any) -> str:
    match value:
        case None | []:
            return _UNSET.get(name, "none")
        case bool():
            return str(value).lower()
        case list():
            return ",".join(_text(name, entry) for entry in value)
        case dict():
            return str(value.get("name", value.get("model")))
        case _:
            return str(value)
