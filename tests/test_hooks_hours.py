"""Hours of a hook and the words for its troubles, by themselves."""

from __future__ import annotations

import pytest

from service.hooks.hours import Hour, total
from service.hooks.standing import State, standing
from service.hooks.troubles import LIMITS_MS, limit_of, trouble


@pytest.mark.parametrize(
    ("status", "error", "word"),
    [
        (200, "", ""),
        (None, None, ""),
        (502, "answered 502", "502"),
        (None, "no answer within 10 s", "timeout"),
        (None, "refused_address: 10.0.0.1 is private", "refused_address"),
        (None, "the connection failed (ConnectionRefusedError)", "connection_refused"),
        (None, "the connection failed (ServerDisconnectedError)", "hung_up"),
        (None, "the connection failed (gaierror)", "dns"),
        (None, "the connection failed (SSLCertVerificationError)", "tls"),
        (None, "the connection failed (NeverSeenError)", "connection"),
        (None, "the stream does not take it (WRONGTYPE)", "stream"),
        (None, "the hook is no longer configured", "other"),
    ],
)
def test_each_trouble_has_one_word(status: int | None, error: str | None, word: str) -> None:
    assert trouble(status, error) == word


@pytest.mark.parametrize(("ms", "limit"), [(0, 10), (10, 10), (11, 25), (120_000, 120_000), (9**9, 120_000)])
def test_a_time_counts_for_the_step_that_it_ended_in(ms: int, limit: int) -> None:
    assert limit_of(ms) == limit
    assert list(LIMITS_MS) == sorted(LIMITS_MS)


def test_counts_of_a_newer_version_are_left_out() -> None:
    hour = Hour.load(0, {"took:10": "2", "failed:502": "1", "ms": "9", "troubles": "1", "seen": "never"})
    assert hour == Hour(0, {10: 2}, {"502": 1}, 9)


@pytest.mark.parametrize(
    ("hour", "health"),
    [
        (Hour(0), "idle"),
        (Hour(0, {10: 1}), "good"),
        (Hour(0, {10: 2}, {"502": 1}), "mixed"),
        (Hour(0, {10: 1}, {"502": 1}), "bad"),
    ],
)
def test_an_hour_is_as_well_as_its_attempts(hour: Hour, health: str) -> None:
    assert hour.health == health


def test_hours_add_up() -> None:
    whole = total([Hour(3600, {10: 9}, {}, 90), Hour(7200, {10: 1, 500: 10}, {"502": 10}, 4000)])
    assert whole == Hour(3600, {10: 10, 500: 10}, {"502": 10}, 4090)
    assert (whole.within_ms(0.5), whole.within_ms(0.51), whole.mean_ms) == (10, 500, 204)
    assert total([]) == Hour(0.0)
    assert (Hour(0).within_ms(0.5), Hour(0).mean_ms) == (None, None)


def test_a_hook_of_which_nobody_has_counted_still_says_that_it_fails() -> None:
    """Written by a version before the counts."""
    found = standing("crm", {"failing_since": "5.000"}, 0)
    assert (found.state, found.since, found.told) == (State.FAILING, 5.0, "failing")
