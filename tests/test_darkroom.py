"""The darkroom makes small pictures, or says why not; whatever a file does, it does to a child."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from service.darkroom.asking import Darkroom, NoPicture
from service.darkroom.derived import alike
from service.errors import NotFound
from service.simulator import media
from tests.pictures import bomb, encoded, opened, scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from service.darkroom.developed import Developed

pytestmark = pytest.mark.anyio

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>'
LIE = b"RIFF\xff\xff\xff\xffWEBPVP8 \xff\xff\xff\xff"
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n"


@pytest.fixture(scope="module")
def kept() -> Iterator[list[Darkroom]]:
    """The last one, whose process the next test goes on with."""
    rooms: list[Darkroom] = []
    yield rooms
    asyncio.run(rooms[-1].aclose())


@pytest.fixture
async def darkroom(kept: list[Darkroom]) -> Darkroom:
    kept.append(Darkroom(resident=kept[-1]._resident if kept else None))
    return kept[-1]


async def develop(room: Darkroom, data: bytes, media_type: str = "image/png") -> Developed:
    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(data), 100_000):
            yield data[at : at + 100_000]

    return await room.develop(chunks, media_type)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "P"), ("PNG", "I;16"), ("JPEG", "CMYK"), ("JPEG", "L"),
     ("WEBP", "RGBA"), ("GIF", "P"), ("AVIF", "RGB")],
)  # fmt: skip
async def test_every_raster_gets_a_thumbnail_and_a_blur(darkroom: Darkroom, kind: str, mode: str) -> None:
    image = scene(1, 1200, 600, "L" if mode == "I;16" else mode)
    data = encoded(image.convert("I").convert("I;16") if mode == "I;16" else image, kind)
    made = await develop(darkroom, data)
    thumb, blur = opened(made.thumb), opened(made.blur)
    assert (thumb.format, thumb.size) == ("WEBP", (480, 240))
    assert (blur.format, blur.size) == ("WEBP", (32, 16))
    assert len(made.likeness) == 16


async def test_nothing_of_the_originals_metadata_is_in_them(darkroom: Darkroom) -> None:
    secret = b"a prompt that nobody may see before " * 4
    exif = scene(2).getexif()
    exif[0x010E] = secret.decode()
    data = encoded(scene(2), "JPEG", exif=exif.tobytes(), icc_profile=secret, comment=secret)
    made = await develop(darkroom, data)
    assert secret[:20] in data
    assert secret[:20] not in made.thumb + made.blur


async def test_a_picture_stands_upright(darkroom: Darkroom) -> None:
    exif = scene(3).getexif()
    exif[0x0112] = 6
    made = await develop(darkroom, encoded(scene(3, 600, 300), "JPEG", exif=exif.tobytes()))
    assert opened(made.thumb).size == (240, 480)


async def test_likenesses_tell_copies_from_others(darkroom: Darkroom) -> None:
    first = await develop(darkroom, encoded(scene(4)))
    copy = await develop(darkroom, encoded(scene(4).resize((320, 200)), "JPEG", quality=60))
    other = await develop(darkroom, encoded(scene(5)))
    assert alike(first.likeness, copy.likeness)
    assert not alike(first.likeness, other.likeness)
    assert not alike(first.likeness, None)


@pytest.mark.parametrize(
    "data",
    [b"", b"rubbish" * 100, SVG, POSTSCRIPT, bomb(), bomb(8000), encoded(scene(6))[:1000],
     encoded(scene(6), "JPEG")[:3000], encoded(scene(6), "TIFF"), LIE],
    ids=["empty", "rubbish", "svg", "postscript", "bomb", "short bomb", "cut png", "cut jpeg", "tiff", "lie"],
)  # fmt: skip
async def test_what_cannot_be_decoded_is_no_picture(darkroom: Darkroom, data: bytes) -> None:
    with pytest.raises(NoPicture):
        await develop(darkroom, data)
    assert await develop(darkroom, encoded(scene(7)))


async def test_the_resident_comes_back_when_it_was_killed(darkroom: Darkroom) -> None:
    await develop(darkroom, encoded(scene(8)))
    before = darkroom._resident.process
    assert before is not None
    os.kill(before.pid, signal.SIGKILL)
    before.wait()
    await develop(darkroom, encoded(scene(8)))
    assert darkroom._resident.process is not before


async def test_one_killed_with_a_job_in_hand_is_asked_again(darkroom: Darkroom) -> None:
    await develop(darkroom, encoded(scene(8)))
    assert darkroom._resident.process is not None
    os.kill(darkroom._resident.process.pid, signal.SIGSTOP)
    asked = asyncio.create_task(develop(darkroom, encoded(scene(9))))
    await asyncio.sleep(0)
    darkroom._resident.process.kill()
    assert (await asked).thumb


async def test_a_file_that_never_ends_holds_up_nobody_for_long() -> None:
    room = Darkroom(deadline=0.3)

    async def endless() -> AsyncIterator[bytes]:
        yield b"\x89PNG"
        await asyncio.Event().wait()

    with pytest.raises(NoPicture, match=r"within 0\.3 s"):
        await room.develop(endless, "image/png")
    await room.aclose()


async def test_what_the_stream_raises_goes_through(darkroom: Darkroom) -> None:
    async def gone() -> AsyncIterator[bytes]:
        yield b"\x89PNG"
        raise NotFound("gone")

    with pytest.raises(NotFound):
        await darkroom.develop(gone, "image/png")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
async def test_it_is_given_no_secret_and_is_nicer_than_we_are(
    darkroom: Darkroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATCHLIGHT_ADMIN_TOKEN", "a-token-that-stays-with-us")
    await develop(darkroom, encoded(scene(8)))
    assert darkroom._resident.process is not None
    pid = darkroom._resident.process.pid
    given = await asyncio.to_thread(Path(f"/proc/{pid}/environ").read_bytes)
    assert b"CATCHLIGHT" not in given
    assert os.getpriority(os.PRIO_PROCESS, pid) >= min(os.getpriority(os.PRIO_PROCESS, 0) + 10, 19)


async def test_it_ends_with_us() -> None:
    room = Darkroom()
    await develop(room, encoded(scene(8)))
    resident = room._resident.process
    assert resident is not None
    await room.aclose()
    assert resident.poll() == 0


async def test_a_video_has_its_first_frame_as_a_poster(darkroom: Darkroom) -> None:
    pytest.importorskip("av", reason="needs the extra catchlight[video]: uv run --extra video pytest …")
    made = await develop(darkroom, media.render("a-film", 0, "mp4"), "video/mp4")
    assert opened(made.thumb).size == (64, 64)
    with pytest.raises(NoPicture):
        await develop(darkroom, media.render("a-film", 0, "mp4")[:300], "video/mp4")
