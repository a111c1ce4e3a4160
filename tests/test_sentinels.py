"""Redis looked after by sentinels: its address, and callbacks that go on when another becomes primary."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest
import redis

from service import embedded
from service.errors import ConfigError, LedgerDown
from service.ledger import Ledger
from service.sentinels import watched
from service.settings import load
from tests.builders import RETENTION, accept_one, callback, completed
from tests.waiting import wait_until
from tests.workplace import until
from workers import worker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

needs_redis = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="no redis-server on this machine; CI installs one"
)


def test_an_address_names_sentinels_and_what_they_call_the_primary() -> None:
    found = watched("redis+sentinel://catchlight:p%40ss@a:26379,b,[::1]:5/main/2?sentinel_password=s")
    assert found
    assert found.sentinels == (("a", 26379), ("b", 26379), ("::1", 5))
    assert (found.name, found.tls) == ("main", False)
    assert found.to_redis() == {"username": "catchlight", "password": "p@ss", "db": 2}
    assert found.to_sentinels() == {"password": "s"}


def test_tls_is_for_both() -> None:
    found = watched("rediss+sentinel://a/main?ssl_ca_certs=/ca.pem")
    assert found
    assert found.to_sentinels() == {"ssl": True, "ssl_ca_certs": "/ca.pem"}
    assert found.to_redis().items() >= found.to_sentinels().items()


@pytest.mark.parametrize("url", ["redis://a:1/0", "rediss://a", "unix:///run/redis.sock"])
def test_the_address_of_one_server_is_none_of_these(url: str) -> None:
    assert watched(url) is None
    assert load({"CATCHLIGHT_REDIS_URL": url}).redis_url == url


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis+sentinel://a:26379", "needs sentinels and a name"),
        ("redis+sentinel:///main", "needs sentinels and a name"),
        ("redis+sentinel://a:x/main", "a:x is no sentinel"),
        ("redis+sentinel://a,,b/main", "nothing is no sentinel"),
        ("redis+sentinel://a/main/x", "x is no number of a database"),
        ("redis+sentinel://a/main?timeout=1", "timeout is unknown"),
    ],
)
def test_a_wrong_address_says_what_is_wrong(url: str, says: str) -> None:
    with pytest.raises(ConfigError, match=f"CATCHLIGHT_REDIS_URL: {says}"):
        load({"CATCHLIGHT_REDIS_URL": url})


def test_its_password_is_not_shown() -> None:
    settings = load({"CATCHLIGHT_REDIS_URL": "redis+sentinel://u:canary@a,b/main?sentinel_password=canary"})
    assert "canary" not in repr(settings)


@contextmanager
def server(folder: Path, name: str, text: str) -> Iterator[int]:
    port = embedded.free_port()
    (folder / name).mkdir()
    conf = folder / name / "redis.conf"
    conf.write_text(f"port {port}\nbind 127.0.0.1\ndir {folder / name}\n{text}")
    sentinel = ["--sentinel"] if "sentinel monitor" in text else []
    process = subprocess.Popen(["redis-server", conf, *sentinel], stdout=subprocess.DEVNULL)
    try:
        embedded.wait_ready(port)
        yield port
    finally:
        process.kill()
        process.wait()


@needs_redis
@pytest.mark.anyio
async def test_callbacks_and_workers_go_on_with_the_next_primary(tmp_path: Path) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(server(tmp_path, "first", 'save ""\n'))
        follows = f'save ""\nreplicaof 127.0.0.1 {first}\nrepl-diskless-sync-delay 0\n'
        stack.enter_context(server(tmp_path, "second", follows))
        watch = f"sentinel monitor main 127.0.0.1 {first} 1\nsentinel failover-timeout main 2000\n"
        sentinel = stack.enter_context(server(tmp_path, "sentinel", watch))
        asked = stack.enter_context(redis.Redis(port=sentinel, decode_responses=True))
        url = f"redis+sentinel://127.0.0.1:{sentinel}/main/0"

        ledger = Ledger(url, RETENTION)
        assert await accept_one(ledger, callback(completed("before"))) == "new"

        def follower_is_ready() -> bool:
            try:
                return bool(asked.execute_command("SENTINEL FAILOVER", "main"))
            except redis.ResponseError:
                return False

        wait_until(follower_is_ready, 30, what="the sentinel has a replica that can take over")

        async def taken() -> bool:
            """As the provider does: what was answered 503 is sent again."""
            primary = asked.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", "main")
            try:
                outcome = await accept_one(ledger, callback(completed("after")))
            except LedgerDown:
                return False
            return int(primary[1]) != first and outcome in ("new", "known")

        await until(taken, 30, what="the next primary takes callbacks")
        with worker.connect(url) as connection:
            one = worker.ConcurrentWorker(connection, "one")
            one.beat([])
            jobs = {taken_one.job.id for taken_one in one.take(10, 1.0)}
            one.leave()
        assert jobs == {"p-main-before-1", "p-main-after-1"}
        await ledger.aclose()
