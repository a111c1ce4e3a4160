"""What one large output costs a worker: no more memory than any other."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import pytest

from service.prediction import Disposition, Stage
from service.simulator.scenario import Scenario
from tests import origin, resident
from tests.resident import MIB
from tests.workplace import role, workplace

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator
    from pathlib import Path

    from tests.origin import Script
    from tests.seaweed import Seaweed
    from tests.workplace import Workplace

pytestmark = pytest.mark.anyio
pytest_plugins = ["tests.seaweed"]

MOST = 32 * MIB
BLOCK = os.urandom(256 * 1024)
HEAD = b"\x00\x00\x00\x10ftypisom\x00\x00\x02\x00\x00\x00\x00\x08moov\x00\x00\x00\x01mdat"


@pytest.fixture
def size(long: bool) -> int:
    """The most that a video may have by default, or what a test of every day has time for."""
    return 1024 * MIB if long else 128 * MIB


def film(size: int) -> Iterator[bytes]:
    """An MP4 of so many bytes, whole to whoever follows its boxes."""
    head = HEAD + (size - len(HEAD) + 8).to_bytes(8)
    yield head
    for at in range(len(head), size, len(BLOCK)):
        yield BLOCK[: size - at]


def film_by_sha256(size: int) -> str:
    digest = hashlib.sha256()
    for part in film(size):
        digest.update(part)
    return digest.hexdigest()


async def play(writer: asyncio.StreamWriter, size: int, *, declared: bool) -> None:
    length = f"Content-Length: {size}\r\n" if declared else ""
    writer.write(f"HTTP/1.1 200 OK\r\n{length}\r\n".encode())
    for part in film(size):
        writer.write(part)
        await writer.drain()
    if not declared:
        writer.close()


async def rise(place: Workplace, size: int, *, declared: bool = True) -> int:
    """Bytes by which a worker that keeps such a film comes to have more in memory than at rest."""
    scripts: dict[str, Script] = {"/film": lambda writer: play(writer, size, declared=declared)}
    async with role(place, "work") as worker, origin.running(scripts) as cdn:
        first = await place.ended(await place.complete(place.payload(Scenario.CLEAN)))
        assert first["stage"] == Stage.DONE
        resident.forget_peak(worker.process.pid)
        at_rest = resident.resident(worker.process.pid)
        said = place.payload(Scenario.CLEAN, outputs=[cdn.url("/film")])
        (output,) = (await place.ended(await place.complete(said), 120))["outputs"]
        most = resident.peak(worker.process.pid)
    assert (output["disposition"], output["media_type"]) == (Disposition.STORED, "video/mp4")
    assert (output["bytes"], output["sha256"]) == (size, film_by_sha256(size))
    return most - at_rest


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "undeclared"])
async def test_a_large_output_is_kept_on_a_disk_in_little_memory(
    redis_url: str, tmp_path: Path, size: int, declared: bool
) -> None:
    async with workplace(redis_url, tmp_path) as place:
        assert await rise(place, size, declared=declared) <= MOST


async def test_a_large_output_is_kept_in_a_bucket_in_little_memory(
    redis_url: str, tmp_path: Path, size: int, seaweed: Seaweed
) -> None:
    async with workplace(redis_url, tmp_path, storage_url=f"s3://{seaweed.bucket}/films") as place:
        place.environment.update(seaweed.environment)
        assert await rise(place, size) <= MOST
