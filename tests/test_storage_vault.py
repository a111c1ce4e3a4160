"""The vault: stored and held files apart, in one store or in two of any kind, and URLs that can be used."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

import pytest

from service.errors import ConfigError, NotFound
from service.storage import StorageError, open_vault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from service.storage import Vault
    from tests.seaweed import Seaweed

pytest_plugins = ["tests.seaweed"]

KEY = "m/2026/11/22/id/0.png"
ONE, OTHER = b"one" * 1000, b"other" * 1000


def urls(layout: str, folder: Path, server: Seaweed) -> tuple[str, str | None]:
    bucket = f"s3://{server.bucket}/{secrets.token_hex(8)}"
    return {
        "one directory": (f"file://{folder}/a", None),
        "two directories": (f"file://{folder}/a", f"file://{folder}/b/"),
        "one bucket": (bucket, None),
        "two buckets": (f"{bucket}/a", f"{bucket}/b"),
        "directory and bucket": (f"file://{folder}/a", bucket),
        "bucket and directory": (f"{bucket}/", f"file://{folder}/b"),
    }[layout]


@pytest.fixture(
    params=[
        "one directory",
        "two directories",
        "one bucket",
        "two buckets",
        "directory and bucket",
        "bucket and directory",
    ]
)
def vault(request: pytest.FixtureRequest, tmp_path: Path, s3: Seaweed) -> Iterator[Vault]:
    made = open_vault(*urls(request.param, tmp_path, s3), threads=2)
    yield made
    asyncio.run(made.aclose())


async def stream(data: bytes) -> AsyncIterator[bytes]:
    yield data


def test_a_stored_and_a_held_file_of_one_key_are_two(vault: Vault) -> None:
    async def story() -> None:
        stored = await vault.keep(KEY, stream(ONE), held=False)
        held = await vault.keep(KEY, stream(OTHER), held=True)
        assert (stored.key, stored.conflict) == (held.key, held.conflict) == (KEY, False)
        assert (stored.uri, held.uri) == (vault.uri(KEY, held=False), vault.uri(KEY, held=True))
        assert stored.uri != held.uri
        assert [await vault.read(KEY, held=held) for held in (False, True)] == [ONE, OTHER]
        await vault.delete(KEY, held=False)
        assert [await vault.exists(KEY, held=held) for held in (False, True)] == [False, True]

    asyncio.run(story())


@pytest.mark.parametrize("to_held", [True, False])
def test_a_file_moves_both_ways_and_again(vault: Vault, to_held: bool) -> None:
    async def story() -> None:
        kept = await vault.keep(KEY, stream(ONE), held=not to_held)
        for _ in range(2):
            moved = await vault.move(KEY, from_held=not to_held, to_held=to_held, sha256=kept.sha256)
            assert moved == (KEY, vault.uri(KEY, held=to_held))
        assert await vault.read(KEY, held=to_held) == ONE
        with pytest.raises(NotFound):
            await vault.read(KEY, held=not to_held)

    asyncio.run(story())


def test_a_move_onto_other_bytes_is_found_again_beside_them(vault: Vault) -> None:
    async def story() -> None:
        await vault.keep(KEY, stream(OTHER), held=False)
        kept = await vault.keep(KEY, stream(ONE), held=True)
        moved = await vault.move(KEY, from_held=True, to_held=False, sha256=kept.sha256)
        assert moved.key == f"m/2026/11/22/id/0.{kept.sha256[:8]}.png"
        assert await vault.move(KEY, from_held=True, to_held=False, sha256=kept.sha256) == moved
        assert await vault.read(moved.key, held=False) == ONE
        back = await vault.move(moved.key, from_held=False, to_held=True)
        assert back == (moved.key, vault.uri(moved.key, held=True))

    asyncio.run(story())


def test_a_move_to_where_it_is_loses_nothing(vault: Vault) -> None:
    async def story() -> None:
        await vault.keep(KEY, stream(ONE), held=True)
        await vault.move(KEY, from_held=True, to_held=True)
        assert await vault.read(KEY, held=True) == ONE

    asyncio.run(story())


def test_a_manifest_is_written_over_read_and_deleted_where_it_was_asked_for(vault: Vault) -> None:
    async def story() -> None:
        for body in (ONE, OTHER):
            assert await vault.write("m/manifest.json", body, held=True) == vault.uri(
                "m/manifest.json", held=True
            )
        assert await vault.read("m/manifest.json", held=True) == OTHER
        await vault.delete("m/manifest.json", held=True)
        with pytest.raises(NotFound):
            await vault.read("m/manifest.json", held=True)

    asyncio.run(story())


def test_a_vault_that_works_passes_its_check_and_is_tidy(vault: Vault) -> None:
    async def story() -> int:
        await vault.check()
        return await vault.tidy()

    assert asyncio.run(story()) == 0


def test_held_files_stand_under_held_in_one_store_and_at_the_root_of_their_own(tmp_path: Path) -> None:
    one = open_vault(f"file://{tmp_path}/a", None, threads=1)
    assert one.uri(KEY, held=True) == f"file://{tmp_path}/a/held/{KEY}"
    two = open_vault(f"file://{tmp_path}/a", "s3://held-ones/prefix/", threads=1)
    assert two.uri(KEY, held=True) == f"s3://held-ones/prefix/{KEY}"
    assert two.uri(KEY, held=False) == f"file://{tmp_path}/a/{KEY}"


def test_a_root_with_blanks_has_a_uri_that_leads_back_to_it(tmp_path: Path) -> None:
    vault = open_vault(f"file://{tmp_path}/two%20words", None, threads=1)
    assert vault.uri(KEY, held=False) == f"file://{tmp_path}/two%20words/{KEY}"
    asyncio.run(vault.write(KEY, ONE, held=False))
    assert (tmp_path / "two words" / KEY).read_bytes() == ONE


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/data/outputs",
        "outputs",
        "memory://",
        "ftp://host/x",
        "https://bucket.example/x",
        "file:outputs",
        "file://outputs",
        "file://host/outputs",
        "file://",
        "file:///",
        "file:///a?b",
        "file:///a/../b",
        "file:///a%00b",
        "s3://",
        "s3:///prefix",
        "s3://key:hunter2@bucket/prefix",
        "s3://bucket/prefix?secret=hunter2",
        "az://container/prefix",
    ],
)
def test_a_url_that_cannot_be_used_names_its_setting_and_no_secret(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^CATCHLIGHT_STORAGE_URL\b") as raised:
        open_vault(url, None, threads=1)
    assert "hunter2" not in str(raised.value)
    if url:
        with pytest.raises(ConfigError, match=r"^CATCHLIGHT_HELD_STORAGE_URL\b"):
            open_vault(f"file://{tmp_path}", url, threads=1)


@pytest.mark.parametrize(
    ("main", "held"),
    [
        ("file://{}/a", "file://{}/a"),
        ("file://{}/a", "file://{}/a//"),
        ("file://{}/a", "file://{}/%61"),
        ("file://{}/a", "file://{}/link"),
        ("s3://bucket/a", "s3://bucket/a/"),
    ],
)
def test_held_files_in_the_very_place_of_the_others_are_refused(tmp_path: Path, main: str, held: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with pytest.raises(ConfigError, match="held files would be handed on"):
        open_vault(main.format(tmp_path), held.format(tmp_path), threads=1)


def test_a_failing_check_names_the_setting_of_the_store_that_fails(tmp_path: Path) -> None:
    (tmp_path / "b").touch()
    vault = open_vault(f"file://{tmp_path}/a", f"file://{tmp_path}/b", threads=1)
    with pytest.raises(StorageError, match=r"^CATCHLIGHT_HELD_STORAGE_URL: "):
        asyncio.run(vault.check())
