"""Redis is gone with all it had: what had ended comes back from the manifests, and nobody is told again."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import redis

from service import clock
from tests import forged
from tests.stories.house import House

if TYPE_CHECKING:
    from pathlib import Path

KINDS = (
    *("clean", "multi", "flagged", "flagged", "unknown", "unknown", "text", "empty"),
    *("failed", "moderation", "expired", "duplicate"),
)
LATER = ("delivered", "called_back")
"""Lines that also come when it has ended."""
MOMENT = 2.0
"""Seconds: a manifest is written just before the commit that it tells of."""


def catchlight(house: House, *arguments: str) -> tuple[int, Any]:
    command = [sys.executable, "-m", "service.cli", *arguments, "--json"]
    done = forged.run(command, env=house.environment, cwd=house.folder, timeout=60)
    return done.returncode, json.loads(done.stdout)


def everything(house: House) -> list[dict[str, Any]]:
    """All that the API lists, newest first, each as it is shown alone."""
    listed: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = house.client.get("/api/v1/predictions", params={"limit": 5, "cursor": cursor}).json()
        listed += [house.show(item["id"]) for item in page["items"]]
        cursor = page["next"]
    return listed


def waiting(house: House) -> Any:
    return house.client.get("/api/v1/review").json()


def told(one: dict[str, Any]) -> dict[str, Any]:
    """Without what came after the manifest, and to the moment."""
    lines = [(line["step"], line["detail"]) for line in one["timeline"] if line["step"] not in LATER]
    same = {name: one[name] for name in one if name not in ("deliveries", "finished_at")}
    return same | {"timeline": lines}


def ended_at(one: dict[str, Any]) -> float:
    instant = clock.parse_rfc3339(one["finished_at"])
    assert instant is not None
    return instant


def test_it_is_rebuilt_from_storage_and_equals_the_one_that_was(tmp_path: Path) -> None:
    with House(tmp_path / "house", {"reconcile_every": "0"}) as house:
        ids = [house.submit(kind, order=number) for number, kind in enumerate(KINDS)]
        for id_ in ids:
            house.ended(id_)
        unknown = [id_ for id_, kind in zip(ids, KINDS, strict=True) if kind == "unknown"]
        for id_, decision in zip(unknown, ("approve", "reject"), strict=True):
            said = {"by": "ada", "reason": "looked"}
            assert house.client.post(f"/api/v1/review/{id_}/0/{decision}", json=said).status_code == 202
            house.ended(id_)
        before, queue = everything(house), waiting(house)
        assert len(before) == len(KINDS)
        assert queue["items"]
        attempts = len(house.world.sink.seen)
        house.end("sweep")
        house.end("work")

        with redis.Redis.from_url(house.environment["CATCHLIGHT_REDIS_URL"]) as server:
            server.flushall()
        assert everything(house) == []
        code, done = catchlight(house, "reindex", "--from", "storage", "--yes")
        assert (code, done["rebuilt"], done["unreadable"]) == (0, len(KINDS), 0)

        after = everything(house)
        for one, was in zip(after, before, strict=True):
            assert told(one) == told(was)
        assert all(
            abs(ended_at(one) - ended_at(was)) < MOMENT for one, was in zip(after, before, strict=True)
        )
        assert waiting(house) == queue

        house.start("work")
        house.start("sweep")
        # It is no picture of a ledger but one: what is held can be decided about, and only that is told.
        held = queue["items"][0]["id"]
        house.client.post(f"/api/v1/review/{held}/{queue['items'][0]['index']}/approve", json={"by": "ada"})
        released = house.ended(held)
        assert "released" in [output["disposition"] for output in released["outputs"]]
        assert [line["type"] for line in house.world.sink.seen[attempts:]] == ["output.released"]
        fresh = house.submit("clean")
        house.ended(fresh)
        assert [one["id"] for one in everything(house)] == [fresh, *(one["id"] for one in before)]
