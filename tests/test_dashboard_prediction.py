"""A prediction's page: its story, its picture, what came of it, what was said, and how to do it again."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from service import clock, wavespeed
from service.ledger import Ledger, PredictionRecord
from service.ledger.callback_headers import CallbackHeaders
from service.prediction import Disposition, Ref, Stage, Verdict
from service.storage import layout, open_vault
from service.web.dashboard import raw
from tests.builders import (
    accept_one,
    callback,
    completed,
    finish,
    hook,
    output,
    polled,
    stage_of,
    tracked,
)
from tests.pages import XSS, dangers, get, sent
from tests.serving import serving
from tests.visitors import TOKENS, VIEWER, bearer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.pages import Page
    from tests.serving import Served

pytestmark = pytest.mark.anyio

AROUND = CallbackHeaders("msg_7", "1700000000", "acme-hooks/2", "application/json")
PAGE = "/predictions/p1?source=main"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def server(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    folder = tmp_path_factory.mktemp("outputs")
    async with serving(redis_server, storage_url=folder.as_uri()) as served:
        yield served


@pytest.fixture(autouse=True)
def _empty(redis_url: str) -> None:
    """Every test begins with an empty ledger."""


@pytest.fixture
async def ledger(redis_url: str) -> AsyncIterator[Ledger]:
    opened = Ledger(redis_url, 8e5)
    yield opened
    await opened.aclose()


async def done(ledger: Ledger, nsfw: str = "c", disposition: Disposition = Disposition.STORED) -> None:
    said = completed("p1", nsfw, created_at=clock.now() - 60)
    await accept_one(ledger, replace(callback(said), headers=AROUND))
    word = {"c": "clean", "u": "unknown", "f": "flagged"}[nsfw]
    await finish(ledger, "p1", hooks=[hook("crm")], outputs=[output(0, disposition, nsfw=word)])


def pictures(page: Page) -> list[str]:
    return [found["src"] for tag, found in page.tags if tag == "img"]


async def test_everything_there_is_to_know_stands_on_it(server: Served, ledger: Ledger) -> None:
    await done(ledger)
    page = await get(server.client, PAGE)
    for word in (
        *("p1 of acme/painter: created at the provider", "It is done since", "Not yet told: crm"),
        *("at the provider", "queued", "attempt 1", "not told yet", "goes on"),
        *("Output 0", "stored", "clean", "1.0 kB, image/png, 8", "0" * 64, "file:///outputs/p1/0.png"),
        *("crm", "prediction.completed", "pending", "called_back", "committed"),
        *("webhook-id", "msg_7", "acme-hooks/2", "Its signature is not kept", '"status": "completed"'),
    ):
        assert word in page.text, word
    assert pictures(page) == ["/media/main/p1/0/thumb"]
    assert {"/media/main/p1/0", "/api/v1/predictions/p1?source=main"} <= set(page.links)
    assert any(tag == "svg" and "waterfall" in found.get("class", "") for tag, found in page.tags)
    assert dangers(page) == []


async def test_of_what_is_held_there_is_a_blur_and_nothing_that_leads_to_it(
    server: Served, ledger: Ledger
) -> None:
    await done(ledger, "f", Disposition.HELD)
    page = await get(server.client, PAGE)
    assert pictures(page) == ["/media/main/p1/0/blur"]
    assert "/review/main/p1/0" in page.links
    assert raw.COVERED in page.text
    assert "https://cdn.example" not in page.text
    assert not any("https://cdn.example" in value for _, found in page.tags for value in found.values())
    assert "As curl" not in page.text


async def test_what_is_only_awaited_has_a_page_too(server: Served, ledger: Ledger) -> None:
    await accept_one(ledger, tracked())
    page = await get(server.client, PAGE)
    for word in ("It is awaited", "It has none yet", "No hook was told of it yet", "Nothing came yet"):
        assert word in page.text
    assert [form.action for form in page.forms] == []


async def test_what_a_poll_found_is_called_so(server: Served, ledger: Ledger) -> None:
    await accept_one(ledger, polled(completed("p1")))
    page = await get(server.client, PAGE)
    assert "What the provider said" in page.text
    assert "webhook-id" not in page.text


async def test_nobodys_id_is_not_found_on_a_page(server: Served) -> None:
    assert "no prediction nobody" in (await get(server.client, "/predictions/nobody", 404)).text
    await get(server.client, "/predictions/no%20id", 404)


@pytest.mark.parametrize(
    ("label", "stage", "rounds"),
    [
        ("Fetch again", Stage.ACCEPTED, "Replayed from fetch"),
        ("Tell the hooks again", Stage.DONE, "Replayed from deliver"),
        ("Tell them under new ids", Stage.DONE, "with new event ids"),
    ],
)
async def test_it_is_done_once_more_by_a_button(
    server: Served, ledger: Ledger, label: str, stage: Stage, rounds: str
) -> None:
    await done(ledger)
    told = await sent(server.client, (await get(server.client, PAGE)).form(label))
    assert await stage_of(ledger) == stage
    assert rounds in told.text
    assert "on its way again" in told.text


async def test_a_button_that_comes_too_late_says_why(server: Served, ledger: Ledger) -> None:
    await done(ledger)
    form = (await get(server.client, PAGE)).form("Fetch again")
    await sent(server.client, form)
    late = await sent(server.client, form)
    assert (late.status, "only a prediction that has ended can be replayed" in late.text) == (409, True)
    odd = await server.client.post(form.action, data=form.fields | {"from": "the moon"})
    assert (odd.status_code, odd.json()["reason"]) == (422, "invalid")


async def test_a_viewer_sees_no_button_and_has_none(redis_url: str, ledger: Ledger) -> None:
    await done(ledger)
    async with serving(redis_url, **TOKENS) as server:
        server.client.headers.update(bearer(VIEWER))
        page = await get(server.client, PAGE)
        assert [form.action for form in page.forms] == []
        answer = await server.client.post("/predictions/p1/replay", data={"from": "fetch", "source": "main"})
        assert answer.status_code == 403
    assert await stage_of(ledger) == Stage.DONE


@pytest.mark.parametrize("payload", XSS)
async def test_strangers_words_are_words(server: Served, ledger: Ledger, payload: str) -> None:
    said = {"id": "p1", "status": "completed", "input": {"prompt": payload, payload: payload}}
    report = completed("p1", model=payload, error=payload, payload=said)
    around = CallbackHeaders("msg", "1", payload, payload)
    await accept_one(
        ledger, replace(callback(report), headers=around, metadata={payload: payload}, detail=payload)
    )
    outputs = [output(0, media_type=payload, error=payload, uri=payload, sha256=payload)]
    await finish(ledger, "p1", hooks=[hook("crm")], outputs=outputs)
    page = await get(server.client, PAGE)
    assert payload.split(maxsplit=1)[0] in page.text
    assert dangers(page) == []


def test_the_shell_that_is_offered_signs_what_we_verify(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    if not bash or not shutil.which("openssl"):
        pytest.skip("bash or openssl is not installed")
    body = {"id": "p1", "status": "completed", "input": {"prompt": 'it\'s $HOME `date` \\ "é"; %s'}}
    script = raw.curl("https://us.example/webhooks/main", raw.Raw(body, AROUND.named()), body)
    secret = "whsec_not-a-secret"
    # The same script with a `curl` that says what it was given.
    told = 'curl() { for one in "$@"; do printf "%s\\0" "$one"; done; }\n' + script
    done = subprocess.run(
        [bash, "-c", told], env={"SECRET": secret, "PATH": "/usr/bin:/bin"}, capture_output=True, check=True
    )
    _, url, *rest = done.stdout.decode().split("\0")
    pairs = [rest[n + 1].split(": ", 1) for n in range(0, len(rest) - 3, 2)]
    headers = [(name.encode(), value.encode()) for name, value in pairs]
    sent_body = rest[-2].encode()
    assert (url, json.loads(sent_body)) == ("https://us.example/webhooks/main", body)
    assert not wavespeed.verify(headers, sent_body, [secret], clock.now()).stale


def test_what_is_cut_or_covered_is_not_offered_to_the_shell() -> None:
    body = {"outputs": ["x"], "input": {"image": "A" * 3000}}
    seen = raw.shown(body, [{"index": 0, "nsfw": "clean", "disposition": "stored"}])
    assert seen["input"]["image"].endswith("… (3000 characters)")
    assert raw.curl("https://us.example", raw.Raw(body), seen) == ""
    assert raw.curl("https://us.example", raw.Raw(), {}) == ""


@pytest.mark.parametrize(
    ("named", "nsfw", "disposition", "shown"),
    [
        (["a"], "clean", "skipped", ["a"]),
        (["a"], "flagged", "released", ["a"]),
        (["a"], "flagged", "skipped", [raw.COVERED]),
        ("a", "unknown", "held", raw.COVERED),
        (["a", "b"], "clean", "stored", ["a", raw.COVERED]),
    ],
)
def test_of_outputs_only_those_that_somebody_or_something_cleared_are_shown(
    named: object, nsfw: str, disposition: str, shown: object
) -> None:
    outputs = [{"index": 0, "nsfw": nsfw, "disposition": disposition}]
    assert raw.shown({"outputs": named}, outputs)["outputs"] == shown


async def test_long_after_the_end_it_is_read_from_the_manifest(tmp_path: Path) -> None:
    vault = open_vault(tmp_path.as_uri(), None, threads=2)
    record = PredictionRecord(
        Ref("main", "p1"), Stage.DONE, "acme/painter", verdict=Verdict.COMPLETED, day="2026-11-28"
    )
    assert await raw.read(vault, record) == raw.Raw()
    key = f"main/acme_painter/2026/11/28/p1/{layout.MANIFEST}"
    said = {"payload": {"id": "p1"}, "callback": AROUND.named()}
    await vault.write(key, b"no json", held=True)
    await vault.write(key, json.dumps(said).encode(), held=False)
    assert await raw.read(vault, record) == raw.Raw({"id": "p1"}, AROUND.named())
    older = {"payload": {"id": "p1"}}
    await vault.write(key, json.dumps(older).encode(), held=True)
    assert await raw.read(vault, record) == raw.Raw({"id": "p1"}, {})
    await vault.aclose()
