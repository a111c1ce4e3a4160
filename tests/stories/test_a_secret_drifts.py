"""The provider signs with another secret from one day on: nothing is lost, and a person mends it."""

from __future__ import annotations

import dataclasses
import json
import time
from typing import TYPE_CHECKING

import pytest

from service.simulator.simulator import SimulatorConfig
from tests.commandline import CommandLine, Ran, in_ledger
from tests.serving import sign
from tests.stories.house import House
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OLD, NEW = "whsec_of-yesterday", "whsec_of-today"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    config = SimulatorConfig(delay=(0.1, 0.3), callback_retry_base=0.2, secrets=(OLD,))
    with House(tmp_path, {"webhook_secrets": OLD, "drift_after": "3"}, config) as house:
        yield house


def catchlight(house: House, *arguments: str) -> Ran:
    ran = CommandLine(house.folder, None).run_in(house.environment, *arguments)
    assert OLD not in ran.out + ran.err
    assert NEW not in ran.out + ran.err
    return ran


def drifted(house: House) -> bool:
    last = in_ledger(house.environment["CATCHLIGHT_REDIS_URL"], lambda ledger: ledger.secrets.last())
    return [one["state"] for one in last] == ["drifted"]


def test_a_secret_that_changed_at_the_provider_is_told_and_never_replaced_by_itself(house: House) -> None:
    assert house.ended(house.submit("clean"))["received_via"] == "callback"
    simulator = house.world.simulator
    simulator.config = dataclasses.replace(simulator.config, secrets=(NEW,))

    found = house.ended(house.submit("clean"))
    assert (found["stage"], found["received_via"]) == ("done", "poll"), "refused, and not lost"

    wait_until(lambda: "secret.drifted" in house.log("serve"), 20, "it is logged")
    assert "catchlight connect" in house.log("serve")
    wait_until(lambda: drifted(house), 20, "it is on record")
    fixes = {one["name"]: one["fix"] for one in catchlight(house, "status", "--json").json["problems"]}
    assert fixes["secret"] == "catchlight connect"
    checks = {one["name"]: one for one in catchlight(house, "doctor", "--json").json["checks"]}
    assert (checks["secret"]["state"], checks["secret"]["fix"]) == ("fail", "catchlight connect")

    body = json.dumps({"id": "pred_new", "status": "processing"}).encode()
    signed = sign(body, time.time(), secret=NEW)
    answer = house.client.post("/webhooks/wavespeed", content=body, headers=signed)
    assert answer.status_code == 401, "whoever made callbacks fail has not chosen whom we believe"

    first = catchlight(house, "connect", "--write", str(house.folder / "new"), "--json")
    assert (first.code, first.json["secret"], first.json["test"]["result"]) == (5, "differs", "skipped")
    assert "restart `serve`" in first.json["steps"][0]

    house.environment["CATCHLIGHT_WEBHOOK_SECRETS"] = f"{OLD},{(house.folder / 'new').read_text().strip()}"
    early = catchlight(house, "connect", "--json")
    assert (early.code, early.json["test"]["result"]) == (4, "refused"), "`serve` has not been restarted"
    house.end("serve")
    house.start("serve")
    second = catchlight(house, "connect", "--json")
    assert (second.code, second.json["test"]["result"], second.json["steps"]) == (0, "verified", [])
    assert second.json["submit"].endswith("%2Fwebhooks%2Fwavespeed")
    assert house.ended(house.submit("clean"))["received_via"] == "callback"
    wait_until(lambda: not drifted(house), 20, "and it is over")
