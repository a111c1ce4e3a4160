"""Reviews carried out by a worker: files, manifests and events, also when something fails on the way."""

from __future__ import annotations

import json
import shutil
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from service.prediction import Disposition, Reason, Ref, Stage
from service.review import Decision
from service.simulator.media import render
from service.simulator.scenario import Scenario
from tests import origin
from tests.faults.moves import illegal_moves
from tests.workplace import dispositions, role, shop_of, steps, until, workplace
from workers import commits, process, workshop
from workers.outputs import plan

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.workplace import Workplace
    from workers.workshop import Workshop

pytestmark = pytest.mark.anyio

APPROVE, REJECT, UNDO = Decision
HELD, RELEASED, REJECTED = Disposition.HELD, Disposition.RELEASED, Disposition.REJECTED
STORED, LOST, SKIPPED = Disposition.STORED, Disposition.LOST, Disposition.SKIPPED


@asynccontextmanager
async def at_work(redis_url: str, folder: Path, **changes: Any) -> AsyncIterator[tuple[Workplace, Workshop]]:
    async with workplace(redis_url, folder, **changes) as place, shop_of(place) as shop:
        yield place, shop


async def held(place: Workplace, shop: Workshop, **changes: Any) -> Ref:
    """One output of unknown class that has ended held, with everything told."""
    ref = await place.complete(place.payload(Scenario.UNKNOWN, **changes))
    assert HELD in dispositions(await place.worked(shop, ref))
    await place.delivered(shop, ref)
    assert set(types(place)) == {"prediction.completed", "output.held"}
    return ref


async def decided(
    place: Workplace, shop: Workshop, ref: Ref, decision: Decision, index: int = 0
) -> dict[str, Any]:
    """Written down, carried out and told."""
    await place.ledger.reviews.decide(ref, index, decision, "ada", "looks fine")
    ended = await place.worked(shop, ref)
    await place.delivered(shop, ref)
    return ended


def told_of(place: Workplace, type_: str) -> list[dict[str, Any]]:
    """The one output of each event of that type."""
    return [json.loads(line["body"])["data"]["outputs"][0] for line in place.told(type_)]


def types(place: Workplace) -> list[str]:
    return [line["type"] for line in place.told()]


def told_since(place: Workplace) -> list[str]:
    """Types of what was told after a prediction with one output had ended held."""
    return types(place)[2:]


async def test_an_approved_file_stands_at_its_normal_place_and_hooks_are_told_where(
    redis_url: str, tmp_path: Path
) -> None:
    async with at_work(redis_url, tmp_path) as (place, shop):
        ref = await held(place, shop)
        before = await place.prediction(ref)
        (file,) = place.files()
        data = (place.outputs / file).read_bytes()
        after = await decided(place, shop, ref, APPROVE)
        (output,) = after["outputs"]
        normal = file.removeprefix("held/")
        assert (place.files(), (place.outputs / normal).read_bytes()) == ([normal], data)
        assert output == before["outputs"][0] | {
            "disposition": RELEASED,
            "uri": (place.outputs / normal).as_uri(),
        }
        assert told_since(place) == ["output.released"]
        assert told_of(place, "output.released") == [output]
        assert (after["stage"], after["reason"], after["finished_at"]) == (
            Stage.DONE, None, before["finished_at"]
        )  # fmt: skip
        assert steps(after)[len(steps(before)) :] == [
            *("reviewed", "leased", "judged", "stored", "committed", "event"),
        ]


async def test_the_manifest_follows_the_file_and_tells_who_decided(redis_url: str, tmp_path: Path) -> None:
    async with at_work(redis_url, tmp_path) as (place, shop):
        ref = await held(place, shop)
        after = await decided(place, shop, ref, APPROVE)
        manifest = place.manifest(ref)
        assert manifest is not None
        assert place.manifest(ref, held=True) is None
        assert [output["uri"] for output in manifest["outputs"]] == [after["outputs"][0]["uri"]]
        (review,) = manifest["reviews"]
        assert (review["decision"], review["by"], review["reason"]) == ("approve", "ada", "looks fine")
        assert "0 approved by ada: looks fine" in [line["detail"] for line in manifest["timeline"]]
        await decided(place, shop, ref, UNDO)
        manifest = place.manifest(ref, held=True)
        assert manifest is not None
        assert place.manifest(ref) is None
        assert [output["disposition"] for output in manifest["outputs"]] == [HELD]


async def test_a_rejected_file_stays_held_and_leads_nobody_to_it(redis_url: str, tmp_path: Path) -> None:
    async with at_work(redis_url, tmp_path) as (place, shop):
        ref = await held(place, shop)
        files = place.files()
        after = await decided(place, shop, ref, REJECT)
        assert (dispositions(after), after["outputs"][0]["uri"]) == ([REJECTED], None)
        assert place.files() == files
        (told,) = told_of(place, "output.rejected")
        assert (told["disposition"], told["uri"], told["sha256"]) == (REJECTED, None, None)
        assert told_since(place) == ["output.rejected"]
        assert "held/" not in "".join(line["body"] for line in place.told())
        back = await decided(place, shop, ref, UNDO)
        assert dispositions(back) == [HELD]
        assert back["outputs"][0]["uri"] == (place.outputs / files[0]).as_uri()
        assert place.files() == files


async def test_approved_undone_and_approved_again_is_told_each_time_under_an_id_of_its_own(
    redis_url: str, tmp_path: Path
) -> None:
    async with at_work(redis_url, tmp_path) as (place, shop):
        ref = await held(place, shop)
        files = place.files()
        await decided(place, shop, ref, APPROVE)
        undone = await decided(place, shop, ref, UNDO)
        assert (dispositions(undone), place.files()) == ([HELD], files)
        assert undone["outputs"][0]["uri"] == (place.outputs / files[0]).as_uri()
        again = await decided(place, shop, ref, APPROVE)
        assert told_since(place) == ["output.released", "output.held", "output.released"]
        assert len({line["event_id"] for line in place.told()}) == 5
        assert list(illegal_moves(again["timeline"])) == []


async def test_a_replay_tells_how_it_stands_again_and_nothing_under_a_new_id(
    redis_url: str, tmp_path: Path
) -> None:
    async with at_work(redis_url, tmp_path) as (place, shop):
        ref = await held(place, shop)
        released = await decided(place, shop, ref, APPROVE)
        before = {line["event_id"] for line in place.told()}
        await place.ledger.predictions.replay(ref)
        after = await place.worked(shop, ref)
        await place.delivered(shop, ref)
        assert after["outputs"] == released["outputs"]
        assert sorted(types(place)[3:]) == ["output.released", "prediction.completed"]
        assert {line["event_id"] for line in place.told()} == before


async def test_a_replay_releases_again_what_somebody_removed(redis_url: str, tmp_path: Path) -> None:
    async with at_work(redis_url, tmp_path) as (place, shop):
        ref = await held(place, shop)
        released = await decided(place, shop, ref, APPROVE)
        (file,) = place.files()
        (place.outputs / file).unlink()
        await place.ledger.predictions.replay(ref)
        after = await place.worked(shop, ref)
        assert (after["outputs"], place.files()) == (released["outputs"], [file])
        assert place.manifest(ref, held=True) is None


async def test_other_bytes_than_the_person_saw_are_held_again(redis_url: str, tmp_path: Path) -> None:
    pages = {"/0.png": origin.answer(render("seen", 0, "png"))}
    async with at_work(redis_url, tmp_path) as (place, shop), origin.running(pages) as cdn:
        ref = await held(place, shop, outputs=[cdn.url("/0.png")])
        await decided(place, shop, ref, APPROVE)
        (file,) = place.files()
        (place.outputs / file).unlink()
        pages["/0.png"] = origin.answer(render("another", 0, "png"))
        await place.ledger.predictions.replay(ref)
        after = await place.worked(shop, ref)
        await place.delivered(shop, ref)
        assert dispositions(after) == [HELD]
        assert [path.startswith("held/") for path in place.files()] == [True]
        assert len({line["event_id"] for line in place.told("output.held")}) == 2


async def test_an_approval_that_waits_for_its_file_says_nothing_of_another(
    redis_url: str, tmp_path: Path
) -> None:
    pages = {"/0.png": origin.answer(render("seen", 0, "png"))}
    async with at_work(redis_url, tmp_path) as (place, shop), origin.running(pages) as cdn:
        ref = await held(place, shop, outputs=[cdn.url("/0.png")])
        (place.outputs / place.files()[0]).unlink()
        await decided(place, shop, ref, APPROVE)
        pages["/0.png"] = origin.answer(render("another", 0, "png"))
        await place.ledger.predictions.replay(ref)
        after = await place.worked(shop, ref)
        assert dispositions(after) == [HELD]
        assert any("stays: other bytes than were approved" in line["detail"] for line in after["timeline"])


async def test_a_review_touches_no_other_output(redis_url: str, tmp_path: Path) -> None:
    async with at_work(redis_url, tmp_path) as (place, shop):
        said = place.payload(Scenario.CLEAN)
        three = {"outputs": said["outputs"] * 3, "has_nsfw_contents": [False, True, True]}
        ref = await held(place, shop, **three)
        before = await place.prediction(ref)
        after = await decided(place, shop, ref, APPROVE, 2)
        assert dispositions(after) == [STORED, HELD, RELEASED]
        assert after["outputs"][:2] == before["outputs"][:2]
        assert [output["index"] for output in told_of(place, "output.released")] == [2]
        assert types(place).count("output.held") == 2


@pytest.mark.parametrize("approved", [True, False])
async def test_a_flag_that_is_stricter_than_the_person_knew_takes_the_file_back(
    redis_url: str, tmp_path: Path, approved: bool
) -> None:
    """Be the approval carried out already, or still waiting for a worker."""
    async with at_work(redis_url, tmp_path) as (place, shop):
        said = place.payload(Scenario.UNKNOWN)
        ref = await place.complete(said)
        await place.worked(shop, ref)
        await place.ledger.reviews.decide(ref, 0, APPROVE, "ada", "")
        if approved:
            assert dispositions(await place.worked(shop, ref)) == [RELEASED]
        await place.complete(said | {"has_nsfw_contents": [True]})
        after = await place.worked(shop, ref)
        await place.delivered(shop, ref)
        assert (dispositions(after), after["outputs"][0]["nsfw"]) == ([HELD], "flagged")
        assert [path.startswith("held/") for path in place.files()] == [True]
        assert (place.manifest(ref) is None, place.manifest(ref, held=True) is None) == (True, False)
        assert any("stricter than when it was approved" in line["detail"] for line in after["timeline"])
        assert sorted(types(place)) == [
            *(["output.held"] * (2 if approved else 1)),
            *(["output.released"] * approved),
            "prediction.completed",
        ]
        again = await decided(place, shop, ref, APPROVE)
        assert dispositions(again) == [RELEASED], "a person who knows may still release it"


async def test_a_released_file_is_taken_back_though_the_disk_is_short(redis_url: str, tmp_path: Path) -> None:
    """Beside another output that is still to be fetched, for which there is no room."""
    async with at_work(redis_url, tmp_path) as (place, shop), origin.running() as cdn:
        cdn.scripts["/gone"] = origin.answer(status=404)
        said = place.payload(Scenario.UNKNOWN)
        both = said | {"outputs": [*said["outputs"], cdn.url("/gone")]}
        ref = await place.complete(both)
        assert dispositions(await place.worked(shop, ref)) == [HELD, LOST]
        assert dispositions(await decided(place, shop, ref, APPROVE)) == [RELEASED, LOST]
        await place.ledger.predictions.replay(ref)
        await place.complete(both | {"has_nsfw_contents": [True, True]})
        short = place.settings.model_copy(update={"disk_free": 1 << 60})
        async with workshop.opened(short, "short") as elsewhere:
            await elsewhere.room.look()
            await process.process(elsewhere, ref)
        assert dispositions(await place.prediction(ref)) == [HELD, None]
        assert [path.startswith("held/") for path in place.files()] == [True]


async def test_a_duplicate_that_says_what_the_person_knew_changes_nothing(
    redis_url: str, tmp_path: Path
) -> None:
    async with at_work(redis_url, tmp_path) as (place, shop):
        said = place.payload(Scenario.CLEAN, has_nsfw_contents=[True])
        ref = await place.complete(said)
        await place.worked(shop, ref)
        released = await decided(place, shop, ref, APPROVE)
        for flags in ([True], [False], None):
            await place.complete(said | {"has_nsfw_contents": flags})
            assert (await place.worked(shop, ref))["outputs"] == released["outputs"]


async def test_a_type_that_is_not_allowed_may_be_released_by_a_person_and_keeps_its_error(
    redis_url: str, tmp_path: Path
) -> None:
    page = origin.answer(b"<!doctype html><p>a page</p>")
    async with at_work(redis_url, tmp_path) as (place, shop), origin.running({"/0": page}) as cdn:
        ref = await held(place, shop, outputs=[cdn.url("/0")], has_nsfw_contents=[False])
        after = await decided(place, shop, ref, APPROVE)
        (output,) = after["outputs"]
        assert (output["disposition"], output["error"]) == (RELEASED, "type_not_allowed")
        assert place.files()[0].endswith("/0.bin")
        back = await decided(place, shop, ref, UNDO)
        assert (dispositions(back), back["outputs"][0]["nsfw"]) == ([HELD], "clean")


async def test_what_is_dead_stays_dead_while_its_held_output_is_released(
    redis_url: str, tmp_path: Path
) -> None:
    async with at_work(redis_url, tmp_path) as (place, shop):
        ref = await held(place, shop)
        await place.ledger.predictions.replay(ref)
        record = await place.ledger.predictions.lease(ref, 10, "here")
        assert record is not None
        outputs = plan(record, record.payload["outputs"])
        end = commits.given_up(shop, record, outputs, Reason.CRASHES_EXHAUSTED, "it crashed")
        assert await place.ledger.predictions.commit(ref, Stage.WORKING, record.token, end)
        await place.delivered(shop, ref)
        before = types(place)
        assert "prediction.dead" in before
        after = await decided(place, shop, ref, APPROVE)
        assert (after["stage"], after["reason"], after["error"]) == (
            Stage.DEAD, Reason.CRASHES_EXHAUSTED, "it crashed"
        )  # fmt: skip
        assert dispositions(after) == [RELEASED]
        assert types(place)[len(before) :] == ["output.released"]


async def test_a_review_after_a_replay_fetches_nothing(redis_url: str, tmp_path: Path) -> None:
    async with at_work(redis_url, tmp_path) as (place, shop):
        both = [*place.payload(Scenario.UNKNOWN)["outputs"], "http://elsewhere.example/1.png"]
        ref = await held(place, shop, outputs=both)
        await place.ledger.predictions.replay(ref)
        replayed = await place.worked(shop, ref)
        assert dispositions(replayed) == [HELD, LOST]
        after = await decided(place, shop, ref, APPROVE)
        assert (dispositions(after), after["error"]) == ([RELEASED, LOST], replayed["error"])
        assert steps(after).count("fetched") == steps(replayed).count("fetched")


async def test_a_held_file_that_is_gone_cannot_be_released_until_a_replay_has_fetched_it(
    redis_url: str, tmp_path: Path
) -> None:
    async with at_work(redis_url, tmp_path) as (place, shop):
        ref = await held(place, shop)
        (file,) = place.files()
        (place.outputs / file).unlink()
        after = await decided(place, shop, ref, APPROVE)
        assert (after["stage"], dispositions(after), place.files()) == (Stage.DONE, [HELD], [])
        assert any("0 could not be released" in line["detail"] for line in after["timeline"])
        assert told_since(place) == []
        await place.ledger.predictions.replay(ref)
        assert dispositions(await place.worked(shop, ref)) == [RELEASED]
        assert place.files() == [file.removeprefix("held/")]


async def test_a_released_file_that_is_gone_is_held_again_all_the_same(
    redis_url: str, tmp_path: Path
) -> None:
    async with at_work(redis_url, tmp_path) as (place, shop):
        ref = await held(place, shop)
        (held_file,) = place.files()
        await decided(place, shop, ref, APPROVE)
        (place.outputs / place.files()[0]).unlink()
        after = await decided(place, shop, ref, UNDO)
        assert (after["stage"], dispositions(after)) == (Stage.DONE, [HELD])
        assert after["outputs"][0]["uri"] == (place.outputs / held_file).as_uri()
        await place.ledger.predictions.replay(ref)
        assert dispositions(await place.worked(shop, ref)) == [HELD]
        assert place.files() == [held_file]


def blocked(place: Workplace, decision: Decision) -> Path:
    """A file where the folder belongs that the decision moves to."""
    (file,) = place.files()
    slug = file.removeprefix("held/").split("/")[0]
    folder = place.outputs / ("held" if decision is UNDO else "") / slug
    if folder.exists():
        shutil.rmtree(folder)
    folder.write_text("a file where the folder belongs")
    return folder


@pytest.mark.parametrize("decision", [APPROVE, UNDO])
async def test_a_storage_that_fails_for_a_while_delays_a_review(
    redis_url: str, tmp_path: Path, decision: Decision
) -> None:
    async with at_work(redis_url, tmp_path) as (place, shop):
        ref = await held(place, shop)
        if decision is UNDO:
            await decided(place, shop, ref, APPROVE)
        (file,) = place.files()
        before = await place.prediction(ref)
        obstacle = blocked(place, decision)
        await place.ledger.reviews.decide(ref, 0, decision, "ada", "")
        await process.process(shop, ref)
        waiting = await place.prediction(ref)
        assert (waiting["stage"], waiting["outputs"]) == (Stage.ACCEPTED, before["outputs"])
        assert file in place.files()
        obstacle.unlink()
        after = await place.worked(shop, ref)
        assert (after["stage"], dispositions(after), after["error"]) == (
            Stage.DONE, [HELD if decision is UNDO else RELEASED], None
        )  # fmt: skip
        assert [path.startswith("held/") for path in place.files()] == [decision is UNDO]


async def test_a_storage_that_fails_through_the_schedule_ends_the_review_and_not_the_prediction(
    redis_url: str, tmp_path: Path
) -> None:
    async with at_work(redis_url, tmp_path, fetch_schedule="10ms,10ms") as (place, shop):
        ref = await held(place, shop)
        obstacle = blocked(place, APPROVE)
        after = await decided(place, shop, ref, APPROVE)
        assert (after["stage"], after["reason"], dispositions(after)) == (Stage.DONE, None, [HELD])
        assert any("could not be carried out" in line["detail"] for line in after["timeline"])
        assert told_since(place) == []
        obstacle.unlink()
        again = await decided(place, shop, ref, APPROVE)
        assert dispositions(again) == [RELEASED]
        assert told_since(place) == ["output.released"]


@pytest.mark.parametrize("decision", [APPROVE, UNDO])
async def test_what_was_moved_before_a_crash_is_found_where_it_is(
    redis_url: str, tmp_path: Path, decision: Decision
) -> None:
    async with at_work(redis_url, tmp_path) as (place, shop):
        ref = await held(place, shop)
        if decision is UNDO:
            await decided(place, shop, ref, APPROVE)
        record = await place.ledger.reading.record(ref)
        assert record is not None
        await place.ledger.reviews.decide(ref, 0, decision, "ada", "")
        to_held = decision is UNDO
        await shop.vault.move(record.outputs[0]["key"], from_held=not to_held, to_held=to_held)
        after = await place.worked(shop, ref)
        (file,) = place.files()
        assert dispositions(after) == [HELD if to_held else RELEASED]
        assert (file.startswith("held/"), after["outputs"][0]["uri"]) == (
            to_held, (place.outputs / file).as_uri()
        )  # fmt: skip


@pytest.mark.parametrize("place_of_death", ["manifest.before", "commit.before"])
async def test_a_worker_that_is_killed_between_the_move_and_the_commit_changes_nothing_of_the_end(
    redis_url: str, tmp_path: Path, place_of_death: str
) -> None:
    async with at_work(redis_url, tmp_path, lease="2s") as (place, shop):
        ref = await held(place, shop)
        (file,) = place.files()
        await place.ledger.reviews.decide(ref, 0, APPROVE, "ada", "")
        async with role(place, "work", ready=False, failpoints=f"{place_of_death}=kill") as worker:
            await until(lambda: worker.process.poll() is not None, what="the worker is dead")
        assert worker.process.returncode == -signal.SIGKILL
        between = await place.prediction(ref)
        assert (between["stage"], dispositions(between)) == (Stage.WORKING, [HELD])
        assert place.files() == [file.removeprefix("held/")]
        after = await place.worked(shop, ref)
        await place.delivered(shop, ref)
        assert (after["stage"], dispositions(after)) == (Stage.DONE, [RELEASED])
        assert place.files() == [file.removeprefix("held/")]
        assert (place.manifest(ref) is None, place.manifest(ref, held=True) is None) == (False, True)
        assert told_since(place) == ["output.released"]


@pytest.mark.parametrize("crashed", [False, True], ids=["at once", "after a crash"])
async def test_other_bytes_at_the_normal_place_stay_and_the_released_file_stands_beside_them(
    redis_url: str, tmp_path: Path, crashed: bool
) -> None:
    async with at_work(redis_url, tmp_path) as (place, shop):
        ref = await held(place, shop)
        (file,) = place.files()
        normal = file.removeprefix("held/")
        taken = place.outputs / normal
        taken.parent.mkdir(parents=True)
        taken.write_bytes(b"other bytes")
        if crashed:
            await shop.vault.move(normal, from_held=True, to_held=False)
        after = await decided(place, shop, ref, APPROVE)
        (output,) = after["outputs"]
        assert taken.read_bytes() == b"other bytes"
        assert output["uri"] == taken.with_suffix(f".{output['sha256'][:8]}{taken.suffix}").as_uri()
        assert "conflict" in steps(after)
        await decided(place, shop, ref, UNDO)
        assert taken.read_bytes() == b"other bytes"
        assert sum(path.startswith("held/") for path in place.files()) == 1
