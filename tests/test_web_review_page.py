"""The review's pages: one held output at a time, with forms alone, every word and every look on record."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
import redis

from service import keys
from service.ledger import Ledger
from service.prediction import Disposition, Ref
from service.review import Decision
from tests.pictures import encoded, scene
from tests.serving import serving
from tests.shown import File, show
from tests.visitors import ADMIN, OWN_PAGE, TOKENS, VIEWER, bearer, visitor
from tests.workplace import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

    from tests.serving import Served

pytestmark = pytest.mark.anyio

PICTURE, OTHER = encoded(scene(1)), encoded(scene(2))


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outputs")


@pytest.fixture(scope="module")
async def server(redis_server: str, folder: Path) -> AsyncIterator[Served]:
    async with serving(redis_server, storage_url=folder.as_uri(), **TOKENS) as served:
        yield served


@pytest.fixture(autouse=True)
def _empty(redis_url: str) -> None:
    """Every test begins with an empty ledger."""


@asynccontextmanager
async def reviewer(server: Served, name: str = "", token: str = ADMIN) -> AsyncIterator[httpx.AsyncClient]:
    async with visitor(server) as client:
        client.headers.update(bearer(token) | OWN_PAGE | {"accept": "text/html"})
        if name:
            answer = await post(client, "/review/own", name=name)
            assert answer.status_code == 303
        yield client


async def post(client: httpx.AsyncClient, path: str, /, also: tuple[str, ...] = (), **fields: str) -> Any:
    body = urlencode([*fields.items(), *(("also", one) for one in also)])
    return await client.post(
        path, content=body, headers={"content-type": "application/x-www-form-urlencoded"}
    )


async def at(client: httpx.AsyncClient, path: str = "/review") -> str:
    """Where it leads."""
    answer = await client.get(path)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


async def output_of(redis_url: str, ref: Ref, index: int = 0) -> Any:
    ledger = Ledger(redis_url, 8e5)
    record = await ledger.reading.record(ref)
    await ledger.aclose()
    assert record
    return record.reviews.get(index)


async def test_the_newest_comes_first_and_a_decision_leads_to_the_next(
    server: Served, redis_url: str, folder: Path
) -> None:
    first = await show(redis_url, folder, "r1", File(PICTURE))
    await show(redis_url, folder, "r2", File(OTHER))
    async with reviewer(server, "Ada L.") as ada:
        assert await at(ada) == "/review/wavespeed/r2/0"
        page = (await ada.get("/review/wavespeed/r2/0")).text
        assert "/media/wavespeed/r2/0/blur" in page
        assert "/media/wavespeed/r1/0/blur" in page, "in the filmstrip"
        (cursor,) = re.findall(r'name="after" value="([^"]+)"', page)
        answer = await post(
            ada,
            "/review/wavespeed/r2/0/decide",
            decision="reject",
            reason="broken",
            more="six fingers",
            after=cursor,
        )
        assert answer.status_code == 303
        on = answer.headers["location"]
        assert await at(ada, on) == "/review/wavespeed/r1/0?was=wavespeed%2Fr2%2F0"
        review = await output_of(redis_url, Ref("wavespeed", "r2"))
        assert (review.decision, review.by, review.reason) == (
            Decision.REJECT,
            "Ada L.",
            "broken: six fingers",
        )
        last = await ada.get(await at(ada, on))
        assert "Rejected: 1 output." in last.text
        assert 'action="/review/wavespeed/r2/0/undo"' in last.text
        undone = await post(ada, "/review/wavespeed/r2/0/undo")
        assert undone.headers["location"] == "/review/wavespeed/r2/0"
        assert (await output_of(redis_url, Ref("wavespeed", "r2"))).decision is Decision.UNDO
        assert await at(ada, f"/review?after={cursor}") == f"/review/{first.source}/r1/0"


async def test_nothing_is_decided_or_revealed_by_nobody(server: Served, redis_url: str, folder: Path) -> None:
    ref = await show(redis_url, folder, "r1", File(PICTURE))
    async with reviewer(server) as nobody:
        for path in ("decide", "reveal", "undo"):
            answer = await post(nobody, f"/review/wavespeed/r1/0/{path}", decision="approve")
            assert answer.headers["location"] == "/review/wavespeed/r1/0"
        page = (await nobody.get("/review/wavespeed/r1/0")).text
        assert "Who reviews?" in page
        assert "Say who you are first" in page
        refused = await post(nobody, "/review/own", name="\n")
        assert refused.status_code == 422
    assert await output_of(redis_url, ref) is None


async def test_a_look_is_on_record_and_shows_the_picture_for_a_minute(
    server: Served, redis_url: str, folder: Path
) -> None:
    await show(redis_url, folder, "r1", File(PICTURE))
    async with reviewer(server, "ada") as ada:
        covered = (await ada.get("/review/wavespeed/r1/0")).text
        assert "?seen=" not in covered
        answer = await post(ada, "/review/wavespeed/r1/0/reveal")
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        (url,) = set(re.findall(r'src="(/media/wavespeed/r1/0\?seen=[^"]+)"', answer.text))
        async with reviewer(server, "ada") as plain:
            plain.headers["accept"] = "*/*"
            picture = await plain.send(plain.build_request("GET", url))
        assert (picture.content, picture.headers["cache-control"]) == (PICTURE, "no-store")
        assert "?seen=" not in (await ada.get("/review/wavespeed/r1/0")).text
        assert "to ada" in (await ada.get("/review/wavespeed/r1/0")).text
        assert "ada" in (await ada.get("/review/looked")).text
        assert (await ada.get("/review/wavespeed/r1/0/reveal")).status_code == 303


async def test_a_revealed_text_is_text(server: Served, redis_url: str, folder: Path) -> None:
    await show(redis_url, folder, "r1", File(b"<script>alert('x')</script>", "text/plain"))
    async with reviewer(server, "ada") as ada:
        assert "alert" not in (await ada.get("/review/wavespeed/r1/0")).text
        shown = (await post(ada, "/review/wavespeed/r1/0/reveal")).text
        assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in shown


async def test_one_reviewer_has_it_and_others_are_led_past_it(
    server: Served, redis_url: str, folder: Path
) -> None:
    await show(redis_url, folder, "r1", File(PICTURE))
    ref = await show(redis_url, folder, "r2", File(OTHER))
    async with reviewer(server, "ada") as ada, reviewer(server, "bob") as bob:
        await ada.get(await at(ada))
        assert await at(bob) == "/review/wavespeed/r1/0"
        page = (await bob.get("/review/wavespeed/r2/0")).text
        assert "with ada" in page
        answer = await post(bob, "/review/wavespeed/r2/0/decide", decision="approve")
        assert answer.headers["location"] == "/review/wavespeed/r2/0"
        assert "is with ada" in (await bob.get("/review/wavespeed/r2/0")).text
        assert await output_of(redis_url, ref) is None
        assert (await post(ada, "/review/wavespeed/r2/0/keep")).status_code == 204
    with redis.Redis.from_url(redis_url) as client:
        assert client.ttl(f"{keys.REVIEWER}wavespeed:r2:0") > 50


async def test_what_looks_the_same_is_decided_together_and_undone_together(
    server: Served, redis_url: str, folder: Path
) -> None:
    small = encoded(scene(1).resize((320, 200)), "JPEG")
    for id_, data, kind in (
        ("r1", small, "image/jpeg"),
        ("r2", OTHER, "image/png"),
        ("r3", PICTURE, "image/png"),
    ):
        await show(redis_url, folder, id_, File(data, kind))
    async with reviewer(server, "ada") as ada:

        async def is_offered() -> bool:
            return 'value="wavespeed/r1/0"' in (await ada.get("/review/wavespeed/r3/0")).text

        # The pictures are looked at beside the page, and the next one knows.
        await until(is_offered)
        page = (await ada.get("/review/wavespeed/r3/0")).text
        assert 'value="wavespeed/r2/0"' not in page
        answer = await post(ada, "/review/wavespeed/r3/0/decide", ("wavespeed/r1/0",), decision="approve")
        decided = [await output_of(redis_url, Ref("wavespeed", id_)) for id_ in ("r1", "r3")]
        assert [one.decision for one in decided] == [Decision.APPROVE] * 2
        page = (await ada.get(await at(ada, answer.headers["location"]))).text
        assert "Approved: 2 outputs." in page
        assert 'name="also" value="wavespeed/r1/0"' in page
        await post(ada, "/review/wavespeed/r3/0/undo", ("wavespeed/r1/0",))
        decided = [await output_of(redis_url, Ref("wavespeed", id_)) for id_ in ("r1", "r3")]
        assert [one.decision for one in decided] == [Decision.UNDO] * 2


async def test_a_viewer_sees_the_blur_and_no_form(server: Served, redis_url: str, folder: Path) -> None:
    await show(redis_url, folder, "r1", File(PICTURE))
    async with reviewer(server, token=VIEWER) as viewer:
        page = (await viewer.get("/review/wavespeed/r1/0")).text
        assert 'data-key="a"' not in page
        assert "reveal" not in page.lower()
        assert (await post(viewer, "/review/wavespeed/r1/0/reveal")).status_code == 403


async def test_a_query_goes_along_and_what_does_not_wait_says_so(
    server: Served, redis_url: str, folder: Path
) -> None:
    await show(redis_url, folder, "r1", File(PICTURE, nsfw="flagged"))
    await show(redis_url, folder, "r2", File(PICTURE))
    await show(redis_url, folder, "r3", File(PICTURE, disposition=Disposition.STORED))
    async with reviewer(server, "ada") as ada:
        assert await at(ada, "/review?query=nsfw:flagged") == "/review/wavespeed/r1/0?query=nsfw%3Aflagged"
        assert "Nothing held matches" in (await ada.get("/review?query=model:other")).text
        page = (await ada.get("/review/wavespeed/r3/0")).text
        assert "It has been decided about." in page
        assert (await ada.get("/review/wavespeed/r9/0")).status_code == 404


async def test_an_empty_queue_says_so(server: Served) -> None:
    async with reviewer(server, "ada") as ada:
        assert "Nothing waits for a decision" in (await ada.get("/review")).text
        assert "Nobody has had anything revealed" in (await ada.get("/review/looked")).text


TYPED: dict[str, Any] = {"reason": "minors", "more": "look twice"}
AT = "/review/wavespeed/r1/0"


def is_typed(page: str) -> bool:
    return re.search(r'value="minors"[^>]* checked', page) is not None and 'value="look twice"' in page


async def test_what_is_typed_goes_along_whatever_is_pressed(
    server: Served, redis_url: str, folder: Path
) -> None:
    await show(redis_url, folder, "r1", File(PICTURE))
    async with reviewer(server, "ada") as ada:
        assert not is_typed((await ada.get(AT)).text)
        revealed = (await post(ada, f"{AT}/reveal", **TYPED)).text
        assert is_typed(revealed)
        (token,) = re.findall(r'name="seen" value="([^"]+)"', revealed)
        grey = (await post(ada, f"{AT}/looks", grey="1", seen=token, **TYPED)).text
        assert is_typed(grey)
        assert 'class="stage grey">' in grey
        assert "?seen=" in grey, "revealed still, by a seal of its own"
        covered = (await post(ada, f"{AT}/looks", seen="", **TYPED)).text
        assert is_typed(covered)
        assert "covered" in covered
        assert "Cover again" not in covered
        loud = (await post(ada, f"{AT}/looks", silent="0", seen="x", **TYPED)).text
        assert is_typed(loud)
        assert 'class="stage grey covered">' in loud, "a seal that is none reveals nothing"
        assert 'name="silent" value="1"' in loud
        assert 'class="stage grey' in (await ada.get(AT)).text
        for path in ("looks", "decide"):
            assert await at(ada, f"{AT}/{path}") == AT


async def test_a_reason_belongs_to_a_rejection(server: Served, redis_url: str, folder: Path) -> None:
    ref = await show(redis_url, folder, "r1", File(PICTURE))
    async with reviewer(server, "ada") as ada:
        answer = await post(ada, f"{AT}/decide", decision="approve", **TYPED)
        assert answer.status_code == 422
        assert "the reason minors belongs to a rejection" in answer.text
        assert is_typed(answer.text)
        assert await output_of(redis_url, ref) is None
        await post(ada, f"{AT}/decide", decision="approve", reason="", more="fine")
        assert (await output_of(redis_url, ref)).reason == "fine"


async def test_the_last_decision_can_be_undone_after_leaving(
    server: Served, redis_url: str, folder: Path
) -> None:
    await show(redis_url, folder, "r1", File(PICTURE))
    undo = 'action="/review/wavespeed/r1/0/undo"'
    async with reviewer(server, "ada") as ada, reviewer(server, "bob") as bob:
        await post(ada, f"{AT}/decide", decision="approve")
        assert undo in (await ada.get("/review")).text
        assert undo not in (await bob.get("/review")).text
        await post(ada, f"{AT}/undo")
        assert undo not in (await ada.get(AT)).text
        await post(ada, f"{AT}/decide", decision="approve")
        await post(ada, "/review/own", name="eve")
        assert undo not in (await ada.get("/review")).text, "it was another's"


async def test_what_is_decided_about_is_counted_no_more(server: Served, redis_url: str, folder: Path) -> None:
    await show(redis_url, folder, "r1", File(PICTURE))
    await show(redis_url, folder, "r2", File(OTHER))
    async with reviewer(server, "ada") as ada:
        assert "2 predictions wait for a decision" in (await ada.get(AT)).text
        await post(ada, "/review/wavespeed/r2/0/decide", decision="reject")
        assert "1 prediction waits for a decision" in (await ada.get(AT)).text


@pytest.mark.parametrize("what", ["keep", "undo", "looks", "decide", "reveal"])
async def test_what_does_not_exist_is_not_found(server: Served, what: str) -> None:
    async with reviewer(server, "ada") as ada:
        assert (await post(ada, f"/review/wavespeed/nobody/0/{what}")).status_code == 404


async def test_a_long_name_is_refused_and_not_cut(server: Served, redis_url: str, folder: Path) -> None:
    await show(redis_url, folder, "r1", File(PICTURE))
    async with reviewer(server) as nobody:
        refused = await post(nobody, "/review/own", name="a" * 65)
        assert refused.status_code == 422
        assert "name: must be 1 to 64 printable characters; this one has 65" in refused.text
        page = (await nobody.get(AT)).text
        assert "autofocus" in page
        assert 'maxlength="64"' not in page


@pytest.mark.parametrize("also", ["x", "a/b", "a/b/c", "a/b/99999999", "a:b/c/0", "//0"])
async def test_odd_outputs_are_refused(server: Served, redis_url: str, folder: Path, also: str) -> None:
    await show(redis_url, folder, "r1", File(PICTURE))
    async with reviewer(server, "ada") as ada:
        answer = await post(ada, "/review/wavespeed/r1/0/decide", (also,), decision="approve")
        assert answer.status_code == 422
