"""The ways to a Redis that the runbook shows: each row of its table, against a real server."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from service import embedded
from service.ledger import Ledger
from service.settings import load
from tests.builders import RETENTION, accept_one, callback, completed
from tests.test_docs import RUNBOOK
from tests.waiting import wait_until
from workers import worker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        shutil.which("redis-server") is None, reason="no redis-server on this machine; CI installs one"
    ),
]

ROWS = dict(
    re.findall(r"^\| ([^|]+) \| `((?:redis|rediss|unix)://[^`]+)`", RUNBOOK.read_text(), re.MULTILINE)
)
CLIENT = "with TLS and a certificate of ours"
KEY = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=redis"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int, int]]:
    """Its folder, its port, and that of TLS; it asks for a certificate and takes none all the same."""
    folder = tmp_path_factory.mktemp("ways")
    pem = ["-keyout", f"{folder}/key.pem", "-out", f"{folder}/ca.pem"]
    subprocess.run(
        ["openssl", *KEY.split(), "-addext", "subjectAltName=IP:127.0.0.1", *pem],
        check=True, capture_output=True,
    )  # fmt: skip
    plain, tls = embedded.free_port(), embedded.free_port()
    (folder / "redis.conf").write_text(
        f"bind 127.0.0.1\nport {plain}\ntls-port {tls}\nunixsocket {folder}/redis.sock\ndir {folder}\n"
        f"tls-cert-file {folder}/ca.pem\ntls-key-file {folder}/key.pem\ntls-ca-cert-file {folder}/ca.pem\n"
        'tls-auth-clients optional\nsave ""\nuser default on >password ~* &* +@all\n'
        "user catchlight on >password ~* &* +@all\n"
    )
    process = subprocess.Popen(["redis-server", folder / "redis.conf"], stdout=subprocess.DEVNULL)
    try:
        wait_until((folder / "redis.sock").exists, what="it listens")
        yield folder, plain, tls
    finally:
        process.kill()
        process.wait()


def test_the_table_has_the_usual_ways() -> None:
    assert len(ROWS) >= 4


@pytest.mark.parametrize("way", [*ROWS, CLIENT])
async def test_a_way_leads_there_for_receivers_and_for_workers(
    way: str, server: tuple[Path, int, int]
) -> None:
    folder, plain, tls = server
    url = ROWS.get(way) or ROWS["with TLS"] + f"&ssl_certfile={folder}/ca.pem&ssl_keyfile={folder}/key.pem"
    url = re.sub(r"@[\w.]+:\d+", f"@127.0.0.1:{tls if url.startswith('rediss') else plain}", url)
    url = url.replace("/run/redis/redis.sock", f"{folder}/redis.sock")
    url = url.replace("/etc/ssl/redis-ca.pem", f"{folder}/ca.pem")
    if url.startswith("rediss") and "ssl_ca_certs" not in url:
        # Of the public, this certificate is not.
        url += f"?ssl_ca_certs={folder}/ca.pem"
    address = load({"CATCHLIGHT_REDIS_URL": url}).require_redis_url()
    ledger = Ledger(address, RETENTION)
    assert await accept_one(ledger, callback(completed(re.sub(r"\W", "_", way)))) == "new"
    await ledger.aclose()
    with worker.connect(address) as connection:
        assert connection.llen("rq:queue:catchlight") > 0
