"""Before it is revealed, nothing that can be asked for holds more of a held output than its 32-pixel blur."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urldefrag, urljoin, urlsplit

import pytest

from service import clock
from service.settings import Settings
from service.simulator import media
from service.web.dashboard.seal import LIVES, Seal
from tests.described import operations
from tests.pictures import encoded, opened, scene
from tests.serving import SECRET, serving
from tests.shown import File, paths, show
from tests.visitors import ADMIN, OWN_PAGE, TOKENS, VIEWER, bearer, visitor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    import httpx

    from service.prediction import Ref
    from tests.serving import Served

pytestmark = pytest.mark.anyio

ADDRESS = re.compile(r"""(?:href|src|action|hx-get|poster|srcset)=["']([^"'\s]+)""")
MOST_PIXELS, BLOCK, LIMIT = 32, 32, 400
TEXT = b"What nobody may read before it is revealed, line by line by line.\n" * 3
FILES = (
    File(encoded(scene(1))),
    File(encoded(scene(2), "JPEG", quality=95), "image/jpeg", nsfw="flagged"),
    File(media.render("a-film", 2, "mp4", 20_000), "video/mp4"),
    File(TEXT, "text/plain"),
)
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def server(redis_url: str, tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(redis_url, storage_url=tmp_path.as_uri(), **TOKENS) as served:
        yield served


def addresses(server: Served, ref: Ref) -> Iterator[str]:
    """Every route that takes a GET, asked about every held output; and what an API's client asks."""
    for path, method in operations(server.app.routes):
        if method != "get" or path == "/live":
            continue
        for index in range(len(FILES)):
            filled = path.replace("{source}", ref.source).replace("{id}", ref.id)
            yield re.sub(r"\{\w+(:\w+)?\}", ref.id, filled.replace("{index}", str(index)))
    yield from (
        "/",
        "/api/v1/predictions?query=nsfw:flagged",
        f"/api/v1/predictions/{ref.id}?source={ref.source}",
    )
    for path in paths(ref, range(len(FILES))):
        yield from (f"{path}?seen=1.{'0' * 64}", f"{path}/thumb?seen=", f"{path}/../../{ref.id}/0")


async def crawled(client: httpx.AsyncClient, begin: Sequence[str]) -> dict[str, httpx.Response]:
    """All that can be reached from there; of links that differ in their parameters' values alone, one."""
    seen: dict[str, httpx.Response] = {}
    waits, shapes = list(dict.fromkeys(begin)), set[object]()
    while waits and len(seen) < LIMIT:
        address = urldefrag(waits.pop())[0]
        if address in seen:
            continue
        accept = "*/*" if address.startswith(("/media/", "/api/")) else "text/html"
        request = client.build_request("GET", address, headers={"accept": accept})
        answer = seen[address] = await client.send(request)
        found = [answer.headers.get("location", "")]
        if answer.headers.get("content-type", "").startswith("text/html"):
            found += map(unescape, ADDRESS.findall(answer.text))
        for one in filter(None, found):
            parts = urlsplit(urljoin(address, one))
            shape = (parts.path, *(name for name, _ in parse_qsl(parts.query)))
            if parts.scheme or parts.netloc or parts.path.startswith(("/live", "/static/")):
                continue
            if shape not in shapes:
                shapes.add(shape)
                waits.append(parts._replace(fragment="").geturl())
    assert len(seen) < LIMIT, "the crawl has no end"
    return seen


def leaks(seen: dict[str, httpx.Response]) -> Iterator[str]:
    """A run of 64 bytes of an original holds one of its blocks of 32 bytes, wherever the run begins."""
    blocks = {
        file.data[at : at + BLOCK]
        for file in FILES
        for at in range(0, len(file.data) - BLOCK + 1, BLOCK)
        if len(set(file.data[at : at + BLOCK])) > BLOCK // 4
    }
    for address, answer in seen.items():
        kind = answer.headers.get("content-type", "")
        if kind.startswith("image/") and "svg" not in kind and max(opened(answer.content).size) > MOST_PIXELS:
            yield f"{address}: a picture of {opened(answer.content).size}"
        if kind.startswith(("video/", "audio/")) or any(block in answer.content for block in blocks):
            yield f"{address}: bytes of an original"


@pytest.mark.parametrize(("role", "token"), [("operator", ADMIN), ("viewer", VIEWER)])
async def test_nothing_but_blurs_before_a_reveal(
    server: Served, redis_url: str, tmp_path: Path, role: str, token: str
) -> None:
    ref = await show(redis_url, tmp_path, "held-1", *FILES)
    await show(redis_url, tmp_path, "held-2", *FILES)
    async with visitor(server) as client:
        client.headers.update(bearer(token) | OWN_PAGE)
        if role == "operator":
            request = client.build_request("POST", "/review/own", content="name=ada", headers=FORM)
            await client.send(request)
        seen = await crawled(client, [*addresses(server, ref)])
    assert list(leaks(seen)) == []
    asked = [answer for address, answer in seen.items() if address in set(paths(ref, range(4)))]
    assert [answer.status_code for answer in asked] == [403] * 4
    blurs = [seen[f"{path}/blur"] for path in paths(ref, [0, 1])]
    assert [max(opened(answer.content).size) for answer in blurs] == [MOST_PIXELS] * 2
    assert "/review/wavespeed/held-2/0" in seen
    if role == "viewer":
        assert "?seen=" not in "".join(
            answer.text for answer in seen.values() if "html" in str(answer.headers)
        )


async def test_a_reveal_opens_one_output_for_a_minute(server: Served, redis_url: str, tmp_path: Path) -> None:
    ref = await show(redis_url, tmp_path, "held-1", *FILES)
    async with visitor(server) as client:
        client.headers.update(bearer(ADMIN) | OWN_PAGE)
        for path, body in (("own", "name=ada"), (f"{ref.source}/{ref.id}/0/reveal", "")):
            request = client.build_request("POST", f"/review/{path}", content=body, headers=FORM)
            answer = await client.send(request)
        (given,) = set(re.findall(rf'/media/{ref.source}/{ref.id}/0\?seen=([^"]+)', answer.text))
        assert list(leaks({"the answer to a reveal": answer})) == [], "it leads there, and holds nothing"
        first, second, *_ = paths(ref, [0, 1])
        seen = await client.send(client.build_request("GET", f"{first}?seen={given}"))
        assert (seen.content, seen.headers["cache-control"]) == (FILES[0].data, "no-store")
        other = await client.send(client.build_request("GET", f"{second}?seen={given}"))
        assert other.status_code == 403
    sha256 = seen.headers["etag"].strip('"')
    expires = int(given.partition(".")[0])
    assert expires - clock.now() <= LIVES + 1
    seal = Seal.of(Settings.model_validate({"webhook_secrets": SECRET} | TOKENS))
    assert seal.is_open(ref, 0, sha256, given, expires - 1.0)
    assert not seal.is_open(ref, 0, sha256, given, float(expires))
