"""The same way of the data on Debian's Redis 7.0, the oldest server of those that people run today."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from service import embedded
from tests.stories.house import House

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SERVER = shutil.which("redis-server")

pytestmark = pytest.mark.skipif(SERVER is None, reason="no redis-server on this machine; CI installs one")


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """Its URL; as durable as the runbook asks for."""
    port = embedded.free_port()
    options = {
        "port": str(port),
        "bind": "127.0.0.1",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
        "save": "",
    }
    command = [str(SERVER), *(part for name, value in options.items() for part in (f"--{name}", value))]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, process_group=0)
    try:
        embedded.wait_ready(port)
        yield embedded.url(port)
    finally:
        server.terminate()
        server.wait(10)


def test_images_arrive_hooks_are_told_and_lost_callbacks_are_found(tmp_path: Path) -> None:
    with redis(tmp_path) as url, House(tmp_path / "house", {"redis_url": url}) as house:
        ids = [house.submit(scenario) for scenario in ("clean", "duplicate", "flagged", "lost", "failed")]
        ended = [house.ended(id_) for id_ in ids]
        assert [one["stage"] for one in ended] == ["done", "done", "done", "done", "failed"]
        assert ended[3]["received_via"] == "poll"
        assert all(house.heard(id_) for id_ in ids)

        command = [sys.executable, "-m", "service.cli", "doctor"]
        doctor = subprocess.run(command, env=house.environment, capture_output=True, text=True, check=False)
        assert doctor.returncode == 0, doctor.stdout + doctor.stderr
