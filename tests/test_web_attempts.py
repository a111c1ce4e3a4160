"""Wrong tokens: five are free, then waits double up to a minute; and no address keeps out another."""

from __future__ import annotations

import pytest

from service.web import attempts
from service.web.attempts import Attempts

ME, OTHER = "192.0.2.1", "192.0.2.2"


class Clock:
    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tried(clock: Clock) -> Attempts:
    return Attempts(clock)


def fail(tried: Attempts, clock: Clock, times: int, peer: str = ME) -> list[float]:
    """The wait before each, which is waited for."""
    waits = []
    for _ in range(times):
        waits.append(tried.wait(peer))
        clock.at += waits[-1]
        tried.failed(peer)
    return waits


def test_five_are_free_and_then_the_waits_double_up_to_a_minute(tried: Attempts, clock: Clock) -> None:
    assert fail(tried, clock, 15) == [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]


def test_a_wait_grows_shorter_as_time_goes_by(tried: Attempts, clock: Clock) -> None:
    fail(tried, clock, 8)
    assert tried.wait(ME) == 8
    clock.at += 7.5
    assert tried.wait(ME) == 0.5
    clock.at += 1
    assert tried.wait(ME) == 0


def test_asking_costs_nothing(tried: Attempts, clock: Clock) -> None:
    fail(tried, clock, 6)
    assert {tried.wait(ME) for _ in range(100)} == {2}


def test_a_right_token_wipes_the_slate_clean(tried: Attempts, clock: Clock) -> None:
    fail(tried, clock, 9)
    tried.succeeded(ME)
    assert fail(tried, clock, 6) == [0, 0, 0, 0, 0, 1]


def test_what_went_wrong_long_ago_is_forgotten(tried: Attempts, clock: Clock) -> None:
    fail(tried, clock, 9)
    clock.at += attempts.FORGOTTEN_AFTER + 1
    assert fail(tried, clock, 6) == [0, 0, 0, 0, 0, 1]


def test_keeping_still_until_all_is_forgotten_gains_nothing() -> None:
    assert attempts.FREE / attempts.FORGOTTEN_AFTER < 1 / attempts.WAIT_MOST


def test_one_address_does_not_make_another_wait(tried: Attempts, clock: Clock) -> None:
    fail(tried, clock, 9)
    assert tried.wait(OTHER) == 0


def crowd(tried: Attempts, count: int) -> None:
    for number in range(count):
        tried.failed(f"198.51.100.{number}")


def test_fifty_in_a_minute_from_wherever_make_all_strangers_wait(tried: Attempts, clock: Clock) -> None:
    crowd(tried, 49)
    assert tried.wait(ME) == 0
    clock.at += 10
    crowd(tried, 1)
    assert tried.wait(ME) == 50
    clock.at += 50
    assert tried.wait(ME) == 0


def test_a_crowd_does_not_keep_out_who_has_shown_a_right_token(tried: Attempts, clock: Clock) -> None:
    tried.succeeded(ME)
    crowd(tried, 50)
    assert (tried.wait(ME), tried.wait(OTHER)) == (0, 60)
    assert fail(tried, clock, 6) == [0, 0, 0, 0, 0, 1]


def test_who_has_shown_a_right_token_is_not_counted_into_the_crowd(tried: Attempts, clock: Clock) -> None:
    tried.succeeded(ME)
    fail(tried, clock, 5)
    crowd(tried, 49)
    assert tried.wait(OTHER) == 0


def test_a_thousand_addresses_are_remembered_and_the_longest_silent_goes_first(
    tried: Attempts, clock: Clock
) -> None:
    tried.succeeded(OTHER)
    fail(tried, clock, 6)
    for number in range(attempts.PEERS_MOST - 2):
        clock.at += 2
        tried.failed(f"stranger {number}")
    assert (len(tried._peers), len(tried._strangers)) == (1000, 50)
    tried.succeeded(OTHER)
    tried.failed("one more")
    assert (len(tried._peers), len(tried._strangers)) == (1000, 50)
    assert ME not in tried._peers
    assert OTHER in tried._peers


def test_who_goes_on_for_ever_waits_a_minute_each_time(tried: Attempts, clock: Clock) -> None:
    assert set(fail(tried, clock, 3000)[12:]) == {60}
