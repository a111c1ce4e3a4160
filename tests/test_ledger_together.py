"""Calls of scripts that share a round trip: whose answer is whose, and what one may do to the others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import ConnectionError as RedisAway
from redis.exceptions import ResponseError

from service import embedded
from service.errors import LedgerDown
from service.ledger.connection import connect
from service.ledger.scripts import Scripts
from service.ledger.together import MOST, Together
from tests.serving import own_redis
from tests.workplace import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from redis.commands.core import AsyncScript

    from service.ledger.connection import Redis

pytestmark = pytest.mark.anyio

SAY = "return ARGV[1]"
COUNT = "return redis.call('INCR', 'count')"
FAIL = "return redis.error_reply('ERR ' .. ARGV[1])"


class Watched(Together):
    """Notes how many calls go in each pipeline, and holds them back while `open` is not set."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis)
        self.redis = redis
        self.pipelines: list[int] = []
        self.open = asyncio.Event()
        self.open.set()

    async def _pipelined(self, calls: Sequence[Any]) -> list[Any]:
        self.pipelines.append(len(calls))
        await self.open.wait()
        return await super()._pipelined(calls)

    def script(self, source: str) -> AsyncScript:
        return self.redis.register_script(source)

    async def loaded(self, *sources: str) -> None:
        for source in sources:
            await self.redis.script_load(source)

    def say(self, word: object) -> asyncio.Task[Any]:
        return asyncio.create_task(self.run(self.script(SAY), [str(word)]))

    async def run(self, script: AsyncScript, arguments: Sequence[str | float | bytes]) -> Any:
        """Whoever is forgotten finds out."""
        async with asyncio.timeout(10):
            return await super().run(script, arguments)


BROKEN = "return {'\\255\\254', 'x'}"


@pytest.fixture
async def together(redis_url: str) -> AsyncIterator[Watched]:
    """On a server that knows the scripts already."""
    redis = connect(redis_url)
    watched = Watched(redis)
    await watched.loaded(SAY, COUNT, FAIL, BROKEN)
    yield watched
    await redis.aclose()


async def test_everybody_gets_his_own_answer(together: Watched) -> None:
    assert await asyncio.gather(*(together.say(n) for n in range(40))) == [str(n) for n in range(40)]
    assert together.pipelines == [40]


async def test_a_lone_call_waits_for_nobody(together: Watched) -> None:
    for n in range(3):
        assert await together.say(n) == str(n)
    assert together.pipelines == [1, 1, 1]


async def test_what_is_asked_while_others_are_under_way_goes_next_as_one_pipeline(together: Watched) -> None:
    together.open.clear()
    first = together.say("first")
    await until(lambda: together.pipelines == [1])
    others = [together.say(n) for n in range(20)]
    await until(lambda: len(together._calls) == 20)
    assert together.pipelines == [1]
    together.open.set()
    assert await asyncio.gather(first, *others) == ["first", *map(str, range(20))]
    assert together.pipelines == [1, 20]


async def test_more_than_fit_in_one_round_trip_make_two(together: Watched) -> None:
    calls = [together.say(n) for n in range(2 * MOST + 10)]
    assert await asyncio.gather(*calls) == [str(n) for n in range(2 * MOST + 10)]
    assert together.pipelines == [MOST, MOST, 10]


async def test_a_scripts_error_is_its_own_callers_trouble(together: Watched) -> None:
    wrong = asyncio.create_task(together.run(together.script(FAIL), ["that is wrong"]))
    answers = await asyncio.gather(together.say(1), wrong, together.say(2), return_exceptions=True)
    assert together.pipelines == [3]
    assert [answers[0], answers[2]] == ["1", "2"]
    assert isinstance(answers[1], ResponseError)
    assert "that is wrong" in str(answers[1])


async def test_a_server_that_has_forgotten_the_scripts_runs_each_call_once(together: Watched) -> None:
    await together.redis.script_flush()
    counting = [together.run(together.script(COUNT), []) for _ in range(10)]
    *counts, said = await asyncio.gather(*counting, together.say("word"))
    assert sorted(counts) == [*range(1, 11)]
    assert said == "word"
    assert together.pipelines == [11, 11]
    assert await together.say("again") == "again"
    assert together.pipelines == [11, 11, 1]


async def test_what_a_server_does_know_is_not_run_a_second_time(together: Watched) -> None:
    """Of two versions side by side, say, each has loaded its own."""
    await together.redis.script_flush()
    await together.loaded(COUNT)
    count = asyncio.create_task(together.run(together.script(COUNT), []))
    assert [*await asyncio.gather(together.say("a"), count, together.say("b"))] == ["a", 1, "b"]
    assert together.pipelines == [3, 2]
    assert await together.redis.get("count") == "1"


async def test_whoever_gives_up_disturbs_nobody(together: Watched) -> None:
    together.open.clear()
    under_way = [together.say(n) for n in range(3)]
    await until(lambda: together.pipelines == [3])
    waiting = [together.say(n) for n in range(3, 6)]
    await until(lambda: len(together._calls) == 3)
    under_way[1].cancel()
    waiting[1].cancel()
    together.open.set()
    answers = await asyncio.gather(*under_way, *waiting, return_exceptions=True)
    assert [type(answer) for answer in answers[1::3]] == [asyncio.CancelledError] * 2
    assert [*answers[0::3], *answers[2::3]] == ["0", "3", "2", "5"]


async def test_when_all_have_given_up_the_next_is_answered(together: Watched) -> None:
    together.open.clear()
    given_up = together.say("nobody hears it")
    await until(lambda: together.pipelines == [1])
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    together.open.set()
    assert await together.say("next") == "next"


async def test_a_redis_that_is_away_is_everybodys_trouble() -> None:
    redis = connect(embedded.url(embedded.free_port()))
    scripts = Scripts(redis, together=True)
    answers = await asyncio.gather(*(scripts.run("trim") for _ in range(5)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {LedgerDown}
    assert len(set(map(id, answers))) == 5
    await redis.aclose()


async def test_a_redis_that_came_back_empty_answers_again(tmp_path: Path) -> None:
    with own_redis(tmp_path) as server:
        redis = connect(server.url)
        together = Watched(redis)
        assert await together.run(together.script(SAY), ["before"]) == "before"
        server.kill()
        with pytest.raises(RedisAway):
            await together.say("away")
        server.start()
        assert await asyncio.gather(*(together.say(n) for n in range(5))) == [str(n) for n in range(5)]
        await redis.aclose()


async def test_an_argument_that_cannot_be_written_is_its_own_callers_trouble(together: Watched) -> None:
    """A hostile job may name half of a character; beside it a delivery that was made is written down."""
    one, bad, other = together.say("one"), together.say("\ud800"), together.say("other")
    answers = await asyncio.gather(one, bad, other, return_exceptions=True)
    assert (answers[0], answers[2]) == ("one", "other")
    assert isinstance(answers[1], UnicodeEncodeError)
    assert sum(together.pipelines) == 2


async def test_an_answer_that_cannot_be_read_is_its_own_callers_trouble(together: Watched) -> None:
    """A corrupt record may hold anything."""
    bad = asyncio.create_task(together.run(together.script(BROKEN), []))
    answers = await asyncio.gather(together.say("one"), bad, together.say("other"), return_exceptions=True)
    assert (answers[0], answers[2]) == ("one", "other")
    assert isinstance(answers[1], UnicodeDecodeError)
    assert await together.say("later") == "later"
