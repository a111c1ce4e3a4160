"""A real S3 server for a test session: SeaweedFS on loopback, in a folder and on ports of its own."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sysconfig
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from obstore.exceptions import BaseError
from obstore.store import S3Store

from service.storage.objects import CLIENT

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKET = "outputs"
KEY, SECRET = "catchlight-tests", "catchlight-tests-secret"
_PATIENCE = 60.0
_PORTS = ("master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc", "s3", "s3.grpc", "admin")
# Its admin server's worker looks for the gRPC port here, whatever the flag says.
_ADMIN_GRPC_OFFSET = 10_000


@dataclass(frozen=True)
class Seaweed:
    endpoint: str
    filer: str
    """Where its own view of the buckets is: `/buckets/<bucket>/…`, unfinished uploads under `.uploads/`."""
    bucket: str = BUCKET

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
        }

    def unfinished_uploads(self) -> int:
        """Multipart uploads neither completed nor aborted."""
        connection = http.client.HTTPConnection(self.filer, timeout=5)
        try:
            connection.request(
                "GET", f"/buckets/{BUCKET}/.uploads/?limit=1000", headers={"Accept": "text/json"}
            )
            answer = connection.getresponse()
            return answer.read().count(b'"FullPath"') if answer.status == http.HTTPStatus.OK else 0
        finally:
            connection.close()


@pytest.fixture(scope="session")
def seaweed() -> Iterator[Seaweed]:
    """One server per session; a test that wants room of its own takes a prefix of its own."""
    with running() as server:
        yield server


@pytest.fixture
def s3(seaweed: Seaweed, monkeypatch: pytest.MonkeyPatch) -> Seaweed:
    """The server, with the `AWS_*` environment that leads there."""
    for name, value in seaweed.environment.items():
        monkeypatch.setenv(name, value)
    return seaweed


@contextmanager
def running() -> Iterator[Seaweed]:
    with tempfile.TemporaryDirectory(prefix="seaweed-", ignore_cleanup_errors=True) as folder:
        for attempt in range(3):
            ports = _free_ports()
            server = _start(Path(folder, str(attempt)), ports)
            try:
                if _ready(server, ports["s3"]):
                    yield Seaweed(f"http://127.0.0.1:{ports['s3']}", f"127.0.0.1:{ports['filer']}")
                    return
            finally:
                _end(server, ports)
        raise RuntimeError("SeaweedFS ended three times before it was ready")


def _free_ports() -> dict[str, int]:
    """All held at once, so that they differ; another process may still take one first, hence the attempts."""
    with ExitStack() as taken:
        ports = {name: _bind(taken, 0) for name in _PORTS if name != "admin"}
        while True:
            admin = _bind(taken, 0)
            with suppress(OSError, OverflowError):
                grpc = _bind(taken, admin + _ADMIN_GRPC_OFFSET)
                return ports | {"admin": admin, "admin.grpc": grpc}


def _bind(taken: ExitStack, port: int) -> int:
    holder = taken.enter_context(socket.socket())
    holder.bind(("127.0.0.1", port))
    number: int = holder.getsockname()[1]
    return number


def _start(folder: Path, ports: dict[str, int]) -> subprocess.Popen[bytes]:
    folder.mkdir()
    numbers = [
        f"-{name.replace('.', '.port.') if '.' in name else f'{name}.port'}={n}" for name, n in ports.items()
    ]
    quiet = ["-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    # As everywhere else, a bucket that nobody made is not there.
    quiet.append("-s3.autoCreateBucket=false")
    with Path(folder, "log").open("wb") as log:
        return subprocess.Popen(
            [
                Path(sysconfig.get_path("scripts"), "weed"), "mini", f"-dir={folder}", f"-bucket={BUCKET}",
                "-ip=127.0.0.1", "-ip.bind=127.0.0.1", *quiet, *numbers,
            ],
            cwd=folder,
            env={**os.environ, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )  # fmt: skip


def _ready(server: subprocess.Popen[bytes], port: int) -> bool:
    """True once it takes a signed write, which is after all its parts have met; False when it has ended."""
    bucket = S3Store(
        BUCKET,
        endpoint=f"http://127.0.0.1:{port}",
        access_key_id=KEY,
        secret_access_key=SECRET,
        client_options=CLIENT,
        retry_config={"max_retries": 0},
    )
    until = time.monotonic() + _PATIENCE
    while server.poll() is None and time.monotonic() < until:
        with suppress(BaseError, OSError):
            bucket.put("ready", b"yes")
            return True
        time.sleep(0.05)
    return False


def _end(server: subprocess.Popen[bytes], ports: dict[str, int]) -> None:
    # It has nothing to save, and an orderly end takes it seconds.
    server.send_signal(signal.SIGKILL)
    server.wait()
    for name, port in ports.items():
        word = name.replace(".", "-")
        Path(tempfile.gettempdir(), f"seaweedfs-{word}-{port}.sock").unlink(missing_ok=True)
