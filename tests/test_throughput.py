"""Running totals by the minute become amounts per slot of time."""

from __future__ import annotations

import pytest

from service.throughput import FETCHED, NOT_FETCHED, RECOVERED, Fetches, Sample, fetches, over

A = 6000.0
"""The beginning of a minute."""


def samples(*totals: int, name: str = "via_callback", first: float = A) -> list[Sample]:
    return [Sample(first + 60 * n, {name: total}) for n, total in enumerate(totals)]


def test_what_was_added_stands_in_the_minute_in_which_it_was() -> None:
    shown = over(samples(10, 14, 14, 20), A + 190, slots=4, seconds=60)
    assert [slot.at for slot in shown.slots] == [A, A + 60, A + 120, A + 180]
    assert [slot.of("via_callback") for slot in shown.slots] == [4, 0, 6, 0]
    assert shown.total("via_callback") == shown.completions == 10


def test_the_order_of_the_samples_does_not_matter() -> None:
    assert over(samples(1, 2, 4)[::-1], A + 130, slots=3, seconds=60).total("via_callback") == 3


def test_a_while_without_a_sweeper_is_no_peak() -> None:
    apart = [Sample(A, {"via_poll": 0}), Sample(A + 180, {"via_poll": 9})]
    shown = over(apart, A + 185, slots=4, seconds=60)
    assert [slot.of(*RECOVERED) for slot in shown.slots] == pytest.approx([3, 3, 3, 0])
    assert shown.recovered == 9


def test_totals_that_fell_began_anew() -> None:
    assert over(samples(100, 3), A + 60, slots=2, seconds=60).total("via_callback") == 3


def test_what_is_older_than_the_first_slot_is_left_out() -> None:
    assert over(samples(0, 5, 7), A + 130, slots=2, seconds=60).total("via_callback") == 2


def test_of_the_time_before_the_first_sample_nothing_is_known() -> None:
    shown = over(samples(0, 1), A + 65, slots=4, seconds=60)
    assert [slot.known for slot in shown.slots] == [False, False, True, True]


def test_a_sample_of_later_than_now_is_none() -> None:
    assert over(samples(0, 5), A + 30, slots=2, seconds=60).completions == 0


def test_without_a_sample_there_is_nothing() -> None:
    shown = over([], A, slots=3, seconds=60)
    assert (shown.completions, [slot.known for slot in shown.slots]) == (0, [False, False, True])


def test_two_samples_of_one_instant_are_no_division_by_zero() -> None:
    both = [Sample(A, {"via_poll": 1}), Sample(A, {"via_poll": 3})]
    assert over(both, A, slots=1, seconds=60).recovered == 2


def fetched(at: float, kept: int, failed: int) -> Sample:
    return Sample(A + at, {FETCHED: kept, NOT_FETCHED: failed})


def test_fetches_are_those_since_the_last_minute_that_is_a_minute_old() -> None:
    found = fetches([fetched(150, 9, 20), fetched(120, 9, 9), fetched(60, 5, 2), fetched(0, 1, 1)])
    assert found == Fetches(kept=4, failed=18, seconds=90)


def test_until_a_minute_is_old_fetches_are_those_since_the_first() -> None:
    assert fetches([fetched(30, 9, 20), fetched(0, 8, 1)]) == Fetches(1, 19, 30)


@pytest.mark.parametrize("earlier", [[], [Sample(A, {"via_poll": 1})]], ids=["none", "of an earlier version"])
def test_without_a_minute_to_compare_with_nothing_is_known_of_fetches(earlier: list[Sample]) -> None:
    assert fetches([fetched(61, 0, 50), *earlier]) is None


def test_a_minute_that_an_earlier_version_kept_is_no_beginning_anew() -> None:
    kept = [Sample(A, {"via_poll": 90, NOT_FETCHED: 5}), Sample(A + 60, {"via_poll": 91})]
    assert over(kept, A + 60, slots=2, seconds=60).recovered == 1
