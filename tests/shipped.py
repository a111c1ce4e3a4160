"""A server as deploy/ ships it: redis.conf and users.acl, the passwords filled in as the runbook says."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from service import embedded
from service.ledger.connection import PLAIN
from tests.test_docs import ROOT, RUNBOOK, blocks
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONF = ROOT / "deploy" / "redis.conf"
USERS = ROOT / "deploy" / "users.acl"
ABOVE = "a-password-of-the-tests"
"""Of the users that an operator turns on when he needs them."""

BOTH = [
    "valkey",
    pytest.param(
        "redis",
        marks=pytest.mark.skipif(
            shutil.which("redis-server") is None, reason="no redis-server on this machine; CI installs one"
        ),
    ),
]


@dataclass(frozen=True, slots=True)
class Shipped:
    port: int
    users: Path
    password: str

    def url(self, user: str = "catchlight") -> str:
        return f"redis://{user}:{self.password if user == 'catchlight' else ABOVE}@127.0.0.1:{self.port}/0"

    def client(self, user: str = "catchlight") -> redis.Redis:
        return self.login(user, self.password if user == "catchlight" else ABOVE)

    def login(self, user: str | None = None, password: str | None = None) -> redis.Redis:
        """Tries once: a wrong password counts as a broken connection, and those are tried for seconds."""
        return redis.Redis(
            port=self.port, username=user, password=password, decode_responses=True,
            retry=Retry(NoBackoff(), 0), **PLAIN,
        )  # fmt: skip

    def refused(self) -> list[dict[str, Any]]:
        """What the server has refused to anybody."""
        with self.client("admin") as admin:
            return list(admin.acl_log())


def granted(user: str) -> set[str]:
    """The commands that the shipped file allows a user by their names."""
    line = next(line for line in USERS.read_text().splitlines() if line.startswith(f"user {user} "))
    return set(re.findall(r" \+([a-z][a-z|]*)", line))


def install(folder: Path) -> tuple[Path, str]:
    """Where the users stand now, and the password of `catchlight`: by the runbook's own commands."""
    users = folder / "users.acl"
    users.write_text(USERS.read_text())
    (steps,) = (block for block in blocks(RUNBOOK.read_text()) if 'echo "CATCHLIGHT_REDIS_URL=' in block)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", steps.replace("/etc/redis", str(folder))],
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"^CATCHLIGHT_REDIS_URL=redis://catchlight:(\w+)@", done.stdout)
    assert found, done.stdout
    for user in ("rq", "stream", "admin"):
        turn_on(users, user, ABOVE)
    return users, found[1]


def hashed(password: str) -> str:
    return "#" + hashlib.sha256(password.encode()).hexdigest()


def turn_on(users: Path, user: str, password: str) -> None:
    users.write_text(users.read_text().replace(f"user {user} off", f"user {user} on {hashed(password)}"))


def command(kind: str, users: Path, folder: Path, port: int) -> list[str]:
    binary = embedded.command(folder, port)[0] if kind == "valkey" else str(shutil.which("redis-server"))
    overridden = ("--port", str(port), "--dir", str(folder), "--aclfile", str(users))
    return [binary, str(CONF), *overridden]


@contextmanager
def running(kind: str, folder: Path) -> Iterator[Shipped]:
    users, password = install(folder)
    port = embedded.free_port()
    server = subprocess.Popen(command(kind, users, folder, port), stdout=subprocess.DEVNULL, process_group=0)
    shipped = Shipped(port, users, password)
    try:
        wait_until(lambda: answers(shipped) or server.poll() is not None, 10, f"{kind} answers")
        assert server.poll() is None, "it ended"
        yield shipped
    finally:
        server.terminate()
        server.wait(10)


def answers(shipped: Shipped) -> bool:
    with shipped.client("admin") as admin:
        try:
            return bool(admin.ping())
        except redis.ConnectionError:
            return False
