"""A disk that runs short: only fetching waits, nothing is used up by it, and it goes on by itself."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from service import keys
from service.prediction import Disposition, Stage
from service.simulator.scenario import Scenario
from service.storage import StorageFullError, open_vault
from tests import origin
from tests.disks import small_disk
from tests.workplace import dispositions, role, shop_of, steps, until, workplace
from workers import process
from workers.room import COME_BACK, COME_BACK_LARGE, NoRoom, Room

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from service.prediction import Ref
    from tests.workplace import Workplace

pytestmark = pytest.mark.anyio

KIB = 1024
NEVER_ENOUGH: dict[str, Any] = {"disk_free": "100000000GiB"}
"""More than any disk has."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """512 KiB, of which 10 are to stay free."""
    with small_disk(tmp_path / "disk", "512k") as folder:
        yield folder


def fill(disk: Path, but: int) -> Path:
    filler = disk / "filler"
    filler.write_bytes(bytes(512 * KIB - but))
    return filler


async def fields(place: Workplace, ref: Ref) -> dict[str, Any]:
    held: dict[str, Any] = await place.ledger.redis.hgetall(f"{keys.PREDICTION}{ref}")  # type: ignore[assignment]  # decoded
    return held


def files(disk: Path) -> list[str]:
    return [path.name for path in disk.rglob("*") if path.is_file()]


async def due_in(place: Workplace, ref: Ref) -> float:
    due = await place.ledger.redis.zscore(keys.DUE_WORK, str(ref))
    seconds, microseconds = await place.ledger.redis.time()
    return float(due or 0) - seconds - microseconds / 1e6


async def due_now(place: Workplace, ref: Ref) -> None:
    await place.ledger.redis.zadd(keys.DUE_WORK, {str(ref): 0})


async def test_what_is_to_be_fetched_waits_without_a_lease_and_a_request(
    redis_url: str, tmp_path: Path
) -> None:
    async with workplace(redis_url, tmp_path, **NEVER_ENOUGH) as place, shop_of(place) as shop:
        for scenario in (Scenario.CLEAN, Scenario.MULTI, Scenario.FLAGGED, Scenario.OBJECT):
            said = place.payload(scenario)
            ref = await place.complete(said)
            await process.process(shop, ref)
            waiting = await place.prediction(ref)
            assert (waiting["stage"], waiting["attempts"]) == (Stage.ACCEPTED, 0)
            assert "to stay free" in waiting["error"]
            assert "leased" not in steps(waiting)
            assert 0 < await due_in(place, ref) < 2 * COME_BACK
            truth = place.sim.find(ref.id)
            assert truth is not None
            assert not any(truth.hits.values())
        assert place.files() == []


async def test_whatever_has_nothing_to_fetch_goes_on_and_is_told(redis_url: str, tmp_path: Path) -> None:
    async with workplace(redis_url, tmp_path, **NEVER_ENOUGH) as place, shop_of(place) as shop:
        for scenario in (Scenario.TEXT, Scenario.CLASSIFIER, Scenario.EMPTY, Scenario.FAILED):
            ref = await place.complete(place.payload(scenario))
            assert (await place.worked(shop, ref))["stage"] == scenario.stage
            (delivery,) = await place.delivered(shop, ref)
            assert delivery["state"] == "delivered"


async def test_what_policy_drops_needs_no_room(redis_url: str, tmp_path: Path) -> None:
    changes = NEVER_ENOUGH | {"moderation_unknown": "drop"}
    async with workplace(redis_url, tmp_path, **changes) as place, shop_of(place) as shop:
        ended = await place.worked(shop, await place.complete(place.payload(Scenario.UNKNOWN)))
        assert (ended["stage"], dispositions(ended)) == (Stage.DONE, [Disposition.DROPPED])


async def test_it_is_said_once_and_over_by_itself_with_every_try_left(
    redis_url: str, tmp_path: Path, disk: Path
) -> None:
    storage: dict[str, Any] = {"storage_url": disk.as_uri(), "fetch_schedule": "10ms"}
    with capture_logs() as logs:
        async with workplace(redis_url, tmp_path, **storage) as place:
            filler = fill(disk, but=9 * KIB)
            async with shop_of(place) as shop:
                ref = await place.complete(place.payload(Scenario.CLEAN))
                for _ in range(5):
                    await process.process(shop, ref)
                    await due_now(place, ref)
                    await place.ledger.sweeping.sweep(10, reclaim=True)
                    await shop.room.look()
                filler.unlink()
                await until(lambda: not shop.room.short, what="it is seen by itself that there is room")
                ended = await place.worked(shop, ref)
    assert (ended["stage"], ended["attempts"], ended["error"]) == (Stage.DONE, 1, None)
    said = [line for line in logs if line["event"].startswith("disk.")]
    assert [line["event"] for line in said] == ["disk.short", "disk.has_room"]
    assert "CATCHLIGHT_DISK_FREE" in said[0]["fix"]


async def test_it_is_over_only_when_there_is_clearly_room(redis_url: str, tmp_path: Path, disk: Path) -> None:
    """A disk that hovers at the mark would be said short, and not short, once a second."""
    async with workplace(redis_url, tmp_path, storage_url=disk.as_uri()) as place:
        fill(disk, but=8 * KIB)
        async with shop_of(place) as shop:
            assert shop.room.short
            for but, short in ((12 * KIB, True), (16 * KIB, False), (12 * KIB, False), (8 * KIB, True)):
                fill(disk, but=but)
                await shop.room.look()
                assert shop.room.short is short, but


async def test_a_disk_without_inodes_is_short_too(redis_url: str, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64m", names=100) as disk:
        for number in range(98):
            (disk / str(number)).touch()
        async with workplace(redis_url, tmp_path, storage_url=disk.as_uri()) as place, shop_of(place) as shop:
            ref = await place.complete(place.payload(Scenario.CLEAN))
            await process.process(shop, ref)
            assert "inodes" in (await place.prediction(ref))["error"]
            for number in range(50):
                (disk / str(number)).unlink()
            await shop.room.look()
            await due_now(place, ref)
            assert (await place.worked(shop, ref))["stage"] == Stage.DONE


async def test_a_file_too_large_for_the_room_waits_and_smaller_ones_pass(
    redis_url: str, tmp_path: Path, disk: Path
) -> None:
    storage: dict[str, Any] = {"storage_url": disk.as_uri(), "fetch_schedule": "10ms"}
    large = origin.answer(b"\xff\xd8\xff" + bytes(400 * KIB))
    async with (
        workplace(redis_url, tmp_path, **storage) as place,
        shop_of(place) as shop,
        origin.running({"/large": large}) as cdn,
    ):
        filler = fill(disk, but=200 * KIB)
        ref = await place.complete(place.payload(Scenario.CLEAN, outputs=[cdn.url("/large")]))
        await process.process(shop, ref)
        waiting = await place.prediction(ref)
        assert (waiting["stage"], (await fields(place, ref))["failures"]) == (Stage.ACCEPTED, "0")
        assert "400.0 KiB are to come" in waiting["error"]
        assert await due_in(place, ref) > COME_BACK_LARGE / 2
        small = await place.complete(place.payload(Scenario.CLEAN))
        assert (await place.worked(shop, small))["stage"] == Stage.DONE
        filler.unlink()
        await due_now(place, ref)
        assert (await place.worked(shop, ref))["stage"] == Stage.DONE


async def test_of_two_outputs_the_one_that_fits_is_kept_while_the_other_waits(
    redis_url: str, tmp_path: Path, disk: Path
) -> None:
    answers = {
        "/large": origin.answer(b"\xff\xd8\xff" + bytes(600 * KIB)),
        "/small": origin.answer(b"\xff\xd8\xff" + bytes(KIB)),
    }
    async with (
        workplace(redis_url, tmp_path, storage_url=disk.as_uri()) as place,
        shop_of(place) as shop,
        origin.running(answers) as cdn,
    ):
        urls = [cdn.url("/large"), cdn.url("/small")]
        said = place.payload(Scenario.CLEAN, outputs=urls, has_nsfw_contents=[False, False])
        ref = await place.complete(said)
        await process.process(shop, ref)
        waiting = await place.prediction(ref)
        assert dispositions(waiting) == [None, Disposition.STORED]
        assert "stored" in steps(waiting)


async def test_a_stored_file_is_taken_back_though_the_disk_is_short(
    redis_url: str, tmp_path: Path, disk: Path
) -> None:
    """Beside another output that is still to be fetched, for which there is no room."""
    answers = {
        "/large": origin.answer(b"\xff\xd8\xff" + bytes(600 * KIB)),
        "/small": origin.answer(b"\xff\xd8\xff" + bytes(KIB)),
    }
    async with (
        workplace(redis_url, tmp_path, storage_url=disk.as_uri()) as place,
        shop_of(place) as shop,
        origin.running(answers) as cdn,
    ):
        urls = [cdn.url("/large"), cdn.url("/small")]
        said = place.payload(Scenario.CLEAN, outputs=urls, has_nsfw_contents=[False, False])
        ref = await place.complete(said)
        await process.process(shop, ref)
        fill(disk, but=8 * KIB)
        await shop.room.look()
        await place.complete(said | {"has_nsfw_contents": [False, True]})
        await due_now(place, ref)
        await place.ledger.sweeping.sweep(10, reclaim=True)
        await process.process(shop, ref)
        assert dispositions(await place.prediction(ref)) == [None, Disposition.HELD]
        assert (await fields(place, ref))["failures"] == "0"


async def test_a_disk_filled_by_others_costs_no_try_and_leaves_nothing_behind(
    redis_url: str, tmp_path: Path, disk: Path
) -> None:
    """Without a declared length nobody knows what is coming; the disk is full before the file is."""
    body = b"\xff\xd8\xff" + bytes(300 * KIB) + b"\xff\xd9"
    filled = asyncio.Event()

    async def halting(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + body[: 100 * KIB])
        await filled.wait()
        writer.write(body[100 * KIB :])
        await writer.drain()
        writer.close()

    async with (
        workplace(redis_url, tmp_path, storage_url=disk.as_uri(), fetch_schedule="10ms") as place,
        shop_of(place) as shop,
        origin.running({"/halting": halting}) as cdn,
    ):
        ref = await place.complete(place.payload(Scenario.CLEAN, outputs=[cdn.url("/halting")]))
        working = asyncio.create_task(process.process(shop, ref))
        await until(lambda: shop.room._coming, what="it is being kept")
        filler = fill(disk, but=4 * KIB)
        filled.set()
        await working
        waiting = await place.prediction(ref)
        assert (waiting["stage"], (await fields(place, ref))["failures"]) == (Stage.ACCEPTED, "0")
        assert "No space left" in waiting["error"]
        assert files(disk) == ["filler"]
        filler.unlink()
        await shop.room.look()
        await due_now(place, ref)
        assert (await place.worked(shop, ref))["stage"] == Stage.DONE


async def test_a_manifest_without_room_costs_no_try(redis_url: str, tmp_path: Path, disk: Path) -> None:
    async with workplace(redis_url, tmp_path, storage_url=disk.as_uri()) as place, shop_of(place) as shop:
        filler = fill(disk, but=0)
        ref = await place.complete(place.payload(Scenario.TEXT))
        await process.process(shop, ref)
        assert (await place.stage(ref), (await fields(place, ref))["failures"]) == (Stage.ACCEPTED, "0")
        filler.unlink()
        await shop.room.look()
        await due_now(place, ref)
        assert (await place.worked(shop, ref))["stage"] == Stage.DONE


async def test_a_worker_starts_on_a_full_disk_and_does_what_it_can(
    redis_url: str, tmp_path: Path, disk: Path
) -> None:
    async with workplace(redis_url, tmp_path, storage_url=disk.as_uri()) as place:
        filler = fill(disk, but=0)
        async with role(place, "work") as worker, role(place, "sweep"):
            waits = await place.complete(place.payload(Scenario.CLEAN))
            fails = await place.complete(place.payload(Scenario.FAILED))
            assert (await place.ended(fails))["stage"] == Stage.FAILED
            await until(place.told, what="the hook is told")
            assert (await place.prediction(waits))["attempts"] == 0
            filler.unlink()
            await until(lambda: "disk.has_room" in worker.said(), what="there is room")
            await due_now(place, waits)
            ended = await place.ended(waits)
            assert (ended["stage"], ended["attempts"]) == (Stage.DONE, 1)
        assert worker.said().count("disk.short") == 1
        assert worker.said().count("disk.has_room") == 1


@dataclass(eq=False)
class Announced:
    left: int


async def test_room_is_given_once_and_back_as_bytes_arrive(disk: Path) -> None:
    vault = open_vault(disk.as_uri(), None, threads=2)
    room = Room(vault, keep_free=100 * KIB)
    first, second = Announced(300 * KIB), Announced(300 * KIB)
    async with room.claimed(first, held=False):
        with pytest.raises(NoRoom) as refused:
            async with room.claimed(second, held=False):
                pass
        # Alone it would fit: the other will soon be over.
        assert refused.value.wait == COME_BACK
        first.left = 100 * KIB
        async with room.claimed(second, held=True):
            pass
    async with room.claimed(second, held=False):
        pass
    await vault.aclose()


@pytest.mark.parametrize(
    ("but", "size", "short", "wait"),
    [
        (110 * KIB, 20 * KIB, True, COME_BACK),
        (110 * KIB, 300 * KIB, True, COME_BACK),
        (400 * KIB, 1 << 40, False, COME_BACK_LARGE),
    ],
)
async def test_what_does_not_fit_makes_a_disk_short_only_when_it_nearly_is(
    disk: Path, but: int, size: int, short: bool, wait: float
) -> None:
    """Else one header of one origin would stop the fetching of all."""
    vault = open_vault(disk.as_uri(), None, threads=2)
    room = Room(vault, keep_free=100 * KIB)
    fill(disk, but=but)
    with pytest.raises(NoRoom) as refused:
        async with room.claimed(Announced(size), held=False):
            pass
    assert (room.short, refused.value.wait) == (short, wait)
    await vault.aclose()


async def test_held_files_with_a_disk_of_their_own_wait_alone(tmp_path: Path, disk: Path) -> None:
    vault = open_vault((tmp_path / "main").as_uri(), disk.as_uri(), threads=2)
    room = Room(vault, keep_free=100 * KIB)
    fill(disk, but=50 * KIB)
    await room.look()
    room.check(held=False)
    with pytest.raises(NoRoom, match=r"100\.0 KiB are to stay free"):
        room.check(held=True)
    await vault.aclose()


async def test_a_bucket_is_never_short() -> None:
    vault = open_vault("s3://bucket/outputs", None, threads=2)
    room = Room(vault, keep_free=None)
    await room.look()
    async with room.claimed(Announced(1 << 60), held=False):
        assert not room.short
    await vault.aclose()


@pytest.mark.parametrize(("but", "error"), [(0, NoRoom), (256 * KIB, StorageFullError)])
async def test_a_full_store_is_excused_only_by_a_short_disk(
    disk: Path, but: int, error: type[Exception]
) -> None:
    """A quota is none of the disk's: tries that are counted come to an end, others might not."""
    vault = open_vault(disk.as_uri(), None, threads=2)
    fill(disk, but=but)
    with pytest.raises(error):
        async with Room(vault, None).excusing():
            raise StorageFullError("no room for one more")
    await vault.aclose()


async def test_what_keeps_outputs_from_the_storage_is_told_until_it_takes_one(tmp_path: Path) -> None:
    vault = open_vault(tmp_path.as_uri(), None, threads=1)
    room = Room(vault, 0)
    await room.look()
    assert room.trouble == ""
    room.refused("the bucket is gone")
    assert room.trouble == "the storage fails: the bucket is gone"
    room.took()
    assert room.trouble == ""
    short = Room(vault, 1 << 60)
    await short.look()
    short.refused("the bucket is gone")
    assert short.trouble.startswith("no room: ")
    await vault.aclose()
