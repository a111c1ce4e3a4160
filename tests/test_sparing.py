"""So many of a kind in a while, and a count of the others."""

from __future__ import annotations

from service.web.sparing import Sparing


def admitted(sparing: Sparing, kind: str, times: int, now: float) -> int:
    return sum(sparing.admits(kind, now) for _ in range(times))


def test_a_flood_is_let_through_so_many_times_and_the_rest_is_counted() -> None:
    sparing = Sparing(3, 1.0)
    assert admitted(sparing, "signature", 1000, 50.0) == 3
    assert sparing.take_left_out() == {"signature": 997}
    assert sparing.take_left_out() == {}


def test_a_flood_of_one_kind_does_not_silence_another() -> None:
    sparing = Sparing(3, 1.0)
    admitted(sparing, "signature", 1000, 50.0)
    assert admitted(sparing, "method", 2, 50.5) == 2
    assert sparing.take_left_out() == {"signature": 997}


def test_after_a_while_the_same_number_is_let_through_again() -> None:
    sparing = Sparing(3, 1.0)
    assert [admitted(sparing, "method", 5, at) for at in (50.0, 50.9, 51.0, 51.9, 52.0)] == [3, 0, 3, 0, 3]


def test_a_trickle_is_let_through_whole() -> None:
    sparing = Sparing(1, 1.0)
    assert [admitted(sparing, "method", 1, float(second)) for second in range(9)] == [1] * 9
    assert sparing.take_left_out() == {}
