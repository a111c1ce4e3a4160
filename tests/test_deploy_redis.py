"""deploy/redis.conf and users.acl on real servers: what they promise, and what they refuse to whom."""

from __future__ import annotations

import ast
import asyncio
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from redis import exceptions as redis_errors
from redis.commands import CoreCommands

from service import embedded, keys
from service.ledger import Ledger, durability, scripts
from service.ledger.durability import State
from tests import shipped
from tests.builders import RETENTION, accept, callback, completed, ref, stage_of
from tests.house import sources
from workers import worker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.shipped import Shipped

FOREIGN = "somebody:elses"

COMMANDS = """
CONFIG SET maxmemory 1 | CONFIG REWRITE | CONFIG RESETSTAT | FLUSHALL | FLUSHDB | SWAPDB 0 1 | SELECT 1
KEYS * | RANDOMKEY | DBSIZE | SORT catchlight:x BY nosort GET somebody:* | MONITOR | SUBSCRIBE rq:pubsub:x
CLIENT LIST | CLIENT KILL TYPE normal | CLIENT PAUSE 1 | MODULE LIST | MODULE LOAD /tmp/x.so | DEBUG SLEEP 0
SHUTDOWN NOSAVE | REPLICAOF NO ONE | REPLICAOF 127.0.0.1 1 | FAILOVER | SAVE | BGSAVE | BGREWRITEAOF
ACL LIST | ACL WHOAMI | ACL LOAD | ACL SETUSER catchlight +@all | SCRIPT FLUSH | SCRIPT KILL | FUNCTION LIST
EVAL return(1) 0 | PUBLISH rq:pubsub:x y | LATENCY RESET | SLOWLOG RESET | DUMP catchlight:x
MIGRATE 127.0.0.1 1 catchlight:x 0 1 | RENAME catchlight:x catchlight:y | COPY catchlight:x catchlight:y
SCAN 0 | GET somebody:elses | SET somebody:elses 1 | DEL somebody:elses | EXISTS somebody:elses
HGETALL somebody:elses | MGET catchlight:x somebody:elses | LMOVE rq:queue:x somebody:elses LEFT RIGHT
EVALSHA 0123456789012345678901234567890123456789 1 somebody:elses
"""
"""What the user of our processes may not do, whatever the server is asked to."""

BODIES = """
redis.call('GET', 'somebody:elses') | redis.call('SET', 'somebody:elses', '1') | redis.call('KEYS', '*')
redis.call('GET', 'some' .. 'body:elses') | redis.call('RPUSH', 'somebody:elses', 'x')
redis.call('LMOVE', 'rq:queue:x', 'somebody:elses', 'LEFT', 'LEFT') | redis.call('FLUSHALL')
redis.call('CONFIG', 'SET', 'maxmemory', '1') | redis.call('DEL', 'somebody:elses')
redis.call('SHUTDOWN') | redis.call('SELECT', '1') | redis.call('PUBLISH', 'rq:pubsub:x', 'y')
"""


METHODS = {
    "config_get": "config|get",
    "delete": "del",
    "execute_command": "evalsha",  # with an option that the method of that name does not take
    "register_script": "evalsha",
    "script_load": "script|load",
}
"""Of the client library, where a method has another name than its command."""


def rows(text: str) -> list[str]:
    return [row.strip() for line in text.strip().splitlines() for row in line.split(" | ")]


@pytest.fixture(scope="module", params=shipped.BOTH)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shipped]:
    with shipped.running(request.param, tmp_path_factory.mktemp("shipped")) as server:
        with server.client("admin") as admin:
            admin.set(FOREIGN, "theirs")
        yield server


@pytest.mark.parametrize("command", rows(COMMANDS))
def test_the_user_of_our_processes_may_not(command: str, server: Shipped) -> None:
    # MODULE and DEBUG are refused to everybody, before anybody's rights are looked at.
    with server.client() as ours, pytest.raises(redis_errors.ResponseError, match=r"permissions|not allowed"):
        ours.execute_command(*command.split())
    with server.client("admin") as admin:
        assert admin.get(FOREIGN) == "theirs"


@pytest.mark.parametrize("body", rows(BODIES))
def test_a_script_has_the_rights_of_its_user_also_for_keys_that_it_does_not_declare(
    body: str, server: Shipped
) -> None:
    says = r"user executing the script|ACL failure in script|not allowed from script"
    with server.client() as ours, pytest.raises(redis_errors.ResponseError, match=says):
        ours.evalsha(ours.script_load(f"return {body}"), 0)
    with server.client("admin") as admin:
        assert admin.get(FOREIGN) == "theirs"


def test_a_script_reaches_what_is_ours(server: Shipped) -> None:
    """The table above would also hold for a server on which no script runs at all."""
    with server.client() as ours:
        sha = ours.script_load(
            f"redis.call('SET', '{keys.PROBE}', 'x') return redis.call('GET', '{keys.PROBE}')"
        )
        assert ours.evalsha(sha, 0) == "x"


@pytest.mark.parametrize("name", ["default", "rq", "catchlight", "nobody"])
def test_nobody_gets_in_without_the_right_password(name: str, server: Shipped) -> None:
    for given in ("", "wrong", shipped.ABOVE if name == "catchlight" else server.password):
        with server.login(name, given) as client, pytest.raises(redis_errors.AuthenticationError):
            client.exists(keys.PROBE)


def test_without_a_login_nothing_is_answered(server: Shipped) -> None:
    with server.login() as client, pytest.raises(redis_errors.AuthenticationError):
        client.exists(keys.PROBE)


def test_rqs_own_tools_reach_nothing_but_rqs_keys(server: Shipped) -> None:
    forbidden = (
        "FLUSHALL | CONFIG GET * | KEYS * | SHUTDOWN | ACL LIST | FUNCTION FLUSH | SELECT 1 | SUBSCRIBE x"
    )
    keyed = f"GET {keys.TALLY} | COPY rq:queues {keys.PROBE} | HGETALL {FOREIGN}"
    with server.client("rq") as client:
        for command in rows(f"{forbidden} | {keyed}"):
            with pytest.raises(redis_errors.NoPermissionError):
                client.execute_command(*command.split())
        assert client.sadd("rq:queues", "rq:queue:catchlight") in (0, 1)


@pytest.mark.parametrize("kind", shipped.BOTH)
def test_a_server_does_not_start_before_it_has_a_password(kind: str, tmp_path: Path) -> None:
    users = tmp_path / "users.acl"
    users.write_text(shipped.USERS.read_text())
    started = shipped.command(kind, users, tmp_path, embedded.free_port())
    done = subprocess.run(started, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode != 0
    assert "users.acl:2" in done.stdout
    assert "password hash" in done.stdout


def test_the_server_is_as_durable_as_is_promised(server: Shipped) -> None:
    with server.client("admin") as admin:
        assert admin.config_get("no-appendfsync-on-rewrite") == {"no-appendfsync-on-rewrite": "no"}
        assert admin.config_get("save") == {"save": ""}

    async def story() -> list[durability.Finding]:
        ledger = Ledger(server.url(), RETENTION)
        try:
            return await durability.check(ledger.redis)
        finally:
            await ledger.aclose()

    findings = asyncio.run(story())
    assert [one.state for one in findings] == [State.OK] * 3, findings


def test_every_line_of_the_configuration_has_its_reason_above_it() -> None:
    lines = shipped.CONF.read_text().splitlines()
    bare = [
        line
        for above, line in zip(["", *lines], lines, strict=False)
        if line and line[0] != "#" and above[:1] != "#"
    ]
    assert bare == []
    assert len([line for line in lines if line and line[0] != "#"]) >= 12


def test_every_command_that_our_sources_spell_is_allowed() -> None:
    """What a rare branch calls is not seen by any run."""
    lua = "".join([*scripts.sources().values(), worker._LOOK])
    spelled = set(re.findall(r"redis\.p?call\('([A-Z]+)'", lua)) | set(spelled_in_python())
    assert len(spelled) > 45
    granted = {name.partition("|")[0] for name in shipped.granted("catchlight")}
    granted |= shipped.granted("catchlight")
    assert {name.lower() for name in spelled} - granted == set()


def spelled_in_python() -> Iterator[str]:
    for source in sources("service", "workers"):
        for node in source.nodes:
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                method, on = node.func.attr, ast.unparse(node.func.value)
                if re.search(r"(redis|pipe|connection)$", on) and hasattr(CoreCommands, method):
                    yield METHODS.get(method, method)


def test_our_clients_greet_a_server_with_nothing_that_it_refuses(server: Shipped) -> None:
    async def greet() -> None:
        ledger = Ledger(server.url(), RETENTION)
        await ledger.redis.get(keys.PROBE)
        await ledger.aclose()

    with server.client("admin") as admin:
        admin.config_resetstat()
        asyncio.run(greet())
        with worker.connect(server.url()) as client:
            client.get(keys.PROBE)
        assert admin.info("errorstats") == {}


def test_a_password_is_replaced_while_the_old_one_still_works(server: Shipped) -> None:
    """The runbook's steps: a second hash, everybody moves, the first hash goes."""
    before = server.users.read_text()
    old, new = shipped.hashed(server.password), shipped.hashed("the-next-one")

    def load(text: str) -> None:
        server.users.write_text(text)
        with server.client("admin") as admin:
            admin.acl_load()

    def lets_in(password: str) -> bool:
        with server.login("catchlight", password) as client:
            try:
                return client.exists(keys.PROBE) in (0, 1)
            except redis_errors.AuthenticationError:
                return False

    try:
        load(before.replace(old, f"{old} {new}"))
        assert (lets_in(server.password), lets_in("the-next-one")) == (True, True)
        load(before.replace(old, new))
        assert (lets_in(server.password), lets_in("the-next-one")) == (False, True)
    finally:
        load(before)


def test_a_right_that_is_missing_sets_nothing_aside(server: Shipped) -> None:
    """A mistake in the users' file is not the entries' fault: they wait until it is mended."""

    async def story() -> tuple[bool, str | None]:
        ledger = Ledger(server.url(), RETENTION)
        try:
            await accept(ledger, callback(completed()))
            await ledger.redis.zadd(keys.DUE_WORK, {str(ref()): 1})
            with server.client("admin") as admin:
                admin.acl_setuser("catchlight", commands=["-hmget"], reset=False)
                with pytest.raises(redis_errors.ResponseError):
                    await ledger.sweeping.sweep(100, reclaim=True)
                admin.acl_load()
            assert not await ledger.redis.exists(keys.ASIDE)
            return await ledger.redis.zrange(keys.DUE_WORK, 0, -1) == [str(ref())], await stage_of(ledger)
        finally:
            await ledger.aclose()

    assert asyncio.run(story()) == (True, "accepted")
