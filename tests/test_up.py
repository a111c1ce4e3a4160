"""`catchlight up`: a family that is kept alive, starts only when it can work, and drains when asked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from service import embedded
from service.cli import up as up_command
from service.settings import load
from service.settings.environment import child_environment
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

UP = [sys.executable, "-m", "service.cli", "up"]


class Up:
    def __init__(self, folder: Path, **changes: str) -> None:
        self.port = embedded.free_port()
        self.log = folder / "up.log"
        settings = {"data_dir": str(folder), "port": str(self.port), "webhook_secrets": "whsec_up"} | changes
        self._out = self.log.open("wb")
        self.process = subprocess.Popen(
            UP,
            cwd=folder,
            env=child_environment(settings, inherit=False),
            stderr=self._out,
            process_group=0,
        )

    def said(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def wait_ready(self) -> None:
        wait_until(lambda: "ready role=up" in self.said() or self.process.poll() is not None, 40)
        assert self.process.poll() is None, self.said()

    def children(self) -> list[int]:
        text = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(child) for child in text.split()]

    def is_live(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/readyz", trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(40)
        self._out.close()


@contextmanager
def running(folder: Path) -> Iterator[Up]:
    up = Up(folder)
    try:
        up.wait_ready()
        yield up
    finally:
        up.close()


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which one runs, for what is started beside it."""
    folder = tmp_path_factory.mktemp("up")
    with running(folder):
        yield folder


def test_every_child_that_is_killed_comes_back_and_a_drain_exits_with_0(tmp_path: Path) -> None:
    with running(tmp_path) as up:
        killed_and_drained(up)


def killed_and_drained(up: Up) -> None:
    family = up.children()
    assert len(family) == 4
    assert up.is_live()
    for child in family:
        os.kill(child, signal.SIGKILL)
    wait_until(lambda: len(up.children()) == 4 and not set(up.children()) & set(family), 30, "all are back")
    wait_until(up.is_live, 30, "it answers again")

    family = up.children()
    up.process.send_signal(signal.SIGTERM)
    assert up.process.wait(40) == 0
    assert not [child for child in family if Path(f"/proc/{child}").exists()]


def test_other_commands_in_its_folder_find_its_embedded_server(beside: Path) -> None:
    environment = child_environment({"data_dir": str(beside)}, inherit=False)
    command = [sys.executable, "-m", "service.cli", "ls", "--json"]
    done = subprocess.run(command, cwd=beside, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"items": [], "next": None}


def test_a_second_one_on_the_same_folder_is_refused(beside: Path) -> None:
    environment = child_environment({"data_dir": str(beside), "webhook_secrets": "whsec_up"}, inherit=False)
    done = subprocess.run(UP, cwd=beside, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "CATCHLIGHT_DATA_DIR" in done.stderr


def test_without_a_secret_it_refuses_and_names_the_setting(tmp_path: Path) -> None:
    environment = child_environment({"data_dir": str(tmp_path)}, inherit=False)
    done = subprocess.run(UP, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "CATCHLIGHT_WEBHOOK_SECRETS" in done.stderr


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"storage_url": "file:///dev/null/outputs"}, "CATCHLIGHT_STORAGE_URL"),
        ({"host": "203.0.113.1", "admin_token": "token"}, "CATCHLIGHT_HOST"),
    ],
)
def test_what_cannot_work_fails_the_start_with_its_reason(
    tmp_path: Path, changes: dict[str, str], said: str
) -> None:
    up = Up(tmp_path, **changes)
    try:
        assert up.process.wait(40) != 0
        assert said in up.said()
        assert "ready role=up" not in up.said()
    finally:
        up.close()


def test_a_redis_of_ones_own_is_shown_without_its_password(capsys: pytest.CaptureFixture[str]) -> None:
    up_command._say_where(load({}, None), "redis://catchlight:s3cret@10.0.0.5:6379/0", embedded=False)
    said = capsys.readouterr().err
    assert "redis://catchlight:…@10.0.0.5:6379/0 (yours)" in said
    assert "s3cret" not in said
