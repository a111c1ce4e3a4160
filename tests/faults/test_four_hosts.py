"""Four hosts, two Redis servers: when one host is cut off nothing is lost, and the others go on at once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from service import clock
from tests.faults import network
from tests.faults.hosts import SHARDS, Hosts
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.chance import Chance

LEADERLESS_MOST = 15.0
"""Seconds: a lead lives for ten, and the others try every half second."""
NEEDS = "needs root, and ip, unshare and nsenter, for network namespaces"


@pytest.mark.skipif(not network.possible(), reason=NEEDS)
def test_a_host_that_is_cut_off_costs_nothing(tmp_path: Path, chance: Chance, times: int) -> None:
    with Hosts(tmp_path, chance) as hosts:
        for source in SHARDS.values():
            hosts.submit(source, 20 * times)
        wait_until(lambda: all(hosts.leader(shard) for shard in SHARDS), what="both shards are swept")
        gone = hosts.leader("b") or 1
        others = [number for number in hosts.network.hosts if number != gone]
        cut_at = time.monotonic()
        hosts.cut(gone)
        # A quarter of the callbacks goes where nobody answers, as before.
        called = [hosts.submit(source, 20 * times) for source in SHARDS.values()]
        before = {shard: hosts.terminal(shard) for shard in SHARDS}
        for source in SHARDS.values():
            hosts.submit(source, 10 * times, others)
        wait_until(
            lambda: all(hosts.terminal(shard) > before[shard] for shard in SHARDS), 20, "the others go on"
        )
        wait_until(lambda: hosts.leader("b") in others, 30, "another sweeper leads")
        leaderless = time.monotonic() - cut_at
        wait_until(hosts.all_ended, 60, "without it everything ends")
        mended_at = clock.now()
        hosts.mend(gone)
        hosts.submit("studio", 5, [gone])
        hosts.settle()
        account = hosts.judge()
    assert len(account.predictions) == 100 * times + 5
    assert leaderless < LEADERLESS_MOST
    unheard = [account.found(id_) for some in called for id_, host in some.items() if host == gone]
    assert len(unheard) >= 10 * times
    assert {one["received_via"] for one in unheard} <= {"poll", "reconcile"}
    assert all((clock.parse_rfc3339(one["finished_at"]) or mended_at) < mended_at for one in unheard)
