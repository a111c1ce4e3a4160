"""The command line before two shards: it finds what has an id, and asks for a name where it must."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from service.intake import Intake
from service.ledger import Ledger
from service.prediction import Ref
from tests.commandline import NOWHERE, RETENTION, CommandLine, awaited, completed
from tests.serving import OwnRedis

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from service.ledger import Arrival


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRedis]:
    own = OwnRedis(tmp_path_factory.mktemp("second"))
    yield own
    own.kill()


@pytest.fixture
def cli(tmp_path: Path, redis_url: str, second: OwnRedis) -> CommandLine:
    (tmp_path / "catchlight.toml").write_text(
        '[[sources]]\nname = "studio"\nsecrets = "whsec_studio"\n'
        f'[[shards]]\nname = "a"\nredis_url = "{redis_url}"\nsources = ["wavespeed"]\n'
        f'[[shards]]\nname = "b"\nredis_url = "{second.url}"\nsources = ["studio"]\n'
    )
    return CommandLine(tmp_path, None)


def accepted(url: str, arrival: Arrival, source: str) -> None:
    async def act() -> None:
        ledger = Ledger(url, RETENTION)
        try:
            await Intake(ledger).accept(replace(arrival, ref=Ref(source, arrival.ref.id)))
        finally:
            await ledger.aclose()

    asyncio.run(act())


def test_they_are_listed_with_who_lives_there_and_how_they_do(cli: CommandLine, second: OwnRedis) -> None:
    found = cli.run("shards", "--json")
    a, b = found.json["shards"]
    assert (a["shard"], a["sources"], a["answers"], a["backlog"]) == ("a", ["wavespeed"], True, 0)
    assert (b["shard"], b["sources"], b["answers"]) == ("b", ["studio"], True)
    assert "studio" in cli.run("shards").out
    second.kill()
    try:
        away = cli.run("shards", "--json")
        assert (away.code, [one["answers"] for one in away.json["shards"]]) == (4, [True, False])
        status = cli.run("status", "--json")
        assert (status.code, status.json["shards"]["b"]["redis"]) == (4, False)
        assert status.json["shards"]["a"]["redis"]
        assert "shard a" in cli.run("status").out, "one that is away hides none of the others"
        (down,) = [one for one in cli.run("doctor", "--json").json["checks"] if one["name"] == "b.redis"]
        assert down["state"] == "fail"
    finally:
        second.start()
    assert {one["name"] for one in cli.run("doctor", "--json").json["checks"]} >= {
        "a.redis.write",
        "b.redis.write",
    }


def test_an_id_is_found_wherever_it_is(cli: CommandLine, redis_url: str, second: OwnRedis) -> None:
    accepted(redis_url, completed("of_a"), "wavespeed")
    accepted(second.url, awaited("of_b"), "studio")
    assert cli.run("show", "of_a", "--json").json["source"] == "wavespeed"
    assert cli.run("show", "of_b", "--json").json["source"] == "studio"
    assert "of_b" in cli.run("explain", "of_b").out
    assert cli.run("show", "nowhere").code == 3
    accepted(second.url, completed("twin"), "studio")
    accepted(redis_url, completed("twin"), "wavespeed")
    both = cli.run("show", "twin")
    assert both.code == 1
    assert "wavespeed on a, studio on b" in both.err
    assert cli.run("show", "twin", "--source", "studio", "--json").json["source"] == "studio"
    assert cli.run("--shard", "a", "show", "twin", "--json").json["source"] == "wavespeed"


def test_what_each_has_for_itself_takes_a_name(cli: CommandLine, second: OwnRedis) -> None:
    accepted(second.url, awaited("listed"), "studio")
    unnamed = cli.run("ls")
    assert unnamed.code == 2
    assert "there are several: a, b" in unnamed.err
    assert "catchlight --shard NAME" in unnamed.err
    ids = [one["id"] for one in cli.run("--shard", "b", "ls", "--json").json["items"]]
    assert "listed" in ids
    assert cli.run("--shard", "a", "ls", "--json").json["items"] == []
    by_variable = cli.run("ls", "--json", shard="b").json["items"]
    assert [one["id"] for one in by_variable] == ids
    unknown = cli.run("--shard", "c", "ls")
    assert (unknown.code, "there is no shard c: [[shards]] are a, b" in unknown.err) == (2, True)


def test_what_begins_goes_where_its_source_is_at_home(cli: CommandLine, redis_url: str) -> None:
    assert cli.run("track", "mine", "--json").json["items"][0]["source"] == "wavespeed"
    assert cli.run("--shard", "a", "show", "mine").code == 0
    assert cli.run("track", "theirs", "--source", "studio").code == 0
    assert cli.run("--shard", "b", "show", "theirs").code == 0
    elsewhere = cli.run("--shard", "b", "track", "astray")
    assert elsewhere.code == 2
    assert "wavespeed is at home on the shard a, and this is b" in elsewhere.err


def test_without_any_there_is_nothing_to_list(tmp_path: Path, redis_url: str) -> None:
    told = CommandLine(tmp_path, redis_url).run("shards", provider_url=NOWHERE)
    assert (told.code, "no [[shards]] are declared" in told.err) == (3, True)
