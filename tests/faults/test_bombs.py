"""Bodies that would inflate to 300 MB, wherever a stranger's body reaches us: nobody inflates them."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import httpx
import pytest

from service.prediction import Stage
from service.simulator.scenario import Scenario
from tests import origin, resident, serving
from tests.bombs import SIZE, bombs
from tests.faults.backstage import Backstage
from tests.faults.downloader import downloader
from tests.resident import MIB
from tests.workplace import role, until, workplace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.faults.downloader import Downloader
    from tests.origin import Origin, Script

MOST = 32 * MIB
CODINGS = ("gzip", "gzip, gzip", "br", "zstd")


def answers() -> dict[str, Script]:
    """Each bomb at `/encoded/<coding>`, and at `/plain/<coding>` without a word of it."""
    scripts = {"/small": origin.answer(b"small")}
    for coding, bomb in bombs().items():
        name = coding.replace(", ", "-")
        scripts[f"/encoded/{name}"] = origin.answer(bomb, headers=f"Content-Encoding: {coding}\r\n")
        scripts[f"/endless/{name}"] = origin.answer(
            bomb, headers=f"Content-Encoding: {coding}\r\n", length=False
        )
        scripts[f"/plain/{name}"] = origin.answer(bomb)
    return scripts


@pytest.fixture(scope="module")
def cdn() -> Iterator[Origin]:
    with Backstage() as backstage:
        yield backstage.enter(origin.running(answers()))


@pytest.fixture(scope="module")
def child(cdn: Origin) -> Iterator[Downloader]:
    with downloader(cdn.url("/small")) as started:
        yield started


def test_the_bombs_are_some() -> None:
    """As far as the standard library can unpack them."""
    body = bombs()["gzip"]
    assert zlib.decompress(bombs()["gzip, gzip"], wbits=31) == body
    unpacker, size = zlib.decompressobj(wbits=31), 0
    while part := unpacker.decompress(body, 32 * MIB):
        size += len(part)
        body = unpacker.unconsumed_tail
    assert (size, unpacker.eof) == (SIZE, True)
    assert max(map(len, bombs().values())) < SIZE / 1000


@pytest.mark.parametrize("asking", ["identity", "gzip, br, zstd, deflate"])
@pytest.mark.parametrize("way", ["encoded", "endless"])
@pytest.mark.parametrize("coding", CODINGS)
def test_an_encoded_output_is_refused_by_its_header_whatever_was_asked_for(
    cdn: Origin, child: Downloader, coding: str, way: str, asking: str
) -> None:
    url = cdn.url(f"/{way}/{coding.replace(', ', '-')}")
    cost = child.download(url, {"accept-encoding": asking})
    assert cost.word == "encoded"
    assert cost.rise < MOST
    assert cost.seconds < 2
    assert f"accept-encoding: {asking}" in cdn.requests[-1].lower()


@pytest.mark.parametrize("coding", CODINGS)
def test_an_output_that_happens_to_be_packed_is_kept_as_it_is(
    cdn: Origin, child: Downloader, coding: str
) -> None:
    cost = child.download(cdn.url(f"/plain/{coding.replace(', ', '-')}"))
    assert (cost.word, cost.said) == ("bin", f"{len(bombs()[coding])} bytes")
    assert cost.rise < MOST


def test_an_encoded_callback_is_a_415_and_a_packed_one_is_no_prediction(
    redis_url: str, tmp_path: Path
) -> None:
    with (
        serving.role(tmp_path, redis_url) as server,
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):
        plain = serving.callback()
        assert client.post(serving.PATH, content=plain, headers=serving.sign(plain)).status_code == 200
        resident.forget_peak(server.process.pid)
        at_rest = resident.resident(server.process.pid)
        for coding, bomb in bombs().items():
            signed = serving.sign(bomb)
            encoded = signed | {"content-encoding": coding}
            assert client.post(serving.PATH, content=bomb, headers=encoded).status_code == 415
            assert client.post(serving.PATH, content=bomb, headers=signed).status_code == 400
        assert resident.peak(server.process.pid) - at_rest < MOST


@pytest.mark.anyio
@pytest.mark.parametrize("status", [200, 500])
async def test_a_hook_that_answers_with_a_bomb_has_answered(
    redis_url: str, tmp_path: Path, status: int
) -> None:
    scripts = {
        f"/{number}": origin.answer(bomb, status, f"Content-Encoding: {coding}\r\n")
        for number, (coding, bomb) in enumerate(bombs().items())
    }
    scripts["/plain"] = origin.answer(b"{}")
    async with origin.running(scripts) as server:
        hooks = {f"hook-{path[1:]}": {"url": server.url(path)} for path in scripts}
        async with workplace(redis_url, tmp_path, hooks=hooks) as place, role(place, "work") as worker:
            resident.forget_peak(worker.process.pid)
            at_rest = resident.resident(worker.process.pid)
            ref = await place.complete(place.payload(Scenario.TEXT))
            assert (await place.ended(ref))["stage"] == Stage.DONE

            async def answered() -> bool:
                told = (await place.prediction(ref))["deliveries"]
                return len(told) == len(hooks) and all(one["last_status"] for one in told)

            await until(answered, what="every hook has answered")
            statuses = {
                one["hook"]: one["last_status"] for one in (await place.prediction(ref))["deliveries"]
            }
            assert statuses.pop("hook-plain") == 200
            assert set(statuses.values()) == {status}
            assert resident.peak(worker.process.pid) - at_rest < MOST
