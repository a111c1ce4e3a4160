"""deploy/examples: each receiver takes what we sign, once, and nothing else; a script submits with curl."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import shutil
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from service import embedded, signing
from tests.house import ROOT
from tests.test_web_submit import both
from tests.workplace import HOOK_SECRET, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

EXAMPLES = ROOT / "deploy" / "examples"
OTHER_SECRET = "whsec_" + "b3RoZXI" * 4
BODY = json.dumps(
    {"type": "prediction.completed", "timestamp": "2026-11-28T12:00:00.000Z", "data": {"id": "pred_ä"}},
    ensure_ascii=False,
).encode()
PYTHON = ("starlette", "fastapi", "flask", "django")

pytestmark = pytest.mark.anyio


def signed(event: str = "evt_1", *, secret: str = HOOK_SECRET, body: bytes = BODY) -> dict[str, str]:
    return signing.sign([secret], event, int(time.time()), body)


def loaded(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    pytest.importorskip(name)
    monkeypatch.setenv("HOOK_SECRET", HOOK_SECRET)
    spec = importlib.util.spec_from_file_location(f"receiver_{name}", EXAMPLES / f"receiver_{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    # Django finds its urls by the name of the module.
    monkeypatch.setitem(__import__("sys").modules, f"receiver_{name}", module)
    spec.loader.exec_module(module)
    return module


@asynccontextmanager
async def asked(app: Any, *, asgi: bool) -> AsyncIterator[Any]:
    """A function that POSTs and gives the status; WSGI has a client of the other colour."""
    if asgi:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hook") as client:

            async def post(body: bytes, headers: dict[str, str]) -> int:
                return (await client.post("/hooks", content=body, headers=headers)).status_code

            yield post
    else:
        with httpx.Client(transport=httpx.WSGITransport(app), base_url="http://hook") as wsgi:

            async def post_it(body: bytes, headers: dict[str, str]) -> int:
                return wsgi.post("/hooks", content=body, headers=headers).status_code  # noqa: ASYNC212 - no network

            yield post_it


async def behaves(post: Any) -> None:
    """Taken twice, worked on once; what is changed, signed by another or not at all is refused."""
    headers = signed()
    assert [await post(BODY, headers), await post(BODY, headers)] == [204, 204]
    assert await post(BODY + b" ", headers) == 401
    assert await post(BODY, signed(secret=OTHER_SECRET)) == 401
    assert await post(BODY, {}) == 401
    assert await post(BODY, headers | {"webhook-timestamp": "1000"}) == 401
    rotating = signing.sign([OTHER_SECRET, HOOK_SECRET], "evt_2", int(time.time()), BODY)
    assert await post(BODY, rotating) == 204


@pytest.mark.parametrize("name", PYTHON)
async def test_a_receiver_in_python_takes_what_we_sign_once_and_nothing_else(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = loaded(name, monkeypatch)
    app = module.application if name == "django" else module.app
    async with asked(app, asgi=name in ("starlette", "fastapi")) as post:
        await behaves(post)
    assert capsys.readouterr().out == "prediction.completed pred_ä\n" * 2


@pytest.mark.skipif(shutil.which("node") is None, reason="node is missing")
async def test_a_receiver_in_node_does_the_same(tmp_path: Path) -> None:
    port = embedded.free_port()
    with (tmp_path / "said").open("wb") as said:
        node = await asyncio.create_subprocess_exec(
            *("node", str(EXAMPLES / "receiver_node.mjs")),
            env=os.environ | {"HOOK_SECRET": HOOK_SECRET, "PORT": str(port)}, stdout=said, stderr=said,
        )  # fmt: skip
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:

            async def listens() -> bool:
                try:
                    return (await client.get("/")).status_code == 404
                except httpx.ConnectError:
                    return False

            async def post(body: bytes, headers: dict[str, str]) -> int:
                return (await client.post("/hooks", content=body, headers=headers)).status_code

            await until(listens, 30, "node listens")
            await behaves(post)
            wanted = "prediction.completed pred_ä\n" * 2
            await until(lambda: (tmp_path / "said").read_text() == wanted, what="it has worked")
    finally:
        node.terminate()
        await node.wait()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is missing")
async def test_a_script_submits_once_however_often_it_is_run(redis_url: str) -> None:
    async with both(redis_url, admin_token="a" * 32) as (server, simulator):
        environment = os.environ | {"CATCHLIGHT": server.url, "CATCHLIGHT_ADMIN_TOKEN": "a" * 32}
        answers = []
        for _ in range(2):
            run = await asyncio.create_subprocess_exec(
                *("sh", str(EXAMPLES / "submit.sh"), "acme/painter", 'a "fox" in snow'),
                env=environment, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            out, _ = await run.communicate()
            assert run.returncode == 0, out
            answers.append(json.loads(out)["id"])
        assert len(set(answers)) == 1
        assert len(simulator.truth()["predictions"]) == 1


def test_each_is_short_enough_to_be_read() -> None:
    for path in EXAMPLES.iterdir():
        assert len(path.read_text().splitlines()) <= 50, path.name
