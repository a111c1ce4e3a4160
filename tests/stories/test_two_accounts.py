"""Two provider accounts, and both have a prediction of the same id: neither is ever taken for the other."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import httpx
import pytest

from service.simulator.simulator import SimulatorConfig
from tests.commandline import CommandLine
from tests.serving import sign
from tests.stories.house import House, World
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS, THEIRS = "whsec_of-the-default-account", "whsec_of-the-studio"
KEY = "the-studio's-key"
# Of one seed, so that the first id of one is the first id of the other.
SAME = SimulatorConfig(delay=(0.1, 0.3), callback_retry_base=0.2, seed=7)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Another provider, which only its own key opens."""
    config = replace(SAME, secrets=(THEIRS,), api_key=KEY)
    with World(tmp_path_factory.mktemp("studio"), config) as world:
        yield world


@pytest.fixture(scope="module")
def house(studio: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("accounts")
    (folder / "secret").write_text(f"{THEIRS}\n")
    tables = (
        f'\n[[sources]]\nname = "studio"\nkey = "{KEY}"\nsecrets = {{ file = "{folder}/secret" }}\n'
        f'path = "/hooks/of-the-studio"\nprovider_url = "{studio.provider}/api/v3"\npoll_rate = "50/s"\n'
        'moderation = { flagged = "drop" }\n'
    )
    config = replace(SAME, secrets=(OURS,), api_key="k")
    changes = {"webhook_secrets": OURS, "wavespeed_api_key": "k"}
    with House(folder, changes, config, tables) as house:
        yield house


def called_back(house: House, id_: str, source: str) -> bool:
    return "called_back" in {line["step"] for line in house.show(id_, source).get("timeline", ())}


def test_one_id_of_two_accounts_is_two_predictions(house: House, studio: World) -> None:
    ours = house.submit("flagged")
    theirs = house.submit("flagged", source="studio")
    assert ours == theirs, "that is what this story is about"

    first, second = house.ended(ours, source="wavespeed"), house.ended(theirs, source="studio")
    for name, found in (("wavespeed", first), ("studio", second)):
        assert (found["source"], found["stage"]) == (name, "done")
        wait_until(partial(called_back, house, ours, name), 10, f"the callback of {name}")
    assert first["outputs"][0]["disposition"] == "held"
    assert second["outputs"][0]["disposition"] == "dropped", "the studio's own word on moderation"

    ambiguous = house.client.get(f"/api/v1/predictions/{ours}")
    assert (ambiguous.status_code, "wavespeed, studio" in ambiguous.json()["detail"]) == (409, True)
    unknown = house.client.get(f"/api/v1/predictions/{ours}?source=nobody")
    assert unknown.status_code == 404
    cli = CommandLine(house.folder, None)
    assert cli.run_in(house.environment, "show", ours).code != 0
    told = cli.run_in(house.environment, "show", ours, "--source", "studio", "--json")
    assert told.json["source"] == "studio"
    assert {event["data"]["source"] for event in house.heard(ours)} == {"wavespeed", "studio"}


def test_the_files_of_the_other_account_stand_in_its_folder(house: House) -> None:
    id_ = house.ended(house.submit("clean", source="studio"), source="studio")["id"]
    manifests = [path for path in (house.folder / "outputs").rglob("manifest.json") if id_ in str(path)]
    assert [path.relative_to(house.folder / "outputs").parts[0] for path in manifests] == ["studio"]


@pytest.mark.parametrize(
    ("path", "secret", "status"),
    [
        ("/hooks/of-the-studio", THEIRS, 200),
        ("/hooks/of-the-studio", OURS, 401),
        ("/webhooks/wavespeed", OURS, 200),
        ("/webhooks/wavespeed", THEIRS, 401),
        ("/webhooks/studio", THEIRS, 404),
        ("/hooks/of-the-studio/", THEIRS, 404),
    ],
)
def test_a_secret_opens_the_door_of_its_own_account_alone(
    path: str, secret: str, status: int, house: House
) -> None:
    body = json.dumps({"id": "pred_door", "status": "processing"}).encode()
    answer = httpx.post(house.base + path, content=body, headers=sign(body, secret=secret), trust_env=False)
    assert answer.status_code == status


def test_a_lost_callback_of_either_is_polled_for_with_its_own_key(house: House) -> None:
    for source in ("wavespeed", "studio"):
        found = house.ended(house.submit("lost", source=source), source=source)
        assert (found["stage"], found["received_via"]) == ("done", "poll")


def test_what_nobody_told_us_of_is_found_in_the_history_of_its_account(house: House, studio: World) -> None:
    async def elsewhere() -> None:
        studio.simulator.submit("stories/elsewhere", {"prompt": "a fox", "simulate": "text"})

    studio.run(elsewhere())
    listed = f"/api/v1/predictions?query={'model:stories/elsewhere source:studio'}"
    wait_until(lambda: house.client.get(listed).json()["items"], 20, "it is adopted")
    (found,) = house.client.get(listed).json()["items"]
    assert found["source"] == "studio"
    reports = CommandLine(house.folder, None).run_in(house.environment, "reconcile", "--last", "--json").json
    assert {one["source"] for one in reports["sources"]} == {"wavespeed", "studio"}


def test_an_account_that_is_not_declared_is_named_as_what_is_wrong(house: House) -> None:
    body = {"model": "stories/painter", "input": {"prompt": "a fox"}}
    answer = house.client.post("/api/v1/predictions?source=nobody", json=body)
    assert (answer.status_code, "nobody" in answer.text) == (422, True)
    tracked = house.client.post("/api/v1/predictions/pred_1/track?source=nobody", json={})
    assert tracked.status_code == 422
