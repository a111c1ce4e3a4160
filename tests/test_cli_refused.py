"""`refused`: what was turned away and why, and for each reason what to do."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from service import clock
from service.ledger.refusals import Batch, RefusedCallback
from service.refusals import RefusedFor, remedy
from tests.commandline import CommandLine, in_ledger
from tests.serving import callback, serving, sign

if TYPE_CHECKING:
    from pathlib import Path

AWAY = "redis://127.0.0.1:1/0"
ONE = RefusedCallback(0, "wavespeed", RefusedFor.SIGNATURE, "no signature matches", "192.0.2.7", 512, "msg_1")


@pytest.fixture
def cli(tmp_path: Path, redis_url: str) -> CommandLine:
    return CommandLine(tmp_path, redis_url)


def refuse(redis_url: str, *sample: RefusedCallback, **counts: int) -> None:
    at = clock.now() - 180
    told = [dataclasses.replace(one, at=at) for one in sample]
    batch = Batch("p", 1, {RefusedFor(word): n for word, n in counts.items()}, told)
    in_ledger(redis_url, lambda ledger: ledger.refusals.write(batch))


async def api_said(redis_url: str) -> Any:
    async with serving(redis_url) as server:
        return (await server.client.get("/api/v1/refused", params={"limit": 2})).json()


def test_for_machines_it_is_the_apis_object(cli: CommandLine, redis_url: str) -> None:
    async def turn_away() -> None:
        async with serving(redis_url) as server:
            for number in range(3):
                body = callback(f"p{number}")
                assert (await server.call_back(body, sign(body, secret="other"))).status_code == 401

    asyncio.run(turn_away())
    ran = cli.run("refused", "--limit", "2", "--json")
    assert ran.code == 0
    assert ran.json == asyncio.run(api_said(redis_url))
    assert (len(ran.json["items"]), ran.json["totals"]) == (2, {"signature": 3})


def test_people_read_who_came_when_and_why_it_was_refused(cli: CommandLine, redis_url: str) -> None:
    refuse(redis_url, ONE, signature=1)
    ran = cli.run("refused")
    assert (ran.code, ran.err) == (0, "")
    for told in ("3 min ago", "signature", "no signature matches", "wavespeed", "192.0.2.7", "512", "msg_1"):
        assert told in ran.out


@pytest.mark.parametrize("reason", RefusedFor)
def test_each_reason_has_its_number_and_what_to_do(
    cli: CommandLine, redis_url: str, reason: RefusedFor
) -> None:
    refuse(redis_url, dataclasses.replace(ONE, reason=reason), **{reason: 4321})
    line = next(line for line in cli.run("refused").out.splitlines() if "4321" in line)
    assert line.split()[:2] == [reason, "4321"]
    assert line.endswith(remedy(reason, ["/webhooks/wavespeed"]))


def test_the_most_frequent_reason_is_told_first(cli: CommandLine, redis_url: str) -> None:
    refuse(redis_url, ONE, encoding=2, signature=30, gone=1)
    totals = cli.run("refused").out.splitlines()[-3:]
    assert [line.split()[0] for line in totals] == ["signature", "encoding", "gone"]


def test_a_list_goes_on_where_it_ended(cli: CommandLine, redis_url: str) -> None:
    refuse(redis_url, *(dataclasses.replace(ONE, source=f"n{number}") for number in range(3)), signature=3)
    shown = cli.run("refused", "--limit", "2")
    assert shown.err.startswith("more: --cursor ")
    rest = cli.run("refused", "--cursor", shown.err.split()[-1], "--json").json
    assert [one["source"] for one in rest["items"]] == ["n0"]
    assert rest["next"] is None


def test_when_nothing_was_refused_it_says_so(cli: CommandLine) -> None:
    ran = cli.run("refused")
    assert (ran.code, ran.out, ran.err) == (0, "", "no callback was refused\n")
    assert cli.run("refused", "--json").json == {"items": [], "next": None, "totals": {}}


def test_no_strangers_text_steers_the_terminal(cli: CommandLine, redis_url: str) -> None:
    refuse(redis_url, dataclasses.replace(ONE, source="\x1b[2Jgone\r\nsource"), signature=1)
    for shown in (cli.run("refused").out, cli.run("refused", "--json").out):
        assert "[2Jgone" in shown
        assert "\x1b" not in shown
        assert "\r" not in shown


def test_redis_away_is_exit_4(cli: CommandLine) -> None:
    ran = cli.run("refused", redis_url=AWAY)
    assert (ran.code, ran.out) == (4, "")
    assert ran.err.startswith("error: Redis does not answer")


@pytest.mark.parametrize("options", [["--limit", "201"], ["--cursor", "x"]])
def test_odd_options_are_exit_2(options: list[str], cli: CommandLine) -> None:
    assert cli.run("refused", *options).code == 2
