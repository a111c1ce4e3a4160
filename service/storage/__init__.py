"""Files at rest: where they stand, and stores that keep the first bytes of a place durably and whole."""

from __future__ import annotations

from service.storage.layout import MANIFEST, day_of, folder, output_key, slug
from service.storage.store import Kept, Placed, StorageError, StorageFullError, Store
from service.storage.vault import Vault, open_vault

__all__ = [
    "MANIFEST",
    "Kept",
    "Placed",
    "StorageError",
    "StorageFullError",
    "Store",
    "Vault",
    "day_of",
    "folder",
    "open_vault",
    "output_key",
    "slug",
]
