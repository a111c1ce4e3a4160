"""Two accounts on two Redis servers, and one `catchlight up` for all of it: each ends where it is at home."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import httpx
import pytest

from service.simulator.run import running
from service.simulator.simulator import DEMO_SECRET, SimulatorConfig
from tests.faults.backstage import Backstage
from tests.serving import OwnRedis
from tests.test_up import Up
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHARDS = {"a": "wavespeed", "b": "studio"}


@pytest.fixture
def backstage() -> Iterator[Backstage]:
    with Backstage() as stage:
        yield stage


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[dict[str, OwnRedis]]:
    found = {shard: OwnRedis(tmp_path / shard) for shard in SHARDS}
    yield found
    for one in found.values():
        one.kill()


def test_an_image_of_each_account_is_stored_by_its_own_shard(
    tmp_path: Path, backstage: Backstage, servers: dict[str, OwnRedis]
) -> None:
    worlds = {
        source: backstage.enter(running(SimulatorConfig(seed=number, delay=(0.1, 0.2))))
        for number, source in enumerate(SHARDS.values())
    }
    (tmp_path / "catchlight.toml").write_text(
        f'[[sources]]\nname = "studio"\nkey = "k"\nsecrets = "{DEMO_SECRET}"\n'
        f'provider_url = "{worlds["studio"][0]}/api/v3"\n'
        + "".join(
            f'[[shards]]\nname = "{shard}"\nredis_url = "{servers[shard].url}"\nsources = ["{source}"]\n'
            for shard, source in SHARDS.items()
        )
    )
    up = Up(
        tmp_path,
        webhook_secrets=DEMO_SECRET,
        wavespeed_api_key="k",
        provider_url=f"{worlds['wavespeed'][0]}/api/v3",
        fetch_hosts="127.0.0.1",
        fetch_private="127.0.0.0/8",
    )
    try:
        up.wait_ready()
        assert up.said().count("ready role=work") == up.said().count("ready role=sweep") == 2
        base = f"http://127.0.0.1:{up.port}"
        with httpx.Client(base_url=base, trust_env=False, timeout=20) as client:
            ids = {}
            for source, (_, simulator) in worlds.items():
                hook = f"{base}/webhooks/{source}"
                submit = partial(simulator.submit, "stories/painter", {"simulate": "clean"}, hook)
                ids[source] = backstage.call(submit).id
            for source, id_ in ids.items():

                def ended(id_: str = id_) -> bool:
                    found = client.get(f"/api/v1/predictions/{id_}").json()
                    return bool(found.get("stage") == "done" and found["outputs"][0]["uri"])

                wait_until(ended, 30, f"the image of {source} is stored")
            submitted = client.post(
                "/api/v1/predictions",
                params={"source": "studio"},
                json={"model": "stories/painter", "input": {"simulate": "clean"}},
            )
            assert (submitted.status_code, submitted.json()["source"]) == (201, "studio")
            for shard, source in SHARDS.items():
                listed = client.get("/api/v1/predictions", params={"shard": shard}).json()["items"]
                assert {one["source"] for one in listed} == {source}
                assert ids[source] in {one["id"] for one in listed}
    finally:
        up.close()
    assert up.process.returncode == 0
    manifests = [json.loads(path.read_text()) for path in tmp_path.rglob("manifest.json")]
    assert {one["source"] for one in manifests} == set(SHARDS.values())
