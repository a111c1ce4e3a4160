"""Two accounts on two Redis servers, and one `catchlight up` for both; then they change places."""

from __future__ import annotations

import json
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from service.simulator.run import running
from service.simulator.simulator import DEMO_SECRET, SimulatorConfig
from tests.faults.backstage import Backstage
from tests.serving import OwnRedis
from tests.test_up import Up
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from service.simulator.simulator import Simulator

HOMES = {"a": "wavespeed", "b": "studio"}
MODEL = "stories/painter"
CLEAN = {"simulate": "clean"}


class Town:
    """The accounts' providers, the two servers, and an `up` with the pins that it is started with."""

    def __init__(self, folder: Path, backstage: Backstage) -> None:
        self._folder = folder
        self._backstage = backstage
        self._providers: dict[str, str] = {}
        self._simulators: dict[str, Simulator] = {}
        for seed, source in enumerate(HOMES.values()):
            entered = backstage.enter(running(SimulatorConfig(seed=seed, delay=(0.1, 0.2))))
            self._providers[source], self._simulators[source] = entered
        self.servers = {shard: OwnRedis(folder / shard) for shard in HOMES}
        self.client: httpx.Client

    @contextmanager
    def up(self, homes: Mapping[str, str]) -> Iterator[Up]:
        (self._folder / "catchlight.toml").write_text(
            f'[[sources]]\nname = "studio"\nkey = "k"\nsecrets = "{DEMO_SECRET}"\n'
            f'provider_url = "{self._providers["studio"]}/api/v3"\n'
            + "".join(self._shard(shard, source) for shard, source in homes.items())
        )
        up = Up(
            self._folder,
            webhook_secrets=DEMO_SECRET,
            wavespeed_api_key="k",
            provider_url=f"{self._providers['wavespeed']}/api/v3",
            fetch_hosts="127.0.0.1",
            fetch_private="127.0.0.0/8",
            poll_after="2s",
            # What it lists is not to be what finds them.
            reconcile_every="0",
        )
        try:
            up.wait_ready()
            with httpx.Client(
                base_url=f"http://127.0.0.1:{up.port}", trust_env=False, timeout=20
            ) as self.client:
                yield up
        finally:
            up.close()
        assert up.process.returncode == 0

    def _shard(self, name: str, source: str) -> str:
        url = self.servers[name].url
        return f'[[shards]]\nname = "{name}"\nredis_url = "{url}"\nsources = ["{source}"]\n'

    def generate(self, source: str, *, called_back: bool = True) -> str:
        """By somebody else, at the provider; the id."""
        hook = f"{self.client.base_url}/webhooks/{source}" if called_back else None
        return self._backstage.call(partial(self._simulators[source].submit, MODEL, CLEAN, hook)).id

    def ended(self, id_: str) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def over() -> bool:
            found.update(self.client.get(f"/api/v1/predictions/{id_}").json())
            return bool(found.get("stage") == "done" and found["outputs"][0]["uri"])

        wait_until(over, 30, f"{id_} is stored")
        return found

    def listed(self, shard: str) -> dict[str, str]:
        items = self.client.get("/api/v1/predictions", params={"shard": shard}).json()["items"]
        return {one["id"]: one["source"] for one in items}


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with Backstage() as backstage:
        town = Town(tmp_path, backstage)
        yield town
        for one in town.servers.values():
            one.kill()


def test_each_account_is_served_by_its_shard_and_one_that_moves_loses_nothing(
    town: Town, tmp_path: Path
) -> None:
    with town.up(HOMES) as up:
        assert up.said().count("ready role=work") == up.said().count("ready role=sweep") == 2
        ids = {source: town.generate(source) for source in HOMES.values()}
        for source, id_ in ids.items():
            assert town.ended(id_)["source"] == source
        submitted = town.client.post(
            "/api/v1/predictions", params={"source": "studio"}, json={"model": MODEL, "input": CLEAN}
        )
        assert (submitted.status_code, submitted.json()["source"]) == (201, "studio")
        for shard, source in HOMES.items():
            assert set(town.listed(shard).values()) == {source}
            assert ids[source] in town.listed(shard)
        unheard = town.generate("wavespeed", called_back=False)
        assert town.client.post(f"/api/v1/predictions/{unheard}/track").status_code == 202

    with town.up({"a": "studio", "b": "wavespeed"}):
        found = town.ended(unheard)
        assert found["received_via"] == "poll", "its shard still asks for what began there"
        after = town.generate("wavespeed")
        town.ended(after)
        assert unheard in town.listed("a")
        assert (after in town.listed("a"), after in town.listed("b")) == (False, True)
    manifests = [json.loads(path.read_text()) for path in tmp_path.rglob("manifest.json")]
    assert {one["source"] for one in manifests} == set(HOMES.values())
