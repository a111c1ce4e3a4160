"""One hook's gate: places, pace, a line for those turned away, and a breaker for the hook that only fails."""

from __future__ import annotations

import pytest

from workers.gate import BREAKER_FAILURES, BREAKER_SPAN, LEAST_WAIT, LONGEST_WAIT, Gate

PROBE = 30.0


def fail(gate: Gate, times: int, begin: float, end: float) -> float:
    """So many failures spread evenly; the time of the last."""
    now = begin
    for n in range(times):
        now = begin + (end - begin) * n / max(1, times - 1)
        assert gate.enter(now) == 0
        gate.leave(now, 0.1, failed=True)
    return now


def test_a_quick_hook_has_three_quarters_of_the_places_and_a_slow_one_a_quarter() -> None:
    gate = Gate(8, None, PROBE)
    assert [gate.enter(0.0) > 0 for _ in range(7)] == [False] * 6 + [True]
    for _ in range(6):
        gate.leave(10.0, 10.0, failed=True)
    assert [gate.enter(10.0) > 0 for _ in range(3)] == [False, False, True]
    gate.leave(11.0, 1.0, failed=False)
    assert gate.enter(11.0) == 0


def test_the_smallest_worker_has_a_place_for_every_hook() -> None:
    assert Gate(1, None, PROBE).enter(0.0) == 0


def test_a_hook_may_bound_its_attempts_at_once() -> None:
    gate = Gate(64, None, PROBE, 2)
    assert [gate.enter(0.0) > 0 for _ in range(3)] == [False, False, True]
    gate.leave(1.0, 0.1, failed=False)
    assert gate.enter(1.0) == 0


def test_its_own_bound_gives_it_no_more_than_its_share() -> None:
    assert Gate(8, None, PROBE, 100).places == 6


def test_the_rate_turns_away_what_comes_too_fast() -> None:
    gate = Gate(100, 5, PROBE)
    assert sum(gate.enter(0.0) == 0 for _ in range(20)) == 5
    assert gate.enter(0.99) > 0
    assert gate.enter(1.01) == 0


def test_a_crowd_comes_back_over_the_time_that_it_needs() -> None:
    gate = Gate(100, 10, PROBE)
    waits = [gate.enter(0.0) for _ in range(110)][10:]
    assert waits == sorted(waits)
    assert waits[0] == LEAST_WAIT
    assert waits[-1] == pytest.approx(10.0)


def test_before_a_slow_hook_the_line_is_as_long_as_its_answers_take() -> None:
    gate = Gate(4, None, PROBE)
    gate.enter(0.0)
    gate.leave(10.0, 10.0, failed=True)
    gate.enter(10.0)
    waits = [gate.enter(10.0) for _ in range(100)]
    assert waits[4] > waits[0] > LEAST_WAIT
    assert waits[-1] == LONGEST_WAIT


def test_twenty_failures_in_a_row_over_a_minute_open_the_breaker() -> None:
    gate = Gate(4, None, PROBE)
    last = fail(gate, BREAKER_FAILURES - 1, 0.0, BREAKER_SPAN)
    assert not gate.open
    fail(gate, 1, last + 1, last + 1)
    assert gate.open


def test_many_failures_within_a_moment_do_not_open_it() -> None:
    gate = Gate(4, None, PROBE)
    fail(gate, BREAKER_FAILURES * 3, 0.0, BREAKER_SPAN / 2)
    assert not gate.open


def test_one_success_in_between_begins_the_count_anew() -> None:
    gate = Gate(4, None, PROBE)
    fail(gate, BREAKER_FAILURES - 1, 0.0, BREAKER_SPAN)
    gate.enter(61.0)
    gate.leave(61.0, 0.1, failed=False)
    fail(gate, BREAKER_FAILURES - 1, 62.0, 200.0)
    assert not gate.open


def test_an_open_breaker_lets_one_probe_in_at_a_time() -> None:
    gate = Gate(4, None, PROBE)
    now = fail(gate, BREAKER_FAILURES, 0.0, BREAKER_SPAN)
    assert gate.enter(now + 1) == pytest.approx(PROBE - 1)
    assert gate.enter(now + PROBE) == 0
    assert gate.enter(now + PROBE) > 0
    gate.leave(now + PROBE, 0.1, failed=True)
    assert gate.enter(now + PROBE + 1) > 0


def test_a_probe_that_succeeds_closes_it() -> None:
    gate = Gate(4, None, PROBE)
    now = fail(gate, BREAKER_FAILURES, 0.0, BREAKER_SPAN)
    gate.enter(now + PROBE)
    gate.leave(now + PROBE, 0.1, failed=False)
    assert not gate.open
    assert gate.enter(now + PROBE) == 0


def test_a_hook_that_asks_for_time_is_not_probed_before_it() -> None:
    gate = Gate(4, None, PROBE)
    now = fail(gate, BREAKER_FAILURES, 0.0, BREAKER_SPAN)
    gate.enter(now + PROBE)
    gate.leave(now + PROBE, 0.1, failed=True, asked=300)
    assert gate.enter(now + PROBE + 299) > 0
    assert gate.enter(now + PROBE + 300) == 0


def test_it_says_whether_attempts_under_way_or_the_rate_turn_one_away() -> None:
    gate = Gate(4, 1.0, PROBE)
    assert gate.enter(0.0) == 0
    assert gate.enter(0.1) > 0
    assert not gate.crowded, "it was the rate"
    assert [gate.enter(now) for now in (10.0, 20.0)] == [0, 0]
    assert gate.crowded
