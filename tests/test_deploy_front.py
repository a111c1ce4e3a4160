"""deploy/nginx.conf and deploy/systemd, run: a callback through nginx, and the units' exact command lines."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from service import embedded
from tests.house import ROOT
from tests.serving import PATH, SECRET, callback, serving, sign
from tests.test_deploy_files import UNITS, unit, variables
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

FRONT = ROOT / "deploy" / "nginx.conf"

needs_nginx = pytest.mark.skipif(
    shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") is None, reason="nginx is missing"
)


def nginx(folder: Path, text: str, *arguments: str) -> list[str]:
    """The command of one that keeps to a folder, whatever this machine's own is configured to."""
    (folder / "site.conf").write_text(text)
    scratch = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        # As root it would become somebody who may not write to the folder.
        f"{'user root; ' if os.geteuid() == 0 else ''}daemon off; pid {folder}/pid;\nworker_processes 1;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{scratch}include {folder}/site.conf;\n}}\n"
    )
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") or "nginx"
    return [program, "-e", "stderr", "-c", str(folder / "nginx.conf"), *arguments]


@needs_nginx
def test_the_shipped_nginx_configuration_is_valid(tmp_path: Path) -> None:
    key = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=hooks.example"
    files = ["-keyout", f"{tmp_path}/privkey.pem", "-out", f"{tmp_path}/fullchain.pem"]
    subprocess.run(["openssl", *key.split(), *files], check=True, capture_output=True)
    text = FRONT.read_text().replace("/etc/ssl/catchlight/", f"{tmp_path}/")
    done = subprocess.run(nginx(tmp_path, text, "-t"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr


@contextmanager
def proxied(folder: Path, port: int) -> Iterator[str]:
    """The shipped front without its certificate, before a receiver on that port."""
    front = embedded.free_port()
    kept = [line for line in FRONT.read_text().splitlines() if "ssl_" not in line]
    text = "\n".join(kept).replace("listen 443 ssl", f"listen 127.0.0.1:{front}")
    text = text.replace("127.0.0.1:8080", f"127.0.0.1:{port}")
    process = subprocess.Popen(nginx(folder, text), stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{front}"

    def answers() -> bool:
        try:
            return httpx.get(url).status_code == 404
        except httpx.HTTPError:
            return False

    try:
        wait_until(answers, what="nginx answers")
        yield url
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait(10)


@needs_nginx
@pytest.mark.anyio
async def test_a_signed_callback_passes_the_shipped_nginx_and_nothing_else_does(
    tmp_path: Path, redis_url: str
) -> None:
    async with serving(redis_url) as server:
        with proxied(tmp_path, server.port) as front:
            async with httpx.AsyncClient(base_url=front, trust_env=False, timeout=10) as sender:
                body = callback(input={"text": "ä" * 100_000})
                answer = await sender.post(PATH, content=body, headers=sign(body))
                assert (answer.status_code, answer.json()["outcome"]) == (200, "new")
                for path in ("/", "/api/v1/predictions", "/metrics", "/readyz?verbose"):
                    assert (await sender.get(path)).status_code == 404
                large = await sender.post(PATH, content=b"x" * (9 << 20))
                assert large.status_code == 413


def test_the_units_exact_command_lines_become_ready_and_end_when_asked_to(
    tmp_path: Path, redis_url: str
) -> None:
    """With the credentials and the environment that systemd would give them."""
    tokens = {"wavespeed_api_key": "k" * 16, "admin_token": "a" * 32}
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
        told[name] = value.replace("/var/lib/catchlight", str(folder / "state")).replace(
            "/etc/catchlight", str(folder)
        )
    return here | told
