"""The simulator's files, valid by their formats, and the CDN's ways to withhold them."""

from __future__ import annotations

import hashlib
import struct
import zlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from service.simulator.load import submit_direct
from service.simulator.media import EXTENSIONS, media_type, render
from service.simulator.picture import SIDE, picture
from service.simulator.run import running
from service.simulator.simulator import Simulator, SimulatorConfig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MAGIC = {
    "png": (0, b"\x89PNG\r\n\x1a\n"),
    "jpg": (0, b"\xff\xd8\xff"),
    "webp": (8, b"WEBP"),
    "mp4": (4, b"ftyp"),
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("size", [0, 5_000, 200_000])
def test_a_file_has_its_formats_first_bytes_and_at_least_the_size_asked_for(
    extension: str, size: int
) -> None:
    body = render("id", 0, extension, size)
    place, magic = MAGIC[extension]
    assert body[place : place + len(magic)] == magic
    assert size <= len(body) <= size + 2_000


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_bytes_are_a_function_of_id_and_index(extension: str) -> None:
    assert render("a", 0, extension) == render("a", 0, extension)
    assert len({render("a", 0, extension), render("a", 1, extension), render("b", 0, extension)}) == 3


def png_chunks(body: bytes) -> dict[bytes, bytes]:
    chunks, at = {}, 8
    while at < len(body):
        (length,) = struct.unpack_from(">I", body, at)
        kind, data = body[at + 4 : at + 8], body[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", body, at + 8 + length)[0] == zlib.crc32(kind + data)
        chunks[kind] = data
        at += length + 12
    assert at == len(body)
    return chunks


def test_a_png_decodes_to_the_picture() -> None:
    chunks = png_chunks(render("id", 3, "png", 9_000))
    assert list(chunks)[-1] == b"IEND"
    rows = zlib.decompress(chunks[b"IDAT"])
    assert len(rows) == SIDE * (1 + 3 * SIDE)
    shown = picture("id/3")
    assert all(
        tuple(rows[y * (1 + 3 * SIDE) + 1 + 3 * x :][:3]) == shown.colour(y // 8, x // 8)
        for y in range(SIDE)
        for x in range(SIDE)
    )


def test_a_jpeg_is_a_chain_of_segments_and_ends_with_its_mark() -> None:
    body, at = render("id", 0, "jpg", 150_000), 2
    markers: list[int] = []
    while not markers or markers[-1] != 0xDA:
        assert body[at] == 0xFF
        markers.append(body[at + 1])
        at += 2 + struct.unpack_from(">H", body, at + 2)[0]
    assert set(markers) == {0xE0, 0xFE, 0xDB, 0xC0, 0xC4, 0xDA}
    assert body.endswith(b"\xff\xd9")
    assert b"\xff" not in body[at:-2].replace(b"\xff\0", b"")


def test_a_webp_is_a_whole_riff_with_its_size_in_the_header() -> None:
    body = render("id", 0, "webp", 4_001)
    assert (body[:4], struct.unpack_from("<I", body, 4)[0]) == (b"RIFF", len(body) - 8)
    kinds, at = [], 12
    while at < len(body):
        kinds.append(body[at : at + 4])
        length = struct.unpack_from("<I", body, at + 4)[0]
        at += 8 + length + length % 2
    assert (kinds, at) == ([b"VP8X", b"VP8L", b"note", b"padd"], len(body))


def test_an_mp4_is_a_chain_of_boxes_whose_frame_is_where_it_says() -> None:
    body, at, places = render("id", 0, "mp4", 30_000), 0, {}
    while at < len(body):
        places[body[at + 4 : at + 8]] = at
        at += struct.unpack_from(">I", body, at)[0]
    assert (list(places), at) == ([b"ftyp", b"free", b"moov", b"mdat"], len(body))
    frame = struct.unpack_from(">I", body, body.index(b"stco") + 12)[0]
    assert frame == places[b"mdat"] + 8
    assert body[frame : frame + 3] == b"\xff\xd8\xff"


@asynccontextmanager
async def cdn(
    scenario: str, config: SimulatorConfig | None = None
) -> AsyncIterator[tuple[httpx.AsyncClient, list[str], Simulator]]:
    """A client and the URLs of one finished prediction."""
    async with running(config or SimulatorConfig(delay=(0, 0), stall=0.05)) as (base_url, sim):
        await submit_direct(base_url, "wavespeed-ai/flux-dev", {"simulate": scenario}, None)
        async with httpx.AsyncClient(trust_env=False) as client:
            yield client, list(sim.listed()[0].ending.outputs), sim


@pytest.mark.anyio
async def test_the_truth_knows_the_hash_of_what_was_served() -> None:
    async with cdn("multi") as (client, urls, sim):
        answers = [await client.get(url) for url in urls]
        (told,) = sim.truth()["predictions"]
    assert told["sha256"] == [hashlib.sha256(answer.content).hexdigest() for answer in answers]
    assert told["cdn_hits"] == [1] * len(urls)


@pytest.mark.anyio
async def test_an_address_may_lack_its_extension_and_then_lacks_its_type() -> None:
    async with running(SimulatorConfig(delay=(0, 0), media_bytes=0)) as (base_url, sim):
        for _ in range(30):
            await submit_direct(base_url, "wavespeed-ai/flux-dev", {"simulate": "clean"}, None)
        async with httpx.AsyncClient(trust_env=False) as client:
            for prediction in sim.listed():
                (url,), (extension,) = prediction.ending.outputs, prediction.ending.files
                named = url.endswith(f"/0.{extension}")
                expected = media_type(extension) if named else "application/octet-stream"
                assert (await client.get(url)).headers["content-type"] == expected
        lengths = {len(prediction.ending.outputs[0].rpartition("/")[2]) for prediction in sim.listed()}
    assert 1 in lengths
    assert len(lengths) > 1


@pytest.mark.anyio
async def test_flaky_answers_503_so_many_times() -> None:
    async with cdn("flaky", SimulatorConfig(delay=(0, 0), flaky_times=3)) as (client, (url,), _):
        assert [(await client.get(url)).status_code for _ in range(5)] == [503, 503, 503, 200, 200]


@pytest.mark.anyio
async def test_expired_is_gone_for_good() -> None:
    async with cdn("expired") as (client, (url,), sim):
        assert [(await client.get(url)).status_code for _ in range(4)] == [410, 404, 410, 404]
        assert sim.truth()["predictions"][0]["sha256"] == [None]


@pytest.mark.anyio
async def test_truncated_breaks_off_once_and_is_whole_then() -> None:
    async with cdn("truncated") as (client, (url,), sim):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(url)
        whole = await client.get(url)
        assert hashlib.sha256(whole.content).hexdigest() == sim.truth()["predictions"][0]["sha256"][0]


@pytest.mark.anyio
async def test_slow_stalls_once_and_delivers_everything() -> None:
    async with cdn("slow", SimulatorConfig(delay=(0, 0), stall=0.4)) as (client, (url,), _):
        first, second = await client.get(url), await client.get(url)
    assert first.content == second.content
    assert first.elapsed.total_seconds() >= 0.4 > second.elapsed.total_seconds()


@pytest.mark.anyio
async def test_slow_outlasts_a_reader_without_patience() -> None:
    async with cdn("slow", SimulatorConfig(delay=(0, 0), stall=30)) as (client, (url,), _):
        with pytest.raises(httpx.ReadTimeout):
            await client.get(url, timeout=0.1)


@pytest.mark.anyio
@pytest.mark.parametrize("file", ["1.png", "0.gif", "x", "-1", "0.", "99999"])
async def test_other_addresses_are_not_found(file: str) -> None:
    async with cdn("clean") as (client, (url,), _):
        folder = url.rpartition("/")[0]
        assert (await client.get(f"{folder}/{file}")).status_code == 404
