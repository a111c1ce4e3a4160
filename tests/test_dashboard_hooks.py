"""The pages of hooks and deliveries: a hook fails and recovers, is tested, switched off and on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from service.hooks import Dead, Delivered, Hook, Retry
from service.ledger import Ledger, reading
from service.web.dashboard import deliveries
from tests.builders import accept, callback, completed, finish, output
from tests.builders import deliveries as deliveries_of
from tests.builders import hook as built
from tests.pages import BROWSER, get, sent
from tests.serving import serving
from tests.test_ledger_streams import stream_hook
from tests.visitors import TOKENS, VIEWER, bearer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.serving import Served

pytestmark = pytest.mark.anyio

HOOKS: tuple[Hook, ...] = (
    built("crm", url="https://crm.example/in?key=not-to-be-shown", headers={"x-team": "also-hidden"}),
    built("mail"),
    stream_hook(),
)
SECRETS = ("not-to-be-shown", "also-hidden", "whsec_c2VjcmV0")
TIMES = "\u00d7"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def server(redis_server: str) -> AsyncIterator[Served]:
    async with serving(redis_server, hooks=list(HOOKS)) as served:
        yield served


@pytest.fixture
async def ledger(redis_url: str) -> AsyncIterator[Ledger]:
    """On the server's own clock."""
    opened = Ledger(redis_url, 8e5)
    yield opened
    await opened.aclose()


async def told(ledger: Ledger, id_: str, hook: Hook = HOOKS[0]) -> str:
    await accept(ledger, callback(completed(id_)))
    await finish(ledger, id_, hooks=[hook], outputs=[output()])
    return str((await deliveries_of(ledger, id_))[0]["id"])


async def attempt(
    ledger: Ledger,
    id_: str,
    status: int | None,
    error: str = "",
    answer: str = "",
    *,
    gives_up: bool = False,
) -> None:
    taken = await ledger.deliveries.take(id_, 20)
    assert taken is not None
    decision = (Dead(error, disable=False) if gives_up else Retry(9e9)) if error else Delivered()
    assert await ledger.deliveries.attempted(
        taken, decision, status=status, error=error, now=9e9 - 1, ms=40, answer=answer
    )


async def test_a_hook_fails_and_recovers(server: Served, ledger: Ledger) -> None:
    failing = [await told(ledger, f"p{n}") for n in range(3)]
    for id_ in failing[:2]:
        await attempt(ledger, id_, 502, "answered 502", gives_up=True)
    await attempt(ledger, failing[2], None, "no answer within 10 s")

    listed = await get(server.client, "/hooks")
    assert listed.text.index("crm") < listed.text.index("mail"), "what is wrong comes first"
    assert "3 in a row, the last timeout" in listed.text
    assert f"502 {TIMES} 2" in listed.text
    assert "1 on their way" in listed.text

    page = await get(server.client, "/hooks/crm")
    assert "0 of 3 attempts delivered" in page.text
    (group,) = [link for link in page.links if "err%3A502" in link and link.startswith("/deliveries")]
    found = await get(server.client, group)
    assert sorted(link for link in found.links if link.startswith("/deliveries/dlv_")) == sorted(
        f"/deliveries/{id_}" for id_ in failing[:2]
    )
    (again,) = [link for link in page.links if "err%3A502" in link and link.startswith("/runs/new")]
    assert "timeout \u00d7 1 none was given up" in page.text, "and a run would find none of it"
    asking = (await get(server.client, again)).form("Look what that is")
    assert (asking.fields["kind"], asking.fields["query"]) == ("retry", "hook:crm err:502 since:6d")

    for id_ in failing:
        await ledger.deliveries.send_again([id_])
        await attempt(ledger, id_, 200)
    page = await get(server.client, "/hooks/crm")
    assert "takes events" in page.text
    assert "3 of 6 attempts delivered" in page.text
    assert "Waiting nothing" in page.text
    assert page.text.count("all delivered since") == 2
    assert not [link for link in page.links if link.startswith("/runs/new")], "it would find nothing"
    labels = [found.get("aria-label", "") for tag, found in page.tags if tag == "svg"]
    assert [label for label in labels if label.startswith("Availability of crm: 3 of 6")]


async def test_it_is_switched_off_with_a_reason_and_on_again(server: Served, ledger: Ledger) -> None:
    form = (await get(server.client, "/hooks/crm")).form("Disable")
    answer = await server.client.post(form.action, data={"why": "  "}, headers=BROWSER)
    assert answer.status_code == 422, "nobody wonders later"
    page = await sent(server.client, form, why="they move <b>house</b>")
    assert "they move <b>house</b>" in page.text, "as text, and not as a tag"
    assert (await ledger.deliveries.hook_state("crm"))["why"] == "they move <b>house</b>"
    assert "disabled" in (await get(server.client, "/hooks")).text
    assert "is enabled" in (await sent(server.client, page.form("Enable"))).text
    assert await ledger.deliveries.hook_state("crm") == {}


async def test_a_test_is_asked_for_and_its_answer_explained(server: Served, ledger: Ledger) -> None:
    page = await sent(server.client, (await get(server.client, "/hooks/crm")).form("Test it"))
    assert "its answer is on its way" in page.text
    assert await ledger.hooks.take_asked_tests() == ["crm"]
    answer = {"status": 401, "taken": False, "error": "answered 401", "refused": False, "ms": 12}
    await ledger.hooks.keep_test("crm", answer)
    page = await get(server.client, "/hooks/crm")
    assert "answered 401, after 12 ms. It does not accept our signature" in page.text


async def test_no_secret_is_on_any_page(server: Served, ledger: Ledger) -> None:
    id_ = await told(ledger, "p1")
    for path in ("/hooks", "/hooks/crm", "/deliveries", f"/deliveries/{id_}"):
        text = (await server.client.get(path, headers=BROWSER)).text
        assert [secret for secret in SECRETS if secret in text] == []
    assert "x-team: \u2026" in (await get(server.client, "/hooks/crm")).text


async def test_a_delivery_tells_its_attempts_and_what_is_sent(server: Served, ledger: Ledger) -> None:
    id_ = await told(ledger, "p1")
    await attempt(ledger, id_, 500, "answered 500", answer="<script>alert(1)</script>")
    page = await get(server.client, f"/deliveries/{id_}")
    assert "500 40 ms answered 500 <script>alert(1)</script>" in page.text
    assert [found for tag, found in page.tags if tag == "script" and not found.get("src")] == []
    assert '"type": "prediction.completed"' in page.text
    (delivery,) = await deliveries_of(ledger, "p1")
    assert delivery["event_id"] in page.text
    assert 'key=$(printf %s "${SECRET#whsec_}"' in page.text

    page = await sent(server.client, page.form("Send it again"))
    assert "sent again" in page.text
    assert (await deliveries_of(ledger, "p1"))[0]["attempts"] == 0


async def test_a_compact_one_is_shown_like_any_other(redis_url: str, ledger: Ledger) -> None:
    id_ = await told(ledger, "p1")
    await attempt(ledger, id_, 200)
    assert await ledger.compacting.compact(0, 10) == (1, 1)
    async with serving(redis_url, hooks=list(HOOKS)) as server:
        page = await get(server.client, f"/deliveries/{id_}")
    assert '"id": "p1"' in page.text
    assert "200 40 ms" in page.text


async def test_what_cannot_be_read_or_found_is_said(server: Served, ledger: Ledger) -> None:
    id_ = await told(ledger, "p1", built("gone"))
    page = await get(server.client, f"/deliveries/{id_}")
    assert "no longer declares" in page.text
    assert "$SECRET" not in page.text
    await ledger.redis.delete(*await ledger.redis.keys("*:events:*"))
    assert "no longer in the ledger" in (await get(server.client, f"/deliveries/{id_}")).text
    await get(server.client, "/deliveries/dlv_no", 404)
    await get(server.client, "/hooks/nobody", 404)


async def test_deliveries_are_searched_paged_and_sent_again(server: Served, ledger: Ledger) -> None:
    for n in range(51):
        await told(ledger, f"p{n}", HOOKS[n % 2])
    first = await get(server.client, "/deliveries?query=event%3Aprediction.*")
    (older,) = [link for link in first.links if "cursor=" in link]
    (again,) = [link for link in first.links if link.startswith("/runs/new")]
    assert "kind=retry&query=event%3Aprediction.%2A" in again
    rest = await get(server.client, older)
    assert len({link for link in [*first.links, *rest.links] if link.startswith("/deliveries/dlv_")}) == 51
    dead = await get(server.client, "/deliveries?query=hook%3Acrm+state%3Adead")
    assert "No delivery matches" in dead.text
    assert "/deliveries?query=hook%3Acrm" in dead.links
    wrong = await get(server.client, "/deliveries?query=hook%3Acrm+stage%3Adone", 400)
    assert "there is no stage" in wrong.text


async def test_a_page_looks_at_some_for_what_is_rare_and_goes_on_by_a_link(
    server: Served, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "LOOKED_AT", 1)
    monkeypatch.setattr(reading, "CHUNK", 50)
    await attempt(ledger, await told(ledger, "rare"), 200)
    for n in range(60):
        await told(ledger, f"p{n}", HOOKS[1])
    first = await get(server.client, "/deliveries?query=state%3Adelivered")
    assert "older ones may match" in first.text
    (older,) = [link for link in first.links if "cursor=" in link]
    assert "rare" in (await get(server.client, older)).text


async def test_a_viewer_sees_all_of_it_and_no_button(redis_url: str, ledger: Ledger) -> None:
    id_ = await told(ledger, "p1")
    await attempt(ledger, id_, 502, "answered 502")
    async with serving(redis_url, hooks=list(HOOKS), **TOKENS) as server:
        server.client.headers.update(bearer(VIEWER))
        for path in ("/hooks", "/hooks/crm", f"/deliveries/{id_}"):
            page = await get(server.client, path)
            assert page.forms == []
            assert not [link for link in page.links if link.startswith("/runs/new")]
        answer = await server.client.post("/hooks/crm/disable", data={"why": "x"}, headers=BROWSER)
        assert answer.status_code == 403


async def test_without_hooks_the_page_says_how_one_is_declared(redis_url: str) -> None:
    async with serving(redis_url) as server:
        assert "No hook is declared" in (await get(server.client, "/hooks")).text
        assert "Nothing was told yet" in (await get(server.client, "/deliveries")).text


async def test_a_stream_has_a_page_of_its_kind(server: Served, ledger: Ledger) -> None:
    id_ = await told(ledger, "p1", HOOKS[2])
    taken: Any = await ledger.deliveries.take(id_, 20)
    assert await ledger.streams.deliver(taken, HOOKS[2], 2) is None
    page = await get(server.client, "/hooks/lake")
    assert "maxlen 100000" in page.text
    assert "1 of 1 attempts delivered" in page.text
    page = await get(server.client, f"/deliveries/{id_}")
    assert json.loads(taken.body)["data"]["id"] in page.text
    assert "From a shell" not in page.text
