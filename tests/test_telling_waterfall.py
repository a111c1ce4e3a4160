"""A timeline as spans: what lies between two instants, what still runs, what begins anew, and its picture."""

from __future__ import annotations

from typing import Any

import pytest

from service import clock
from service.prediction import Stage, Step
from service.telling.chart import LANES_MOST, LEFT, WIDTH, picture, took
from service.telling.waterfall import Kind, Span, lanes, waterfall

Steps = list[tuple[float, str, str]]

NOW = 1_700_000_000.0
ARRIVED: Steps = [
    (0, Step.SUBMITTED, ""),
    (10, Step.CALLED_BACK, "completed"),
    (10, Step.ACCEPTED, "completed"),
    (10.5, Step.LEASED, "w1"),
]
KEPT: Steps = [
    (10.6, Step.JUDGED, "0 clean, 1 clean"),
    (11, Step.FETCHED, "1: 900 bytes of image/png"),
    (11, Step.STORED, "file:///1.png"),
    (12, Step.FETCHED, "0: 1000 bytes of image/png"),
    (12, Step.STORED, "file:///0.png"),
    (12.2, Step.COMMITTED, "done"),
    (12.2, Step.EVENT, "prediction.completed"),
]


def at(after: float) -> str:
    return clock.rfc3339(NOW + after)


def prediction(
    stage: str,
    steps: Steps,
    *deliveries: dict[str, Any],
    created: float | None = None,
) -> dict[str, Any]:
    """Steps are (seconds after NOW, step, detail)."""
    return {
        "stage": stage,
        "created_at": None if created is None else at(created),
        "timeline": [{"at": at(when), "step": step, "detail": detail} for when, step, detail in steps],
        "deliveries": list(deliveries),
    }


def delivery(
    *attempts: tuple[float, int, int | None], state: str = "delivered", hook: str = "crm"
) -> dict[str, Any]:
    """Attempts are (seconds after NOW, milliseconds, status)."""
    history = [
        {"at": at(when), "ms": ms, "status": status, "error": None if status == 204 else "no answer"}
        for when, ms, status in attempts
    ]
    return {
        "hook": hook,
        "event": "prediction.completed",
        "state": state,
        "created_at": at(12.2),
        "history": history,
    }


def told(spans: list[Span], kind: Kind) -> list[tuple[str, float, float | None]]:
    """Of one kind: label, beginning and end in seconds after NOW."""
    return [
        (one.label, round(one.start - NOW, 3), None if one.end is None else round(one.end - NOW, 3))
        for one in spans
        if one.kind is kind
    ]


def test_a_good_run_is_waited_for_queued_worked_on_fetched_side_by_side_and_told() -> None:
    spans = waterfall(prediction(Stage.DONE, ARRIVED + KEPT, delivery((12.3, 50, 204))))
    assert told(spans, Kind.PROVIDER) == [("at the provider", 0, 10)]
    assert told(spans, Kind.QUEUED) == [("queued", 10, 10.5)]
    assert told(spans, Kind.WORKING) == [("attempt 1", 10.5, 12.2)]
    assert told(spans, Kind.FETCHING) == [
        ("900 bytes of image/png, stored", 10.6, 11),
        ("1000 bytes of image/png, stored", 10.6, 12),
    ]
    assert told(spans, Kind.DELIVERING) == [("204", 12.3, 12.35)]
    assert {one.round for one in spans} == {1}
    assert not any(one.failed for one in spans)
    assert list(lanes(spans)) == [
        *("provider", "queue", "worker", "output 1", "output 0", "crm prediction.completed"),
    ]


def test_where_nobody_submitted_it_it_begins_at_the_provider() -> None:
    spans = waterfall(prediction(Stage.DONE, ARRIVED[1:] + KEPT, created=4))
    assert told(spans, Kind.PROVIDER) == [("at the provider", 4, 10)]


def test_a_clock_that_is_ahead_makes_no_span_that_ends_before_it_begins() -> None:
    spans = waterfall(prediction(Stage.DONE, ARRIVED[1:] + KEPT, created=400))
    assert all(one.end is not None and one.end >= one.start for one in spans)


@pytest.mark.parametrize(
    ("stage", "lines", "kind", "start"),
    [
        (Stage.AWAITED, ARRIVED[:1], Kind.PROVIDER, 0),
        (Stage.ACCEPTED, ARRIVED[:3], Kind.QUEUED, 10),
        (Stage.WORKING, ARRIVED, Kind.WORKING, 10.5),
        (
            Stage.ACCEPTED,
            [*ARRIVED, (10.6, Step.JUDGED, "0 clean"), (11, Step.FETCHED, "0 failed: 503")],
            *(Kind.WAITING, 11),
        ),
    ],
)
def test_what_goes_on_has_no_end(stage: str, lines: Steps, kind: Kind, start: float) -> None:
    spans = waterfall(prediction(stage, lines))
    (open_one,) = [one for one in spans if one.end is None]
    assert (open_one.kind, round(open_one.start - NOW, 3)) == (kind, start)


def test_each_try_of_a_download_is_a_span_and_between_them_it_waits() -> None:
    lines: Steps = [
        *ARRIVED,
        (10.6, Step.JUDGED, "0 clean"),
        (11, Step.FETCHED, "0 failed: the origin answered 503"),
        (13, Step.LEASED, "w2"),
        (13.1, Step.JUDGED, "0 clean"),
        (14, Step.FETCHED, "0: 9 bytes of image/png"),
        (14, Step.HELD, "file:///held/0.png"),
        (14.5, Step.COMMITTED, "done"),
    ]
    spans = waterfall(prediction(Stage.DONE, lines))
    fetched = [one for one in spans if one.kind is Kind.FETCHING]
    assert [one.failed for one in fetched] == [True, False]
    assert told(spans, Kind.FETCHING) == [
        ("the origin answered 503", 10.6, 11),
        ("9 bytes of image/png, held", 13.1, 14),
    ]
    assert told(spans, Kind.WAITING) == [("waits for the next attempt", 11, 13)]
    assert [label for label, *_ in told(spans, Kind.WORKING)] == ["attempt 1: given back", "attempt 2"]


def test_a_crash_ends_the_work_and_another_worker_is_waited_for() -> None:
    lines: Steps = [
        *ARRIVED,
        (22, Step.CRASHED, "w1"),
        (22.4, Step.LEASED, "w2"),
        (23, Step.COMMITTED, "done"),
    ]
    spans = waterfall(prediction(Stage.DONE, lines))
    working = [one for one in spans if one.kind is Kind.WORKING]
    assert [(one.label, one.failed) for one in working] == [
        ("attempt 1: the worker w1 died", True),
        ("attempt 2", False),
    ]
    assert told(spans, Kind.WAITING) == [("waits for the next attempt", 22, 22.4)]


def test_a_replay_is_another_round() -> None:
    again: Steps = [
        (100, Step.REPLAYED, "from fetch"),
        (101, Step.LEASED, "w1"),
        (101.5, Step.JUDGED, "0 clean, 1 clean"),
        (102, Step.COMMITTED, "done"),
    ]
    spans = waterfall(
        prediction(Stage.DONE, ARRIVED + KEPT + again, delivery((12.3, 50, 204), (102.1, 9, 204)))
    )
    assert [(one.label, one.round) for one in spans if one.kind is Kind.WORKING] == [
        ("attempt 1", 1),
        ("attempt 1", 2),
    ]
    assert [one.round for one in spans if one.kind is Kind.DELIVERING] == [1, 2]
    assert told(spans, Kind.QUEUED) == [("queued", 10, 10.5), ("queued", 100, 101)]


def test_a_replay_from_the_hooks_gives_no_worker_anything_to_do() -> None:
    again: Steps = [(100, Step.REPLAYED, "from deliver, with new event ids")]
    spans = waterfall(prediction(Stage.DONE, ARRIVED + KEPT + again, delivery((100.1, 9, 204))))
    assert len(told(spans, Kind.QUEUED)) == len(told(spans, Kind.WORKING)) == 1
    assert [one.round for one in spans if one.kind is Kind.DELIVERING] == [2]


def test_a_review_is_another_round_and_a_file_that_moves_is_a_mark() -> None:
    again: Steps = [
        (50, Step.REVIEWED, "0 approved by ada"),
        (50.1, Step.LEASED, "w1"),
        (50.2, Step.STORED, "file:///0.png"),
        (50.3, Step.COMMITTED, "done"),
    ]
    spans = waterfall(prediction(Stage.DONE, ARRIVED + KEPT + again))
    assert told(spans, Kind.QUEUED)[1:] == [("queued", 50, 50.1)]
    marks = [label for label, *_ in told(spans, Kind.MARK)]
    assert {"reviewed: 0 approved by ada", "stored: file:///0.png"} <= set(marks)


def test_a_completion_after_a_failure_is_another_round() -> None:
    lines: Steps = [
        *ARRIVED,
        (11, Step.COMMITTED, "failed"),
        (60, Step.POLLED, "completed"),
        (60, Step.ACCEPTED, "completed"),
        (60.5, Step.LEASED, "w1"),
        (61, Step.COMMITTED, "done"),
    ]
    spans = waterfall(prediction(Stage.DONE, lines))
    assert [one.round for one in spans if one.kind is Kind.WORKING] == [1, 2]
    assert len(told(spans, Kind.PROVIDER)) == 1


def test_every_attempt_of_a_delivery_is_a_span_and_what_is_pending_goes_on() -> None:
    spans = waterfall(
        prediction(
            Stage.DONE, ARRIVED + KEPT, delivery((12.3, 100, 500), (17.4, 10_000, None), state="pending")
        )
    )
    assert told(spans, Kind.DELIVERING) == [("no answer", 12.3, 12.4), ("no answer", 17.4, 27.4)]
    assert told(spans, Kind.WAITING) == [("not told yet", 27.4, None)]


def test_a_delivery_without_history_has_at_least_its_end() -> None:
    lines: Steps = [*ARRIVED, *KEPT, (12.4, Step.DELIVERED, "crm prediction.completed: dead, 410")]
    spans = waterfall(prediction(Stage.DONE, lines))
    (end,) = [one for one in spans if one.kind is Kind.DELIVERING]
    assert (end.label, end.failed) == ("dead, 410", True)


def test_without_its_beginning_and_with_words_that_nobody_knows_it_is_shown_as_it_is() -> None:
    lines: Steps = [
        (5, "teleported", "far"),
        (6, Step.FETCHED, "odd"),
        (7, Step.CRASHED, ""),
        (8, Step.COMMITTED, "dead"),
    ]
    spans = waterfall(prediction(Stage.DEAD, lines))
    assert [one.label for one in spans] == [
        "teleported: far",
        "fetched: odd",
        "attempt 0: the worker ? died",
        "committed: dead",
    ]
    assert waterfall(prediction("newer", [])) == []


def test_the_picture_keeps_everything_within_its_frame_and_in_order() -> None:
    spans = waterfall(prediction(Stage.DONE, ARRIVED + KEPT, delivery((12.3, 9, 500), (90_000, 50, 204))))
    drawn = picture(spans, NOW + 100_000)
    bars = [bar for row in drawn.rows for bar in row.bars]
    assert len(bars) == len(spans)
    assert all(bar.x >= LEFT and bar.x + bar.width <= WIDTH for bar in bars)
    by_start = sorted(bars, key=lambda bar: bar.span.start)
    assert [bar.x for bar in by_start] == sorted(bar.x for bar in bars)
    assert drawn.ticks[0][1] == "+0 ms"
    assert drawn.hidden == 0


def test_what_goes_on_is_drawn_until_now() -> None:
    drawn = picture(waterfall(prediction(Stage.WORKING, ARRIVED)), NOW + 60)
    (bar,) = [bar for row in drawn.rows for bar in row.bars if bar.span.end is None]
    assert bar.x + bar.width == pytest.approx(WIDTH - 20, abs=0.2)


def test_more_lanes_than_there_is_room_for_are_counted() -> None:
    many: Steps = [(11, Step.FETCHED, f"{n}: 9 bytes of image/png") for n in range(100)]
    drawn = picture(waterfall(prediction(Stage.WORKING, [*ARRIVED, *many])), NOW + 60)
    assert (len(drawn.rows), drawn.hidden) == (LANES_MOST, 103 - LANES_MOST)


def test_nothing_makes_an_empty_picture() -> None:
    assert picture([], NOW).rows == ()


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.004, "4 ms"), (0.999, "999 ms"), (2.6, "2.6 s"), (180, "3 min")]
)
def test_short_times_are_told_in_milliseconds(seconds: float, words: str) -> None:
    assert took(seconds) == words
