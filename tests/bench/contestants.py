"""How each contestant is started: ourselves, and the peers from their own environments."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.serving import SECRET

PEERS = Path(__file__).parent / "peers"
NODE = PEERS / "with_bullmq"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "catchlight-bench"


@dataclass(frozen=True)
class Peer:
    """`command role …` with the roles serve PORT, fill (callbacks' bodies on stdin) and work."""

    name: str
    command: tuple[str, ...]

    def environment(self, redis_url: str, out: str = "") -> dict[str, str]:
        return {"PEER_SECRET": SECRET, "PEER_REDIS": redis_url, "PEER_OUT": out, "PYTHONPATH": str(PEERS)}


def python_peer(name: str, script: str) -> Peer:
    """Its environment is made at the first call, by uv from the script's own metadata."""
    path = str(PEERS / script)
    subprocess.run(["uv", "sync", "-q", "--script", path], check=True)
    find = ["uv", "python", "find", "--script", path]
    found = subprocess.run(find, check=True, capture_output=True, text=True)
    return Peer(name, (found.stdout.strip(), path))


def node_peer() -> Peer | None:
    """None without node. Installed beside the cache of other tools, not into the checkout."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    CACHE.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "main.js"):
        shutil.copy(NODE / name, CACHE / name)
    if not (CACHE / "node_modules").is_dir():
        subprocess.run([npm, "install", "--silent", "--no-audit", "--no-fund"], cwd=CACHE, check=True)
    return Peer("Fastify + BullMQ", (node, str(CACHE / "main.js")))


@functools.cache
def peers() -> tuple[Peer, ...]:
    """All that do both halves of the work."""
    found = [
        python_peer("arq", "with_arq.py"),
        python_peer("dramatiq", "with_dramatiq.py"),
        python_peer("Celery", "with_celery.py"),
        python_peer("taskiq", "with_taskiq.py"),
        node_peer(),
    ]
    return tuple(peer for peer in found if peer is not None)


@functools.cache
def rq() -> Peer:
    return python_peer("RQ", "with_rq.py")


def ours(redis_url: str, folder: str, **more: str) -> dict[str, str]:
    """The environment of our own roles: defaults, but for where things are."""
    return {
        "CATCHLIGHT_REDIS_URL": redis_url,
        "CATCHLIGHT_WEBHOOK_SECRETS": SECRET,
        "CATCHLIGHT_DATA_DIR": folder,
        "CATCHLIGHT_FETCH_HOSTS": "127.0.0.1",
        "CATCHLIGHT_FETCH_PRIVATE": "127.0.0.0/8",
    } | {f"CATCHLIGHT_{name}": value for name, value in more.items()}


PYTHON = sys.executable
