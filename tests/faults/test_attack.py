"""Genuine callbacks are answered while strangers stall, and while they forge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import redis

from service import embedded, keys
from tests.faults import attack
from tests.faults.genuine import Told
from tests.serving import role

if TYPE_CHECKING:
    from pathlib import Path

SLOWEST = 2.0
"""Seconds for the slowest of all, every day and on any machine; the long run asks for the promise itself."""


def test_genuine_callbacks_are_answered_under_attack(tmp_path: Path, long: bool) -> None:
    size = attack.LONG if long else attack.SHORT
    with embedded.running(tmp_path) as redis_url, role(tmp_path, redis_url) as server:
        calm, stalled, forged = rows = list(attack.rounds(int(server.url.rpartition(":")[2]), size))
        with redis.Redis.from_url(redis_url) as client:
            written = client.zcard(keys.INDEX)
    table = "\n".join([attack.HEAD, *map(str, rows)])
    assert [row.told.errors for row in rows] == [[], [], []], table
    assert written == sum(len(row.told.seconds) for row in rows), table
    assert stalled.attackers["mean_open"] > size.stalled / 2, table
    assert set(forged.attackers["answers"]) == {"401"}, table
    assert max(calm.told.seconds) < SLOWEST, table
    assert max(stalled.told.seconds + forged.told.seconds) < SLOWEST, table
    assert not long or all(row.kept for row in rows), table


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        (Told([0.01] * 200), True),
        (Told([0.01] * 199 + [3.0]), True),
        (Told([0.01] * 97 + [0.3] * 3), False),
        (Told([0.01] * 200, ["503"]), False),
    ],
)
def test_the_promise_is_about_99_of_100_and_every_error(told: Told, kept: bool) -> None:
    assert attack.Row("calm", told).kept is kept
