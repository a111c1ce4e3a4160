"""Derivatives are made once, stand beside what they were made of, and never outlive it."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import pytest

from service.darkroom.asking import Darkroom, NoPicture
from service.darkroom.derived import Derived, Original
from service.errors import NotFound
from service.storage import StorageError, open_vault
from tests.pictures import encoded, opened, scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from service.storage import Vault

pytestmark = pytest.mark.anyio

KEY = "a_model/2026/11/28/x/0.png"
PICTURE = encoded(scene(1))


class Counting(Darkroom):
    asked = 0

    async def develop(self, *asked: object, **how: object) -> object:  # type: ignore[override]  # counts, and passes on
        self.asked += 1
        return await super().develop(*asked, **how)  # type: ignore[arg-type]  # the same


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncIterator[Vault]:
    vault = open_vault((tmp_path / "outputs").as_uri(), None, threads=4)
    yield vault
    await vault.aclose()


@pytest.fixture
async def derived(vault: Vault) -> AsyncIterator[Derived]:
    made = Derived(vault, Counting())
    yield made
    await made.aclose()


async def kept(vault: Vault, data: bytes = PICTURE, *, held: bool, key: str = KEY) -> Original:
    async def chunks() -> AsyncIterator[bytes]:
        yield data

    await vault.keep(key, chunks(), held=held)
    return Original(key, hashlib.sha256(data).hexdigest(), held, "image/png", len(data))


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root / "outputs")) for path in root.rglob("*") if path.is_file())


def asked(derived: Derived) -> int:
    assert isinstance(derived._darkroom, Counting)
    return derived._darkroom.asked


@pytest.mark.parametrize("held", [False, True])
async def test_it_is_made_once_and_stands_beside_its_original(
    vault: Vault, derived: Derived, tmp_path: Path, held: bool
) -> None:
    original = await kept(vault, held=held)
    assert await derived.likeness(original) is None
    blur, thumb = await asyncio.gather(derived.blur(original), derived.thumb(original))
    assert max(opened(blur).size) == 32
    assert await derived.thumb(original) == thumb
    assert asked(derived) == 1
    place, name = "held/" if held else "", f"{KEY}.{original.sha256[:8]}"
    assert files(tmp_path) == sorted(
        [
            f"{place}{KEY}",
            *(f"{place}derived/{name}.{what}" for what in ("thumb.webp", "blur.webp", "look.json")),
        ]
    )
    assert await Derived(vault, Counting()).likeness(original) == await derived.likeness(original) != None  # noqa: E711 - both are something


async def test_originals_stay_as_they_are(vault: Vault, derived: Derived) -> None:
    await derived.thumb(await kept(vault, held=True))
    assert await vault.read(KEY, held=True) == PICTURE


async def test_reindexing_sees_none_of_it(vault: Vault, derived: Derived) -> None:
    await vault.write(f"{KEY.rpartition('/')[0]}/manifest.json", b"{}", held=True)
    await derived.thumb(await kept(vault, held=True))
    assert len([found async for found in vault.manifests()]) == 1


async def test_what_was_deleted_meanwhile_leaves_no_picture_behind(vault: Vault, tmp_path: Path) -> None:
    class Late(Darkroom):
        async def develop(self, *asked: object, **how: object) -> object:  # type: ignore[override]  # passes on
            made = await super().develop(*asked, **how)  # type: ignore[arg-type]  # the same
            await vault.delete(KEY, held=False)
            await vault.delete_derived(KEY, original.sha256, held=False)
            return made

    original = await kept(vault, held=False)
    derived = Derived(vault, Late())
    assert await derived.thumb(original)
    assert files(tmp_path) == []
    await derived.aclose()


async def test_that_there_is_no_picture_is_remembered(vault: Vault, derived: Derived) -> None:
    original = await kept(vault, b"\x89PNG and then nothing", held=False)
    for _ in range(3):
        with pytest.raises(NoPicture):
            await derived.thumb(original)
    assert asked(derived) == 1


async def test_a_missing_original_is_not_found(derived: Derived) -> None:
    with pytest.raises(NotFound):
        await derived.blur(Original(KEY, "0" * 64, held=False, media_type="image/png", bytes=9))


@pytest.mark.parametrize(("media_type", "size"), [("text/plain", 9), ("image/png", 1 << 30), ("", 9)])
async def test_what_is_no_picture_or_too_large_is_not_read(
    derived: Derived, media_type: str, size: int
) -> None:
    with pytest.raises(NoPicture):
        await derived.thumb(Original(KEY, "0" * 64, held=False, media_type=media_type, bytes=size))
    assert asked(derived) == 0


async def test_a_store_that_takes_nothing_is_shown_all_the_same(
    vault: Vault, derived: Derived, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuses(*_: object, **__: object) -> str:
        raise StorageError("read-only")

    original = await kept(vault, held=False)
    monkeypatch.setattr(vault, "write", refuses)
    assert await derived.thumb(original) == await derived.thumb(original)
    assert await derived.blur(original)
    assert asked(derived) == 1, "the last few are remembered"


async def test_preparing_passes_over_what_cannot_be_made(vault: Vault, derived: Derived) -> None:
    bad = await kept(vault, b"rubbish", held=True, key=f"{KEY}.png")
    good = await kept(vault, held=True)
    await derived.prepare([bad, good])
    assert await derived.likeness(good)


async def test_a_part_of_a_file_is_read(vault: Vault) -> None:
    await kept(vault, held=True)
    part = [chunk async for chunk in vault.chunks(KEY, held=True, start=7, length=20)]
    assert b"".join(part) == PICTURE[7:27]
    rest = [chunk async for chunk in vault.chunks(KEY, held=True, start=100)]
    assert b"".join(rest) == PICTURE[100:]
