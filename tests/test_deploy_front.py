"""deploy/nginx.conf, deploy/Caddyfile and deploy/systemd, run: callbacks, and the units' exact commands."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import subprocess
import sys
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from service import embedded
from tests import fronts
from tests.serving import PATH, SECRET, callback, role, serving, sign
from tests.test_deploy_files import UNITS, unit, variables
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    Front = Callable[[Path, Sequence[int]], AbstractContextManager[str]]

needs_nginx = pytest.mark.skipif(fronts.of_nginx() is None, reason="nginx is missing")
each_front = pytest.mark.parametrize("front", [pytest.param(fronts.nginx, marks=needs_nginx), fronts.caddy])


@needs_nginx
def test_the_shipped_nginx_configuration_is_valid(tmp_path: Path) -> None:
    key = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=hooks.example"
    files = ["-keyout", f"{tmp_path}/privkey.pem", "-out", f"{tmp_path}/fullchain.pem"]
    subprocess.run(["openssl", *key.split(), *files], check=True, capture_output=True)
    text = fronts.NGINX.read_text().replace("/etc/ssl/catchlight/", f"{tmp_path}/")
    command = fronts.nginx_command(tmp_path, text, "-t")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr


def test_the_shipped_caddyfile_is_valid_and_formatted() -> None:
    for arguments in (["validate", "--adapter", "caddyfile", "--config"], ["fmt", "--diff"]):
        command = [str(fronts.OF_CADDY), *arguments, str(fronts.CADDY)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr + done.stdout
        assert '"warn"' not in done.stderr


@each_front
@pytest.mark.anyio
async def test_a_signed_callback_passes_the_shipped_front_and_nothing_else_does(
    front: Front, tmp_path: Path, redis_url: str
) -> None:
    """With one of its two receivers away."""
    async with serving(redis_url) as server:
        with front(tmp_path, [server.port]) as url:
            async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=10) as sender:
                for number in range(4):
                    body = callback(f"pred_{number}", input={"text": "ä" * 100_000})
                    answer = await sender.post(PATH, content=body, headers=sign(body))
                    assert (answer.status_code, answer.json()["outcome"]) == (200, "new")
                for path in ("/", "/api/v1/predictions", "/metrics", "/readyz?verbose"):
                    assert (await sender.get(path)).status_code == 404
                large = await sender.post(PATH, content=b"x" * (9 << 20))
                assert large.status_code == 413


@each_front
@pytest.mark.anyio
async def test_no_callback_fails_while_two_receivers_are_replaced_one_after_the_other(
    front: Front, tmp_path: Path, redis_url: str
) -> None:
    """As an update does it, under a steady stream of callbacks."""
    ports = [embedded.free_port(), embedded.free_port()]
    over = asyncio.Event()
    with ExitStack() as stack:

        def start(port: int, version: str) -> ExitStack:
            (folder := tmp_path / f"{port}-{version}").mkdir()
            receiver = ExitStack()
            process = receiver.enter_context(role(folder, redis_url, port=port)).process
            receiver.callback(process.wait, 30)
            receiver.callback(process.terminate)
            stack.push(receiver)
            return receiver

        old = [await asyncio.to_thread(start, port, "old") for port in ports]
        url = stack.enter_context(front(tmp_path, ports))
        sending = asyncio.create_task(_send_until(over, url))
        for port, receiver in zip(ports, old, strict=True):
            await asyncio.to_thread(receiver.close)
            await asyncio.to_thread(start, port, "new")
        over.set()
        answers = await sending
    assert len(answers) > 20
    # What a receiver had written when it went is `known` to the one that is asked then.
    assert set(answers) <= {"new", "known"}


async def _send_until(over: asyncio.Event, url: str) -> list[str]:
    """The answers to callbacks that are sent at a steady pace, whatever becomes of the ones before."""
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as sender:

        async def send(number: int) -> str:
            body = callback(f"pred_{number}")
            answer = await sender.post(PATH, content=body, headers=sign(body))
            return str(answer.json()["outcome"]) if answer.is_success else answer.text

        async with asyncio.TaskGroup() as group:
            sent: list[asyncio.Task[str]] = []
            while not over.is_set():
                sent.append(group.create_task(send(len(sent))))
                with suppress(TimeoutError):
                    await asyncio.wait_for(over.wait(), 0.01)
    return [task.result() for task in sent]


def test_the_units_exact_command_lines_become_ready_and_end_when_asked_to(
    tmp_path: Path, redis_url: str
) -> None:
    """With the credentials and the environment that systemd would give them."""
    tokens = {"wavespeed_api_key": "k" * 16, "admin_token": "a" * 32, "viewer_token": "v" * 32}
    secrets = {"redis_url": redis_url, "webhook_secrets": SECRET} | tokens
    for name, text in secrets.items():
        (tmp_path / name).write_text(text + "\n")
    (tmp_path / "catchlight.toml").write_text("")
    (tmp_path / "state").mkdir()
    running: dict[str, tuple[subprocess.Popen[bytes], Path]] = {}
    try:
        for path in UNITS:
            log = tmp_path / f"{path.stem}.log"
            with log.open("wb") as stderr:
                process = subprocess.Popen(
                    command(path), cwd=tmp_path / "state", env=environment(path, tmp_path), stderr=stderr
                )
            running[path.stem] = process, log
        for name, (process, log) in running.items():
            role = name.removeprefix("catchlight-").removesuffix("@")
            wait_until(partial(is_ready, log, role), 60, what=f"{name} is ready")
            process.terminate()
        assert {name: process.wait(30) for name, (process, _) in running.items()} == dict.fromkeys(running, 0)
    finally:
        for process, _ in running.values():
            process.kill()


def is_ready(log: Path, role: str) -> bool:
    return f"ready role={role}\n" in log.read_text()


def command(path: Path) -> list[str]:
    program, *arguments = shlex.split(dict(unit(path))["ExecStart"])
    assert program == "/opt/catchlight/bin/catchlight"
    return [str(Path(sys.executable).parent / "catchlight"), *arguments]


def environment(path: Path, folder: Path) -> dict[str, str]:
    told = {name: value.replace("%d/", f"{folder}/") for name, value in variables(path).items()}
    here = {
        "PATH": os.environ["PATH"],
        "CATCHLIGHT_PORT": "0",
        "CATCHLIGHT_RECONCILE_EVERY": "0",
        "CATCHLIGHT_PROVIDER_URL": "http://127.0.0.1:9/api/v3",
    }
    for name, value in told.items():
        told[name] = (
            value.replace("%i", "0")
            .replace("/var/lib/catchlight", str(folder / "state"))
            .replace("/etc/catchlight", str(folder))
        )
    return here | told


@pytest.mark.skipif(os.geteuid() != 0, reason="it is for root, who becomes somebody else")
def test_the_command_for_root_has_the_settings_and_secrets_that_the_units_have(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "redis_url").write_text("redis://catchlight:pass$word@10.0.0.9:6379/0\n")
    (tmp_path / "secrets" / "viewer_token").write_text("")
    (tmp_path / "environment").write_text(
        '# `id`\n\nCATCHLIGHT_REVIEW_REASONS=a&b $(id)\nCATCHLIGHT_ENVIRONMENT="two words"'
    )
    (tmp_path / "catchlight.toml").write_text("concurrency = 3\n")
    shipped = (UNITS[0].parent / "catchlight").read_text()
    for old, new in {
        "/etc/catchlight": str(tmp_path),
        "/opt/catchlight/bin": str(Path(sys.executable).parent),
        "=catchlight --": "=root --",
    }.items():
        assert old in shipped
        shipped = shipped.replace(old, new)
    command = ["sh", "-c", shipped, "catchlight", "config", "show", "--json"]
    told = json.loads(subprocess.check_output(command, cwd=tmp_path, env={"PATH": os.environ["PATH"]}))
    shown = {one["variable"]: one["value"] for one in told["settings"]}
    assert shown["CATCHLIGHT_REVIEW_REASONS"] == "a&b $(id)"
    assert shown["CATCHLIGHT_ENVIRONMENT"] == "two words"
    assert shown["CATCHLIGHT_CONCURRENCY"] == "3"
    assert "10.0.0.9" in shown["CATCHLIGHT_REDIS_URL"]
