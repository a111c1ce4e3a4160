"""What the page of an output needs to show all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service.errors import NotFound
from service.storage import StorageError
from service.web.dashboard.media import TOKEN

if TYPE_CHECKING:
    from service.web.dashboard.shelf import Item, Shelf

TEXT_MOST = 64 * 1024
"""Bytes of a text that are shown."""


async def seen(shelf: Shelf, item: Item) -> dict[str, Any]:
    """Where it is, with the `token` that a held one needs for a minute, and the beginning of a text."""
    token = shelf.revealed(item) if item.original.held else ""
    which = f"?{TOKEN}={token}" if token else ""
    media = f"/media/{item.path}"
    text = None
    if item.original.media_type.partition("/")[0] in ("text", "application"):
        text = await _text(shelf, item)
    return {"token": token, "whole": f"{media}{which}", "thumb": f"{media}/thumb{which}", "text": text}


async def _text(shelf: Shelf, item: Item) -> str | None:
    """As plain text; None for what is none, or is not within reach."""
    held, most = item.original.held, min(TEXT_MOST, item.original.bytes)
    chunks = shelf.vault.chunks(item.original.key, held=held, length=most)
    try:
        data = b"".join([chunk async for chunk in chunks])
    except (NotFound, StorageError):
        return None
    text = data.decode("utf-8", "replace")
    return None if "\0" in text else text
