"""Retentions: files nobody may see, and callbacks that were turned away, go when their time is over."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from service import clock, keys
from service.ledger.query import Query
from service.ledger.refusals import Batch, RefusedCallback
from service.refusals import RefusedFor
from service.review import Decision
from service.simulator.scenario import Scenario
from service.storage import open_vault
from tests.commandline import CommandLine
from tests.workplace import AROUND, dispositions, shop_of, steps, workplace
from workers.reindex import Reindex

if TYPE_CHECKING:
    from pathlib import Path

    from service.prediction import Ref
    from tests.workplace import Workplace
    from workers.workshop import Workshop

pytestmark = pytest.mark.anyio

NOTHING, DAY = 0.001, 86_400.0


async def ended(place: Workplace, shop: Workshop, *decisions: Decision) -> Ref:
    """One of unknown class, told, and decided about."""
    ref = await place.complete(place.payload(Scenario.UNKNOWN))
    await place.worked(shop, ref)
    for decision in decisions:
        await place.ledger.reviews.decide(ref, 0, decision, "ada", "no")
        await place.worked(shop, ref)
    await place.delivered(shop, ref)
    return ref


async def queue(place: Workplace) -> list[Any]:
    return (await place.ledger.reading.held(Query(), 10, None))[0]


@pytest.mark.parametrize("compact", [False, True])
async def test_a_file_that_nobody_decided_about_goes_and_ledger_and_manifest_say_so(
    redis_url: str, tmp_path: Path, *, compact: bool
) -> None:
    async with workplace(redis_url, tmp_path) as place, shop_of(place) as shop:
        ref = await ended(place, shop)
        before, told = await place.prediction(ref), len(place.told())
        if compact:
            assert await place.ledger.compacting.compact(0, 10) == (1, 1)
        assert await place.ledger.pruning.hand_over("held", DAY, 10) == 0
        found = await place.ledger.pruning.due("held", NOTHING, clock.now())
        assert (found.files, found.bytes) == (1, before["outputs"][0]["bytes"])
        assert await place.ledger.pruning.hand_over("held", NOTHING, 10) == 1
        after = await place.worked(shop, ref)
        assert place.files() == []
        (output,) = after["outputs"]
        assert (output["disposition"], output["uri"], output["error"]) == ("lost", None, "retention")
        assert output["sha256"] == before["outputs"][0]["sha256"]
        assert "deleted: held for longer than" in json.dumps(after["timeline"])
        assert {name: after[name] for name in ("stage", "reason", "finished_at", "status")} == {
            name: before[name] for name in ("stage", "reason", "finished_at", "status")
        }
        manifest = place.manifest(ref, held=True)
        assert manifest is not None
        assert manifest["outputs"][0]["uri"] is None
        assert await queue(place) == []
        await place.delivered(shop, ref)
        assert len(place.told()) == told, "it is no news for hooks"
        assert await place.ledger.pruning.hand_over("held", NOTHING, 10) == 0
        assert await place.ledger.redis.exists(keys.KEPT_HELD) == 0


async def test_a_rejected_file_goes_and_stays_rejected(redis_url: str, tmp_path: Path) -> None:
    async with workplace(redis_url, tmp_path) as place, shop_of(place) as shop:
        ref = await ended(place, shop, Decision.REJECT)
        assert await place.ledger.pruning.hand_over("held", NOTHING, 10) == 0
        assert await place.ledger.pruning.hand_over("rejected", NOTHING, 10) == 1
        after = await place.worked(shop, ref)
        assert (place.files(), dispositions(after)) == ([], ["rejected"])
        assert (await place.ledger.pruning.due("rejected", NOTHING, clock.now())).files == 0
        await place.ledger.reviews.decide(ref, 0, Decision.UNDO, "ada", "oh")
        assert dispositions(await place.worked(shop, ref)) == ["rejected"], "there is nothing to take back"


async def test_what_was_released_or_taken_back_is_not_touched(redis_url: str, tmp_path: Path) -> None:
    async with workplace(redis_url, tmp_path) as place, shop_of(place) as shop:
        await ended(place, shop, Decision.APPROVE)
        back = await ended(place, shop, Decision.REJECT, Decision.UNDO)
        files = place.files()
        assert await place.ledger.pruning.hand_over("rejected", NOTHING, 10) == 0
        assert await place.ledger.pruning.hand_over("held", NOTHING, 10) == 1
        assert dispositions(await place.worked(shop, back)) == ["lost"]
        assert len(place.files()) == len(files) - 1


async def test_a_worker_deletes_nothing_that_became_younger_meanwhile(redis_url: str, tmp_path: Path) -> None:
    async with workplace(redis_url, tmp_path) as place, shop_of(place) as shop:
        ref = await ended(place, shop)
        assert await place.ledger.pruning.hand_over("held", NOTHING, 10) == 1
        await place.ledger.redis.hset(keys.PREDICTION + str(ref), "prune", json.dumps({"held": DAY}))
        after = await place.worked(shop, ref)
        assert (dispositions(after), len(place.files()), steps(after)[-1]) == (["held"], 1, "committed")
        assert len(await queue(place)) == 1
        assert await place.ledger.pruning.hand_over("held", NOTHING, 10) == 1


PROMPT = "a prompt of somebody"


async def said(place: Workplace, shop: Workshop, scenario: Scenario) -> Ref:
    ref = await place.complete(place.payload(scenario, input={"prompt": PROMPT}))
    await place.worked(shop, ref)
    await place.delivered(shop, ref)
    return ref


async def drop(place: Workplace) -> tuple[int, int]:
    return await place.ledger.pruning.drop_payloads(NOTHING, place.settings.retention, 10)


def written(place: Workplace) -> str:
    """All manifests there are."""
    return "".join(path.read_text() for path in place.outputs.rglob("manifest.json"))


async def in_the_ledger(place: Workplace, ref: Ref) -> Any:
    return await place.ledger.redis.hget(keys.PREDICTION + str(ref), "payload")


@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize("scenario", [Scenario.CLEAN, Scenario.UNKNOWN, Scenario.FAILED])
async def test_what_the_provider_said_goes_and_the_outputs_stay(
    redis_url: str, tmp_path: Path, scenario: Scenario, *, compact: bool
) -> None:
    async with workplace(redis_url, tmp_path) as place, shop_of(place) as shop:
        ref = await said(place, shop, scenario)
        before, told, files = await place.prediction(ref), len(place.told()), place.files()
        expires = await place.ledger.redis.zscore(keys.EXPIRY, str(ref))
        if compact:
            assert await place.ledger.compacting.compact(0, 10) == (1, 1)
        assert await place.ledger.pruning.drop_payloads(DAY, place.settings.retention, 10) == (0, 0)
        assert PROMPT in written(place)
        assert AROUND.webhook_id in written(place)
        assert await drop(place) == (1, 1)
        after = await place.worked(shop, ref)
        assert PROMPT not in written(place)
        assert '"payload_dropped_at"' in written(place)
        assert AROUND.webhook_id not in written(place)
        assert PROMPT not in str(await in_the_ledger(place, ref))
        assert (await place.record(ref)).callback is None
        same = ("stage", "reason", "finished_at", "status", "outputs", "error")
        assert {name: after[name] for name in same} == {name: before[name] for name in same}
        await place.delivered(shop, ref)
        assert (len(place.told()), place.files()) == (told, files)
        now = await place.ledger.redis.zscore(keys.EXPIRY, str(ref))
        assert (float(expires or 0) - 1) <= float(now or 0) <= float(expires or 0), (
            "it lives no longer for it"
        )
        assert await drop(place) == (0, 0)


async def test_two_manifests_lose_it_and_keep_their_texts(redis_url: str, tmp_path: Path) -> None:
    async with workplace(redis_url, tmp_path) as place, shop_of(place) as shop:
        clean = place.payload(Scenario.CLEAN)
        made = {"outputs": [clean["outputs"][0], "a text"], "has_nsfw_contents": [False, True]}
        ref = await place.complete(clean | made | {"input": {"prompt": PROMPT}})
        await place.worked(shop, ref)
        assert await drop(place) == (1, 1)
        await place.worked(shop, ref)
        shown, covered = place.manifest(ref), place.manifest(ref, held=True)
        assert shown is not None
        assert covered is not None
        assert shown["payload"] == {"outputs": [clean["outputs"][0], None]}
        assert covered["payload"] == {"outputs": made["outputs"]}
        assert shown["payload_dropped_at"] == covered["payload_dropped_at"]


async def test_a_replay_a_review_and_a_rebuilt_ledger_do_without_it(redis_url: str, tmp_path: Path) -> None:
    async with workplace(redis_url, tmp_path) as place, shop_of(place) as shop:
        ref = await said(place, shop, Scenario.UNKNOWN)
        assert await drop(place) == (1, 1)
        await place.worked(shop, ref)
        assert await place.ledger.compacting.compact(0, 10) == (1, 1)
        dropped = (place.manifest(ref, held=True) or {})["payload_dropped_at"]
        await place.ledger.reviews.decide(ref, 0, Decision.APPROVE, "ada", "yes")
        assert dispositions(await place.worked(shop, ref)) == ["released"]
        (place.outputs / place.files()[0]).unlink()
        await place.ledger.predictions.replay(ref)
        assert dispositions(await place.worked(shop, ref)) == ["released"], "fetched again and let go"
        await place.ledger.redis.flushall()
        vault = open_vault(place.settings.effective_storage_url, None, threads=2)
        report = await Reindex(place.ledger, vault, place.settings.retention, dry=False).run()
        await vault.aclose()
        assert report.rebuilt == 1
        assert (await drop(place))[1] == 0, "it is known to be dropped"
        await place.ledger.predictions.replay(ref)
        await place.worked(shop, ref)
        manifest = place.manifest(ref) or {}
        assert list(manifest["payload"]) == ["outputs"]
        assert (manifest["payload_dropped_at"], PROMPT in written(place)) == (dropped, False)


async def test_a_completion_that_comes_meanwhile_ends_as_what_it_is_with_its_payload(
    redis_url: str, tmp_path: Path
) -> None:
    async with workplace(redis_url, tmp_path) as place, shop_of(place) as shop:
        ref = await said(place, shop, Scenario.FAILED)
        assert await drop(place) == (1, 1)
        whole = place.payload(Scenario.CLEAN, id=ref.id, input={"prompt": PROMPT})
        await place.complete(whole)
        assert (await place.worked(shop, ref))["stage"] == "done"
        manifest = place.manifest(ref) or {}
        assert manifest["payload"]["input"] == {"prompt": PROMPT}
        assert "payload_dropped_at" not in manifest
        assert await drop(place) == (1, 1), "another time for it"
        await place.worked(shop, ref)
        assert PROMPT not in written(place)


async def test_the_command_drops_payloads_and_nothing_by_default(redis_url: str, tmp_path: Path) -> None:
    async with workplace(redis_url, tmp_path) as place, shop_of(place) as shop:
        refs = [await said(place, shop, Scenario.CLEAN) for _ in range(3)]
        cli = CommandLine(tmp_path, redis_url)
        assert cli.run("prune", "--json").json["payload"]["due"] == 0
        done = cli.run("prune", "--yes", "--json", payload_retention="1ms")
        assert (done.code, done.json["payload"]["due"], done.json["payload"]["done"]) == (0, 3, 3)
        for ref in refs:
            await place.worked(shop, ref)
        assert PROMPT not in written(place)


async def test_the_command_shows_first_and_acts_when_told(redis_url: str, tmp_path: Path) -> None:
    async with workplace(redis_url, tmp_path) as place, shop_of(place) as shop:
        ref = await ended(place, shop)
        old = RefusedCallback(clock.now() - 10 * DAY, "s", RefusedFor.SIGNATURE, "why", None, 3, None)
        new = RefusedCallback(clock.now(), "s", RefusedFor.SIGNATURE, "why", None, 3, None)
        await place.ledger.refusals.write(Batch("p", 1, {RefusedFor.SIGNATURE: 2}, [old, new]))
        cli = CommandLine(tmp_path, redis_url)
        given = {"held_retention": "1ms", "refused_retention": "1d"}
        asked = cli.run("prune", "--json", **given)
        assert (asked.code, asked.json["held"]["due"], asked.json["refused"]["due"]) == (2, 1, 1)
        assert asked.json["held"]["bytes"] > 0
        assert cli.run("prune").code == 0, "nothing is due that is not asked for"
        done = cli.run("prune", "--yes", "--json", **given)
        assert (done.code, done.json["held"]["done"], done.json["refused"]["done"]) == (0, 1, 1)
        assert dispositions(await place.worked(shop, ref)) == ["lost"]
        items, _ = await place.ledger.refusals.page(10, None)
        assert [one.at for one in items] == [round(new.at, 3)]


@pytest.mark.parametrize("name", ["held_retention", "rejected_retention", "payload_retention"])
def test_a_retention_has_to_end_while_the_ledger_knows_of_it(name: str, tmp_path: Path) -> None:
    ran = CommandLine(tmp_path, None).run("config", "check", **{name: "30d"})
    assert (ran.code, "CATCHLIGHT_RETENTION" in ran.err) == (2, True)
