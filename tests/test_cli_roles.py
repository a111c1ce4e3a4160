"""`serve`, `work` and `sweep` as processes: ready, beating, drained, and several under one parent."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from service.embedded import free_port
from tests.commandline import CommandLine, in_ledger

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

AWAY = "redis://127.0.0.1:1/0"
SERVE = {"webhook_secrets": "whsec_secret", "grace": "1s"}


@pytest.fixture
def cli(tmp_path: Path, redis_url: str) -> CommandLine:
    return CommandLine(tmp_path, redis_url)


class Role:
    """A role's process and the lines of its stderr so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip())

    def until(self, holds: Callable[[], bool], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert self.process.poll() is None, self.lines
            assert time.monotonic() < deadline, self.lines
            time.sleep(0.05)

    def until_ready(self, name: str, times: int = 1) -> None:
        self.until(lambda: self.lines.count(f"ready role={name}") == times)

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(20)
        self._reader.join(20)
        return code


@contextmanager
def running(cli: CommandLine, *arguments: str, **settings: str) -> Iterator[Role]:
    role = Role(cli.start(*arguments, **settings))
    try:
        yield role
    finally:
        if role.process.poll() is None:
            role.end()
        for pipe in (role.process.stdout, role.process.stderr):
            assert pipe is not None
            pipe.close()


def children(parent: int) -> set[int]:
    found = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return {int(pid) for pid in found.split()}


@pytest.mark.parametrize("name", ["work", "sweep"])
def test_a_role_is_this_very_process_and_drains_on_sigterm(
    name: str, cli: CommandLine, redis_url: str
) -> None:
    with running(cli, name, grace="1s") as role:
        role.until_ready(name)
        role.until(lambda: bool(in_ledger(redis_url, lambda ledger: ledger.roles.alive())))
        (alive,) = in_ledger(redis_url, lambda ledger: ledger.roles.alive())
        assert alive.role == name
        assert f"-{role.process.pid}-" in alive.instance
        assert role.end() == 0
    assert in_ledger(redis_url, lambda ledger: ledger.roles.alive()) == []


def test_serve_answers_and_drains(cli: CommandLine) -> None:
    port = free_port()
    with running(cli, "serve", "--port", str(port), **SERVE) as role:
        role.until_ready("serve")
        assert httpx.get(f"http://127.0.0.1:{port}/livez", trust_env=False).status_code == 200
        assert role.end() == 0


def test_serve_starts_without_redis(cli: CommandLine) -> None:
    with running(cli, "serve", "--port", "0", redis_url=AWAY, **SERVE) as role:
        role.until_ready("serve")
        assert role.end(signal.SIGINT) == 0


@pytest.mark.parametrize(
    ("arguments", "settings", "hint"),
    [
        ([], {}, "CATCHLIGHT_WEBHOOK_SECRETS"),
        (["--host", "0.0.0.0"], SERVE, "CATCHLIGHT_HOST: is not a loopback address"),  # noqa: S104 - it is refused
        (["--processes", "2", "--port", "0"], SERVE, "--processes"),
    ],
    ids=["no secret", "open host", "no port to share"],
)
def test_serve_refuses_what_cannot_be_meant(
    arguments: list[str], settings: dict[str, str], hint: str, cli: CommandLine
) -> None:
    ran = cli.run("serve", *arguments, **settings)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"error: {hint}")


def test_serve_on_a_port_that_is_taken_is_exit_2(cli: CommandLine) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ran = cli.run("serve", "--port", str(taken.getsockname()[1]), **SERVE)
    assert ran.code == 2
    assert "cannot listen on 127.0.0.1" in ran.err


@pytest.mark.parametrize("name", ["serve", "work", "sweep"])
def test_a_role_without_redis_url_is_exit_2(name: str, tmp_path: Path) -> None:
    ran = CommandLine(tmp_path, None).run(name, webhook_secrets="whsec_secret")
    assert ran.code == 2
    assert ran.err.startswith("error: CATCHLIGHT_REDIS_URL: is not set")


def test_a_folder_called_workers_is_not_taken_for_ours(cli: CommandLine) -> None:
    (cli.folder / "workers").mkdir()
    (cli.folder / "workers" / "__init__.py").write_text("raise SystemExit('not ours')")
    with running(cli, "sweep") as role:
        role.until_ready("sweep")


def test_several_receivers_share_a_port_and_one_that_dies_comes_again(cli: CommandLine) -> None:
    port = free_port()
    with running(cli, "serve", "--processes", "2", "--port", str(port), **SERVE) as role:
        role.until_ready("serve", times=2)
        before = children(role.process.pid)
        assert len(before) == 2
        # Each has a process group of its own: a signal to the parent's group is its business alone.
        assert {os.getpgid(pid) for pid in before} == before
        os.kill(min(before), signal.SIGKILL)
        role.until_ready("serve", times=3)
        assert httpx.get(f"http://127.0.0.1:{port}/livez", trust_env=False).status_code == 200
        after = children(role.process.pid)
        assert role.end() == 0
    assert any(re.search(r"serve-\d ended with exit code -9", line) for line in role.lines)
    assert not any(Path(f"/proc/{pid}").exists() for pid in before | after)


def test_several_workers_beat_and_drain(cli: CommandLine, redis_url: str) -> None:
    with running(cli, "work", "--processes", "2", grace="1s") as role:
        role.until_ready("work", times=2)
        # Ready means ready to work; the first beat is on its way.
        role.until(lambda: len(in_ledger(redis_url, lambda ledger: ledger.roles.alive())) == 2)
        assert role.end(signal.SIGINT) == 0
    assert in_ledger(redis_url, lambda ledger: ledger.roles.alive()) == []


def test_workers_wait_for_redis_and_still_drain(cli: CommandLine) -> None:
    with running(cli, "work", "--processes", "2", redis_url=AWAY, grace="1s") as role:
        role.until(lambda: sum("redis.away" in line for line in role.lines) >= 2)
        assert role.end() == 0


def test_children_that_cannot_start_end_the_parent_with_their_exit_code(cli: CommandLine) -> None:
    (cli.folder / "file").write_text("in the way")
    ran = cli.run("work", "--processes", "2", storage_url=f"file://{cli.folder}/file/outputs")
    assert ran.code == 1
    assert "ended with exit code 1 before it was ready" in ran.err
