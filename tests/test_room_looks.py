"""How often a disk is looked at: once a second with plenty of room, for each claim when there is less."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from service.storage import StorageError, open_vault
from service.storage.disk import Disk
from workers.room import PLENTY, NoRoom, Room

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

MIB, GIB = 1 << 20, 1 << 30
KEPT = GIB
SIZE = 10 * MIB


@dataclass(eq=False)
class Announced:
    left: int = SIZE


class Looked:
    """A room on a disk of which a test says what is free, and how often it was looked at."""

    def __init__(self, room: Room, free: int) -> None:
        self.room = room
        self.free = free
        self.times = 0
        self.broken = False

    async def disk(self, *, held: bool) -> Disk:
        assert not held
        self.times += 1
        if self.broken:
            raise StorageError("the disk does not answer")
        return Disk(100 * GIB, self.free, 0, 0)

    async def claim(self, size: int = SIZE) -> None:
        async with self.room.claimed(Announced(size), held=False):
            pass


@pytest.fixture
async def looked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Looked]:
    vault = open_vault(tmp_path.as_uri(), None, threads=1)
    looked = Looked(Room(vault, keep_free=KEPT), KEPT + PLENTY + 100 * SIZE)
    monkeypatch.setattr(vault, "disk", looked.disk)
    yield looked
    await vault.aclose()


async def test_with_plenty_of_room_one_look_is_enough_for_all_claims(looked: Looked) -> None:
    await looked.room.look()
    for _ in range(50):
        await looked.claim()
    assert looked.times == 1


async def test_near_the_mark_every_claim_looks_anew(looked: Looked) -> None:
    looked.free = KEPT + PLENTY + SIZE - 1
    await looked.room.look()
    for _ in range(3):
        await looked.claim()
    assert looked.times == 4


async def test_just_above_it_no_claim_does(looked: Looked) -> None:
    looked.free = KEPT + PLENTY + SIZE
    await looked.room.look()
    await looked.claim()
    assert looked.times == 1
    await looked.claim(SIZE + 1)
    assert looked.times == 2


async def test_what_is_still_to_come_of_others_brings_the_mark_nearer(looked: Looked) -> None:
    looked.free = KEPT + PLENTY + 2 * SIZE - 1
    await looked.room.look()
    first = Announced()
    async with looked.room.claimed(first, held=False):
        assert looked.times == 1
        await looked.claim()
        assert looked.times == 2
        first.left -= 1
        await looked.claim()
    assert looked.times == 2


async def test_near_the_mark_a_claim_goes_by_what_it_sees_and_not_by_the_last_look(looked: Looked) -> None:
    looked.free = KEPT + PLENTY
    await looked.room.look()
    looked.free = KEPT + SIZE - 1
    with pytest.raises(NoRoom):
        await looked.claim()
    looked.free = KEPT + SIZE
    await looked.claim()


async def test_before_the_first_look_a_claim_looks_itself(looked: Looked) -> None:
    looked.free = KEPT + SIZE - 1
    with pytest.raises(NoRoom):
        await looked.claim()
    assert looked.times == 1


async def test_a_disk_that_could_not_be_looked_at_is_looked_at_by_each_claim(looked: Looked) -> None:
    looked.broken = True
    await looked.room.look()
    await looked.claim()
    looked.broken = False
    looked.free = KEPT
    with pytest.raises(NoRoom):
        await looked.claim()
    assert looked.times == 3
