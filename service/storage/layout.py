"""Where things stand in a store: pure functions from a prediction's words to keys, and the check of a key."""

from __future__ import annotations

import functools
import re
from datetime import UTC, datetime
from typing import NamedTuple

MANIFEST = "manifest.json"
TEMPORARY = ".tmp"
"""The one folder, at a store's root, in which unfinished files may stand."""

PLACE = ".PLACE"
"""A file at a directory's root that tells it from every other: no slug has a capital."""

HELD = "held"

DERIVED = "derived"
"""The folder of what was made from outputs and can be made again; of held ones, beside held files."""
DERIVATIVES = ("thumb.webp", "blur.webp", "look.json")

# A file system takes 255 bytes per name; a model's name comes from a stranger.
_SLUG_LIMIT = 200
_SEGMENT = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
_MANIFEST = re.compile(
    rf"(?:(?P<source>[^/]+)/)?[^/]+/(?P<day>\d{{4}}/\d\d/\d\d)/(?P<id>[^/]+)/{re.escape(MANIFEST)}", re.ASCII
)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def slug(model: str) -> str:
    """`Maker/some model` → `maker_some_model`; one path segment whatever the model is called."""
    text = re.sub(r"[^a-z0-9.-]+", "_", model.lower())[:_SLUG_LIMIT]
    return "_" if text in {"", ".", ".."} else text


def day_of(created_at: float | None, received_at: float) -> str:
    """The UTC day, `yyyy-mm-dd`, of the provider's instant, else (also when no calendar has it) of ours."""
    try:
        instant = datetime.fromtimestamp(received_at if created_at is None else created_at, UTC)
    except (ValueError, OverflowError, OSError):
        instant = datetime.fromtimestamp(received_at, UTC)
    return instant.date().isoformat()


class Place(NamedTuple):
    """What the key of a manifest says."""

    source: str | None
    """None for the default one."""
    day: str
    id: str


def place_of(key: str) -> Place | None:
    """Of a manifest's key, without the `held/` of a store that has both kinds; None for any other key."""
    if not (match := _MANIFEST.fullmatch(key)) or not _ID.fullmatch(match["id"]):
        return None
    return Place(match["source"], match["day"].replace("/", "-"), match["id"])


def folder(source: str, model: str, day: str, id_: str, *, default_source: str) -> str:
    """The folder of one prediction's files; only a source other than the default stands in front."""
    if not _ID.fullmatch(id_) or not _DAY.fullmatch(day):
        raise ValueError(f"not a prediction id or not a day: {id_!r}, {day!r}")
    path = f"{slug(model)}/{day.replace('-', '/')}/{id_}"
    return path if source == default_source else checked(f"{source}/{path}")


def output_key(folder: str, index: int, extension: str, variant: str = "") -> str:
    """`<folder>/<index>.<ext>`, or with a variant `<folder>/<index>.<variant>.<ext>`."""
    name = f"{index}.{variant}.{extension}" if variant else f"{index}.{extension}"
    return checked(f"{folder}/{name}")


def derived_key(key: str, sha256: str, what: str) -> str:
    """One of DERIVATIVES of an output: `…/0.png` → `derived/…/0.png.<sha8>.thumb.webp`.

    The hash is in it, lest other bytes at that key, fetched by a replay, be shown as the first ones.
    """
    return checked(f"{DERIVED}/{key}.{sha256[:8]}.{what}")


def conflict_key(key: str, sha256: str) -> str:
    """Where other bytes for a taken key go: `…/0.png` → `…/0.<sha8>.png`."""
    parent, slash, name = key.rpartition("/")
    stem, dot, extension = name.rpartition(".")
    return f"{parent}{slash}{stem if dot else name}.{sha256[:8]}{dot}{extension if dot else ''}"


@functools.lru_cache(1024)
def checked(key: str) -> str:
    """The key itself; ValueError, a bug of the caller, for one that could leave the root."""
    for segment in key.split("/"):
        if not _SEGMENT.fullmatch(segment) or segment in {".", ".."}:
            raise ValueError(f"not a storage key: {key!r}")
    return key
