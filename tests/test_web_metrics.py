"""`/metrics` on the real server: who may read it, what a day's events do to it, and Redis away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from service.metrics import gathering
from tests.serving import callback, own_redis, serving, sign
from tests.test_metrics import samples
from tests.workplace import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.serving import Served

pytestmark = pytest.mark.anyio

TOKENS: dict[str, Any] = {"admin_token": "a" * 32, "viewer_token": "v" * 32}


async def scrape(server: Served) -> dict[str, float]:
    answer = await server.client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return samples(answer.text)


async def test_callbacks_show_up_by_result_reason_and_latency(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "WRITE_EVERY", 0.05)
    async with serving(redis_url) as server:
        for _ in range(2):
            await server.call_back(callback())
        await server.call_back(callback(), sign(callback(), secret="whsec_wrong"))
        await server.call_back(callback("pred_2"), sign(callback("pred_2"), at=1_000))

        async def counted() -> bool:
            found = await scrape(server)
            refused = found['catchlight_callbacks_refused_total{reason="signature"}']
            return (refused, found["catchlight_callback_seconds_count"]) == (1, 4)

        await until(counted, what="what was gathered is written")
        found = await scrape(server)
        assert found['catchlight_callbacks_total{result="new"}'] == 1
        assert found['catchlight_callbacks_total{result="known"}'] == 1
        assert found['catchlight_callbacks_total{result="stale"}'] == 1
        assert found["catchlight_redis_up"] == 1
        assert found['catchlight_roles{role="serve"}'] == 1


async def test_a_token_is_needed_and_the_viewers_is_enough(redis_url: str) -> None:
    async with serving(redis_url, **TOKENS) as server:
        assert (await server.client.get("/metrics")).status_code == 401
        headers = {"authorization": f"Bearer {TOKENS['viewer_token']}"}
        assert (await server.client.get("/metrics", headers=headers)).status_code == 200


async def test_metrics_may_be_open_while_all_else_is_not(redis_url: str) -> None:
    async with serving(redis_url, metrics_open=True, **TOKENS) as server:
        assert (await server.client.get("/metrics")).status_code == 200
        assert (await server.client.get("/api/v1/scaling")).status_code == 401


async def test_with_redis_away_it_answers_and_callbacks_that_were_not_written_are_counted_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "WRITE_EVERY", 0.05)
    with own_redis(tmp_path) as redis:
        async with serving(redis.url) as server:
            await server.call_back(callback())
            redis.kill()
            assert (await server.call_back(callback("pred_2"))).status_code == 503
            away = await scrape(server)
            assert away["catchlight_redis_up"] == 0
            assert 'catchlight_callbacks_total{result="new"}' not in away
            redis.start()

            async def counted() -> bool:
                return (await scrape(server)).get('catchlight_callbacks_total{result="not_written"}') == 1

            await until(counted, what="it is counted once Redis is back")
