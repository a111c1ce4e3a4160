"""The command that a page offers to copy, run in a real shell: it sends what we would have sent."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from standardwebhooks import Webhook

from service.telling import curl

if TYPE_CHECKING:
    from pytest_httpserver import HTTPServer

SECRET = "whsec_AP8ACg0gc2VjcmV0IHdpdGggYSB6ZXJv"
"""Its bytes have a zero, a 255 and line ends among them."""
BODY = '{"type":"prediction.completed","data":{"it\'s":"$HOME `ls` \\\\ \\"quoted\\" ünïcode ✓"}}'


def test_it_verifies_and_carries_the_same_bytes(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hook", method="POST").respond_with_data("ok")
    command = curl.signed(httpserver.url_for("/hook?team=a&x='"), "evt_1", BODY)
    assert SECRET not in command
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        env={"PATH": os.environ["PATH"], "SECRET": SECRET},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (request, _) = httpserver.log[0]
    assert request.get_data() == BODY.encode()
    Webhook(SECRET).verify(request.get_data(), dict(request.headers))
    assert request.headers["webhook-id"] == "evt_1"


def test_without_the_secret_it_says_so_and_sends_nothing(httpserver: HTTPServer) -> None:
    done = subprocess.run(
        ["bash", "-c", curl.signed(httpserver.url_for("/hook"), "evt_1", BODY)],
        env={"PATH": os.environ["PATH"]},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "SECRET: export it first" in done.stderr
    assert not httpserver.log
