"""What `doctor` wants to know of this room: do the stores work, and is there room on their disks?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.errors import CatchlightError
from service.ledger.durability import Finding, State
from service.storage import StorageError, StorageFullError, open_vault
from service.storage.disk import lacking

if TYPE_CHECKING:
    from service.settings import Settings
    from service.storage import Vault

SOON = 2
"""Times what is kept free: below that it is time to do something."""
_WRITABLE = "make CATCHLIGHT_STORAGE_URL (or CATCHLIGHT_HELD_STORAGE_URL) a place that this user can write"
_ROOM = "free some of it, or lower CATCHLIGHT_DISK_FREE"


async def checked(settings: Settings) -> list[Finding]:
    try:
        vault = open_vault(settings.effective_storage_url, settings.held_storage_url, threads=2)
    except CatchlightError as error:
        return [Finding("storage", State.FAIL, str(error), "correct the setting")]
    try:
        places = {"disk": False, "disk.held": True} if vault.separate else {"disk": False}
        disks = [await _disk(vault, name, settings.disk_free, held=held) for name, held in places.items()]
        return [await _storage(vault, settings.effective_storage_url), *filter(None, disks)]
    finally:
        await vault.aclose()


async def _storage(vault: Vault, url: str) -> Finding:
    try:
        await vault.check()
    except StorageError as error:
        fix = "free some room on it" if isinstance(error, StorageFullError) else _WRITABLE
        return Finding("storage", State.FAIL, str(error), fix)
    return Finding("storage", State.OK, f"{url} takes, returns and forgets a file")


async def _disk(vault: Vault, name: str, setting: int | None, *, held: bool) -> Finding | None:
    """None when there is none, or none to be found: the check of the store tells more then."""
    try:
        disk = await vault.disk(held=held)
    except StorageError:
        return None
    if disk is None:
        return None
    if why := lacking(disk, setting):
        return Finding(name, State.FAIL, f"{why}: nothing is fetched", _ROOM)
    if why := lacking(disk, setting, times=SOON):
        return Finding(name, State.WARN, f"{why}: soon nothing will be fetched", _ROOM)
    return Finding(name, State.OK, f"{disk.free_bytes >> 20} of {disk.bytes >> 20} MiB are free")
