"""The proxies that deploy/ ships, run from its files before receivers on ports of a test: nginx and Caddy."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from service import embedded
from tests.house import ROOT
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NGINX = ROOT / "deploy" / "nginx.conf"
CADDY = ROOT / "deploy" / "Caddyfile"
OF_CADDY = Path(sys.executable).parent / "caddy"
SHIPPED_PORTS = (8080, 8081)


def of_nginx() -> str | None:
    return shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")


def at_ports(text: str, ports: Sequence[int]) -> str:
    """Two receivers, as shipped; with one port only one stays away."""
    for shipped, port in zip(SHIPPED_PORTS, [*ports, embedded.free_port()], strict=False):
        assert f"127.0.0.1:{shipped}" in text
        text = text.replace(f"127.0.0.1:{shipped}", f"127.0.0.1:{port}")
    return text


def nginx_command(folder: Path, text: str, *arguments: str) -> list[str]:
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
    return [of_nginx() or "nginx", "-e", "stderr", "-c", str(folder / "nginx.conf"), *arguments]


@contextmanager
def nginx(folder: Path, ports: Sequence[int]) -> Iterator[str]:
    """The shipped front without its certificate."""
    front = embedded.free_port()
    kept = [line for line in NGINX.read_text().splitlines() if "ssl_" not in line]
    text = "\n".join(kept).replace("listen 443 ssl", f"listen 127.0.0.1:{front}")
    with _running(nginx_command(folder, at_ports(text, ports)), front, signal.SIGQUIT) as url:
        yield url


@contextmanager
def caddy(folder: Path, ports: Sequence[int]) -> Iterator[str]:
    """The shipped front over plain http: nobody here gives it a certificate."""
    front = embedded.free_port()
    text, sites = re.subn(r"(?m)^hooks\.example \{$", f"http://127.0.0.1:{front} {{", CADDY.read_text())
    assert sites == 1
    file = folder / "Caddyfile"
    file.write_text("{\n\tadmin off\n}\n" + at_ports(text, ports))
    command = [str(OF_CADDY), "run", "--config", str(file), "--adapter", "caddyfile"]
    with _running(command, front, signal.SIGTERM, home=folder) as url:
        yield url


@contextmanager
def _running(command: list[str], port: int, end: signal.Signals, home: Path | None = None) -> Iterator[str]:
    environment = {"PATH": os.environ["PATH"]} | ({"HOME": str(home)} if home else {})
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment)
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(url, trust_env=False).status_code == httpx.codes.NOT_FOUND
        except httpx.HTTPError:
            return False

    try:
        wait_until(answers, what=f"{command[0]} answers")
        yield url
    finally:
        process.send_signal(end)
        process.wait(10)
