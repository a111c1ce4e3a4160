"""Files on show: parts of them, what a browser may keep, and nothing of what is held but its blur."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import httpx
import pytest

from service import clock
from service.prediction import Disposition, Ref
from service.settings import Settings
from service.web.dashboard import ranges
from service.web.dashboard.seal import LIVES, Seal
from tests.pictures import encoded, opened, scene
from tests.serving import SECRET, serving
from tests.shown import File, paths, show

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.serving import Served

pytestmark = pytest.mark.anyio

STORED, HELD, REJECTED = Disposition.STORED, Disposition.HELD, Disposition.REJECTED
PICTURE = encoded(scene(1))
FILM = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 9000
ADMIN, VIEWER = "an-admin-token-of-some-length", "a-viewer-token-of-some-length"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outputs")


@pytest.fixture(scope="module")
async def server(redis_server: str, folder: Path) -> AsyncIterator[Served]:
    async with serving(
        redis_server, storage_url=folder.as_uri(), admin_token=ADMIN, viewer_token=VIEWER
    ) as served:
        yield served


@pytest.fixture
async def operator(server: Served) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {ADMIN}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, trust_env=False) as client:
        yield client


@pytest.fixture
async def viewer(server: Served) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {VIEWER}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, trust_env=False) as client:
        yield client


def revealing(ref: Ref, index: int, at: float) -> str:
    """As the answer to a reveal `at` that instant has it."""
    seal = Seal.of(Settings.model_validate({"webhook_secrets": SECRET, "admin_token": ADMIN}))
    return seal.opened(ref, index, hashlib.sha256(PICTURE).hexdigest(), at)


async def test_a_stored_picture_is_sent_as_it_is(
    viewer: httpx.AsyncClient, redis_url: str, folder: Path
) -> None:
    (path,) = paths(await show(redis_url, folder, "m1", File(PICTURE, disposition=STORED)), [0])
    answer = await viewer.get(path)
    assert (answer.status_code, answer.content) == (200, PICTURE)
    headers = answer.headers
    assert headers["content-type"] == "image/png"
    assert headers["content-disposition"] == 'inline; filename="m1-0.png"'
    assert headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "private, no-cache"
    again = await viewer.get(path, headers={"If-None-Match": headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = await viewer.head(path)
    assert (head.headers["content-length"], head.content) == (str(len(PICTURE)), b"")


async def test_thumbnail_and_blur_of_a_stored_picture(
    viewer: httpx.AsyncClient, redis_url: str, folder: Path
) -> None:
    (path,) = paths(await show(redis_url, folder, "m2", File(PICTURE, disposition=STORED)), [0])
    thumb, blur = await viewer.get(f"{path}/thumb"), await viewer.get(f"{path}/blur")
    assert (max(opened(thumb.content).size), max(opened(blur.content).size)) == (480, 32)
    assert thumb.headers["etag"] != blur.headers["etag"]


async def test_a_video_is_sent_in_the_parts_that_are_asked_for(
    viewer: httpx.AsyncClient, redis_url: str, folder: Path
) -> None:
    (path,) = paths(await show(redis_url, folder, "m3", File(FILM, "video/mp4", STORED)), [0])
    whole = await viewer.get(path)
    assert (whole.content, whole.headers["accept-ranges"]) == (FILM, "bytes")
    part = await viewer.get(path, headers={"Range": "bytes=100-1500000"})
    assert (part.status_code, part.content) == (206, FILM[100:1500001])
    assert part.headers["content-range"] == f"bytes 100-1500000/{len(FILM)}"
    beyond = await viewer.get(path, headers={"Range": f"bytes={len(FILM)}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(FILM)}")
    other = await viewer.get(path, headers={"Range": "bytes=0-9", "If-Range": '"other bytes"'})
    assert other.status_code == 200


async def test_a_text_is_a_download_and_has_no_picture(
    viewer: httpx.AsyncClient, redis_url: str, folder: Path
) -> None:
    file = File(b"<script>alert(1)</script>", "text/plain", STORED)
    (path,) = paths(await show(redis_url, folder, "m4", file), [0])
    answer = await viewer.get(path)
    assert answer.headers["content-disposition"].startswith("attachment")
    thumb = await viewer.get(f"{path}/thumb")
    assert (thumb.status_code, thumb.headers["content-type"]) == (200, "image/svg+xml")


async def test_of_what_is_held_nobody_sees_more_than_the_blur(
    operator: httpx.AsyncClient, viewer: httpx.AsyncClient, redis_url: str, folder: Path
) -> None:
    (path,) = paths(await show(redis_url, folder, "m5", File(PICTURE)), [0])
    for client in (operator, viewer):
        for what in ("", "/thumb", "?seen=", f"?seen=9999999999.{'0' * 64}"):
            refused = await client.get(path + what)
            assert (refused.status_code, refused.json()["reason"]) == (403, "not_revealed")
        blur = await client.get(f"{path}/blur")
        assert max(opened(blur.content).size) == 32


async def test_a_revealed_url_is_for_one_operator_one_output_and_one_minute(
    operator: httpx.AsyncClient, viewer: httpx.AsyncClient, redis_url: str, folder: Path
) -> None:
    ref = await show(redis_url, folder, "m6", File(PICTURE), File(PICTURE))
    first, second = paths(ref, [0, 1])
    given = revealing(ref, 0, clock.now())
    seen = await operator.get(f"{first}?seen={given}")
    assert (seen.content, seen.headers["cache-control"]) == (PICTURE, "no-store")
    assert max(opened((await operator.get(f"{first}/thumb?seen={given}")).content).size) == 480
    assert (await viewer.get(f"{first}?seen={given}")).status_code == 403
    assert (await operator.get(f"{second}?seen={given}")).status_code == 403
    late = revealing(ref, 0, clock.now() - LIVES - 1)
    assert (await operator.get(f"{first}?seen={late}")).status_code == 403


def test_a_seal_holds_until_its_minute_is_over() -> None:
    seal, ref = Seal(b"k"), Ref("wavespeed", "p")
    given = seal.opened(ref, 0, "aa", 1000.0)
    assert seal.is_open(ref, 0, "aa", given, 1000.0 + LIVES - 0.1)
    assert not seal.is_open(ref, 0, "aa", given, 1000.0 + LIVES)
    assert not seal.is_open(ref, 1, "aa", given, 1000.0)
    assert not seal.is_open(ref, 0, "bb", given, 1000.0)
    assert not seal.is_open(Ref("other", "p"), 0, "aa", given, 1000.0)
    assert not Seal(b"other").is_open(ref, 0, "aa", given, 1000.0)
    assert not seal.is_open(ref, 0, "aa", f"9{given}", 1000.0)


async def test_what_is_rejected_or_unknown_is_not_found(
    operator: httpx.AsyncClient, redis_url: str, folder: Path
) -> None:
    ref = await show(redis_url, folder, "m7", File(PICTURE, disposition=REJECTED))
    for path in ("/media/wavespeed/m7/0", "/media/wavespeed/m7/0/blur", "/media/wavespeed/m7/1",
                 "/media/wavespeed/nobody/0", "/media/other/m7/0", "/media/wavespeed/m7/x",
                 "/media/..%2f/m7/0", "/media/wavespeed/m7/9999999"):  # fmt: skip
        answer = await operator.get(path)
        assert (answer.status_code, ref.id) == (404, "m7"), path


async def test_a_file_out_of_reach_is_told_where_it_should_be(
    operator: httpx.AsyncClient, redis_url: str, folder: Path, tmp_path: Path
) -> None:
    path, held = paths(
        await show(redis_url, tmp_path, "m8", File(PICTURE, disposition=STORED), File(PICTURE)), [0, 1]
    )
    for what in ("", "/thumb", "/blur"):
        answer = await operator.get(path + what)
        assert (answer.status_code, answer.json()["reason"]) == (404, "file_unreachable")
        assert tmp_path.as_uri() in answer.json()["detail"]
    answer = await operator.get(f"{held}/blur")
    assert tmp_path.as_uri() not in answer.text


@pytest.mark.parametrize(
    ("header", "size", "part"),
    [(None, 10, None), ("bytes=0-4", 10, (0, 5)), ("bytes=4-", 10, (4, 6)), ("bytes=-3", 10, (7, 3)),
     ("bytes=-30", 10, (0, 10)), ("bytes=4-99", 10, (4, 6)), ("bytes=4-2", 10, None), ("bytes=-", 10, None),
     ("bytes=0-1,3-4", 10, None), ("lines=0-4", 10, None), ("bytes=\u0663-", 10, None)],
)  # fmt: skip
def test_ranges(header: str | None, size: int, part: tuple[int, int] | None) -> None:
    assert ranges.asked(header, size) == part


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0)])
def test_ranges_beyond_the_end(header: str, size: int) -> None:
    with pytest.raises(ranges.UnsatisfiableError):
        ranges.asked(header, size)


def test_two_processes_have_one_seal(tmp_path: Path) -> None:
    settings = Settings.model_validate({"webhook_secrets": SECRET, "storage_url": tmp_path.as_uri()})
    ref = Ref("wavespeed", "p")
    given = Seal.of(settings).opened(ref, 0, "aa", 5.0)
    assert Seal.of(settings).is_open(ref, 0, "aa", given, 6.0)
    assert not Seal.of(settings.model_copy(update={"webhook_secrets": ()})).is_open(ref, 0, "aa", given, 6.0)
