"""A replay of a query: exactly what was listed, in the same words; stopped, carried on, and run again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from standardwebhooks import Webhook

from tests.forged import Forged
from tests.stories.house import HOOK_SECRET
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.stories.house import House


def catchlight(house: House, *arguments: str) -> Forged:
    return Forged(
        [sys.executable, "-m", "service.cli", *arguments],
        env=house.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def ran(house: House, *arguments: str) -> Any:
    """What it printed as JSON."""
    process = catchlight(house, *arguments)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return json.loads(out)


def attempts(house: House, id_: str) -> list[dict[str, Any]]:
    """All that the hook got about a prediction; the official verifier has accepted each."""
    lines = [line for line in house.world.sink.seen if line["prediction"] == id_]
    for line in lines:
        headers = {
            name: line[name.removeprefix("webhook-")] for name in ("webhook-timestamp", "webhook-signature")
        }
        Webhook(HOOK_SECRET).verify(line["body"], headers | {"webhook-id": line["event_id"]})
    return lines


def told_twice(house: House, id_: str) -> None:
    wait_until(lambda: len(attempts(house, id_)) >= 2, what=f"{id_} is told twice")


def submitted(house: House) -> int:
    return len(house.world.simulator.truth()["predictions"])


def ended(house: House, model: str, scenario: str, count: int) -> list[str]:
    ids = [house.submit(scenario, model=model) for _ in range(count)]
    for id_ in ids:
        house.ended(id_)
    return ids


def over(house: House, run_id: str) -> dict[str, Any]:
    def shown() -> dict[str, Any]:
        found: dict[str, Any] = house.client.get(f"/api/v1/runs/{run_id}").json()
        return found if found["state"] == "ended" else {}

    wait_until(shown, 20, f"{run_id} has ended")
    return shown()


def test_exactly_what_was_listed_is_told_again_with_the_same_ids(house: House) -> None:
    listed = ended(house, "stories/replayed-a", "clean", 3)
    order = {"query": "model:stories/replayed-a* hook:sample", "from": "deliver", "rate": 50}
    plan = house.client.post("/api/v1/runs", json=order | {"dry_run": True}).json()
    assert (plan["state"], plan["total"]) == ("planned", 3)
    (later,) = ended(house, "stories/replayed-also", "clean", 1)
    before = {id_: attempts(house, id_) for id_ in listed}

    house.client.post(f"/api/v1/runs/{plan['id']}/resume")

    run = over(house, plan["id"])
    assert (run["done"], run["skipped"], run["failed"]) == (3, 0, 0)
    for id_ in listed:
        told_twice(house, id_)
        first, second = attempts(house, id_)
        assert [first] == before[id_]
        assert (second["event_id"], second["body"]) == (first["event_id"], first["body"])
    assert len(attempts(house, later)) == 1


def test_a_run_that_was_killed_goes_on_where_it_was(house: House) -> None:
    ids = ended(house, "stories/replayed-b", "clean", 6)
    asked = ("replay", "model:stories/replayed-b", "--from", "deliver", "--rate", "4", "--yes")
    process = catchlight(house, *asked)

    def position() -> int:
        items = house.client.get("/api/v1/runs").json()["items"]
        return next((run["position"] for run in items if run["query"] == asked[1]), 0)

    wait_until(lambda: position() >= 2, 30, "it has begun")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert 2 <= position() < 6

    run_id = house.client.get("/api/v1/runs").json()["items"][0]["id"]
    run = ran(house, "runs", "resume", run_id, "--json")

    assert (run["state"], run["done"], run["position"]) == ("ended", 6, 6)
    for id_ in ids:
        told_twice(house, id_)
        house.ended(id_)
    assert [len(attempts(house, id_)) for id_ in ids] == [2] * 6
    assert [len({line["event_id"] for line in attempts(house, id_)}) for id_ in ids] == [1] * 6


def test_the_failures_of_a_run_are_run_again_and_nothing_else(house: House) -> None:
    (fine,) = ended(house, "stories/replayed-c", "clean", 1)
    (gone,) = ended(house, "stories/replayed-c", "expired", 1)
    before = submitted(house)
    run = ran(house, "replay", "model:stories/replayed-c", "--rate", "50", "--yes", "--json")
    assert run["done"] == 2
    for id_ in (fine, gone):
        house.ended(id_)
    assert over(house, run["id"])["became"] == {"done": 1, "expired": 1}

    again = ran(house, "runs", "again", run["id"], "--yes", "--json")

    assert (again["total"], again["done"], again["again_of"]) == (1, 1, run["id"])
    house.ended(gone)
    replayed = {
        id_: [line["step"] for line in house.show(id_)["timeline"]].count("replayed") for id_ in (fine, gone)
    }
    assert replayed == {fine: 1, gone: 2}
    assert len({line["event_id"] for line in attempts(house, gone)}) == 1
    assert submitted(house) == before, "a replay submits nothing"
