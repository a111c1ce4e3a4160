"""A test that a page asked for: the sweeper sends the ping, and what came of it stands in the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from service import keys
from service.settings import Settings
from tests.builders import hook
from tests.test_ledger_streams import stream_hook
from tests.workplace import until
from workers.ping import Pinger

if TYPE_CHECKING:
    from pytest_httpserver import HTTPServer

    from service.hooks import Hook
    from service.ledger import Ledger

pytestmark = pytest.mark.anyio


async def answer(ledger: Ledger, name: str, *hooks: Hook, **settings: Any) -> dict[str, Any]:
    """What is told of a test of the hook of that name."""
    wanted = Settings.model_validate({"hooks": list(hooks), "fetch_private": "127.0.0.0/8"} | settings)
    pinger = Pinger(wanted, ledger)
    await ledger.hooks.ask_test(name)
    await pinger.look()
    told: dict[str, Any] = {}

    async def is_there() -> bool:
        told.update(await ledger.hooks.last_test(name) or {})
        return "at" in told

    await until(is_there)
    assert await ledger.hooks.take_asked_tests() == []
    await pinger.stop()
    return told


@pytest.mark.parametrize(("status", "taken"), [(200, True), (500, False)])
async def test_the_answer_of_a_hook_is_kept(
    status: int, taken: bool, ledger: Ledger, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/hook", method="POST").respond_with_data("", status=status)
    told = await answer(ledger, "crm", hook(url=httpserver.url_for("/hook")))
    assert (told["status"], told["taken"], told["refused"]) == (status, taken, False)
    (request, _) = httpserver.log[0]
    assert b'"hook.ping"' in request.get_data()


async def test_a_forbidden_address_is_not_connected_to(ledger: Ledger, httpserver: HTTPServer) -> None:
    told = await answer(ledger, "crm", hook(url=httpserver.url_for("/hook")), fetch_private="")
    assert (told["taken"], told["refused"]) == (False, True)
    assert "CATCHLIGHT_FETCH_PRIVATE" in told["error"]
    assert httpserver.log == []


async def test_a_stream_gets_an_entry(ledger: Ledger) -> None:
    assert (await answer(ledger, "lake", stream_hook()))["taken"] is True
    assert await ledger.redis.xlen(keys.STREAM + "events") == 1


async def test_a_hook_that_the_sweeper_does_not_know_is_said_to_be_that(ledger: Ledger) -> None:
    assert "not declared" in (await answer(ledger, "nobody"))["error"]
