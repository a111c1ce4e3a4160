"""Decisions about outputs: which are files, what a policy makes of them, and how a round of fetching ends."""

from __future__ import annotations

from typing import Any

import pytest

from service.ledger import PredictionRecord
from service.moderation import Action, Override, Policy
from service.prediction import Disposition, Nsfw, Reason, Ref, Stage, Via
from workers.outputs import Output, Settled, TryAgain, file_url, judge, only_fetches, plan, settle

URL = "https://cdn.example/0.png"
SCHEDULE = (2.0, 10.0, 60.0, 300.0)


@pytest.mark.parametrize(
    ("value", "url"),
    [
        (URL, URL),
        ("HTTP://cdn.example/no-extension", "HTTP://cdn.example/no-extension"),
        ({"url": URL, "width": 8}, URL),
        ("https://cdn.example/a b.png", None),
        ("https://cdn.example/0.png\n", None),
        ("https:///no-host.png", None),
        ("https://[broken/0.png", None),
        ("ftp://cdn.example/0.png", None),
        ("data:image/png;base64,AAAA", None),
        ("A lighthouse keeps its own hours.", None),
        ("", None),
        ({"url": 1}, None),
        ({"label": "photo"}, None),
        ([URL], None),
        (True, None),
        (None, None),
    ],
)
def test_a_file_is_an_http_url_with_a_host_and_no_white_space(value: object, url: str | None) -> None:
    assert file_url(value) == url


def record(*kept: Output, nsfw: str = "", via: Via = Via.CALLBACK, failures: int = 0) -> PredictionRecord:
    classes = tuple({"c": Nsfw.CLEAN, "u": Nsfw.UNKNOWN, "f": Nsfw.FLAGGED}[letter] for letter in nsfw)
    outputs = tuple(output.stored() for output in kept)
    return PredictionRecord(
        Ref("main", "p1"), Stage.WORKING, nsfw=classes, outputs=outputs, via=via, failures=failures
    )


def test_the_same_url_twice_is_two_outputs() -> None:
    assert [(one.index, one.url) for one in plan(record(), [URL, URL])] == [(0, URL), (1, URL)]


def test_an_output_without_a_class_is_unknown() -> None:
    assert [one.nsfw for one in plan(record(nsfw="c"), [URL, URL])] == [Nsfw.CLEAN, Nsfw.UNKNOWN]


def settled(disposition: Disposition, **more: Any) -> Output:
    return Output(0, Nsfw.CLEAN, URL, disposition, **more)


@pytest.mark.parametrize("disposition", list(Disposition))
def test_a_later_round_leaves_alone_what_an_earlier_one_settled(disposition: Disposition) -> None:
    before = settled(disposition, error="refused_host", gone=3)
    assert plan(record(before, nsfw="c", failures=1), [URL]) == [before]


def test_what_is_still_open_keeps_its_count_of_gone_answers() -> None:
    assert plan(record(Output(0, Nsfw.CLEAN, URL, gone=2), nsfw="c"), [URL])[0].gone == 2


@pytest.mark.parametrize("disposition", list(Disposition))
def test_a_replay_opens_again_what_was_not_kept(disposition: Disposition) -> None:
    before = settled(disposition, error="outputs_gone", gone=4, bad=True)
    (output,) = plan(record(before, nsfw="c", via=Via.REPLAY), [URL])
    opened = disposition in (Disposition.LOST, Disposition.DROPPED)
    assert output == (Output(0, Nsfw.CLEAN, URL) if opened else before)


def test_a_stricter_class_of_the_record_is_that_of_the_output() -> None:
    assert plan(record(settled(Disposition.STORED), nsfw="f"), [URL])[0].nsfw is Nsfw.FLAGGED


def test_an_output_survives_the_ledger_and_what_a_newer_version_added() -> None:
    output = settled(Disposition.HELD, sha256="0" * 64, bytes=3, width=1, error="type_not_allowed")
    assert Output.load(output.stored() | {"colour": "blue"}) == output


POLICY = Policy(overrides=(Override("acme/*", clean=Action.DROP, flagged=Action.RELEASE),))


@pytest.mark.parametrize(
    ("model", "nsfw", "url", "action", "disposition"),
    [
        ("m", Nsfw.CLEAN, URL, Action.RELEASE, None),
        ("m", Nsfw.FLAGGED, URL, Action.HOLD, None),
        ("m", Nsfw.UNKNOWN, URL, Action.HOLD, None),
        ("acme/x", Nsfw.CLEAN, URL, Action.DROP, Disposition.DROPPED),
        ("acme/x", Nsfw.FLAGGED, URL, Action.RELEASE, None),
        ("acme/x", Nsfw.UNKNOWN, URL, Action.HOLD, None),
        ("m", Nsfw.CLEAN, None, Action.RELEASE, Disposition.SKIPPED),
        ("m", Nsfw.FLAGGED, None, Action.HOLD, Disposition.SKIPPED),
        ("acme/x", Nsfw.CLEAN, None, Action.DROP, Disposition.SKIPPED),
    ],
)
def test_judging_settles_what_is_no_file_and_what_policy_drops(
    model: str, nsfw: Nsfw, url: str | None, action: Action, disposition: Disposition | None
) -> None:
    output = Output(0, nsfw, url)
    assert judge(output, model, POLICY) is action
    assert output.disposition is disposition


def test_judging_again_changes_nothing_that_is_settled() -> None:
    output = settled(Disposition.STORED)
    assert judge(output, "acme/x", POLICY) is Action.DROP
    assert output.disposition is Disposition.STORED


def lost(error: str) -> Output:
    return settled(Disposition.LOST, error=error)


GONE, BAD = lost(Reason.OUTPUTS_GONE), lost(Reason.OUTPUTS_BAD)
REFUSED, EXHAUSTED = lost("refused_host"), lost(Reason.ATTEMPTS_EXHAUSTED)


@pytest.mark.parametrize(
    ("outputs", "stage", "reason"),
    [
        ([], Stage.DONE, None),
        ([GONE, GONE], Stage.EXPIRED, Reason.OUTPUTS_GONE),
        ([REFUSED, lost("refused_address")], Stage.DEAD, Reason.OUTPUTS_REFUSED),
        ([BAD], Stage.DEAD, Reason.OUTPUTS_BAD),
        ([EXHAUSTED], Stage.DEAD, Reason.ATTEMPTS_EXHAUSTED),
        ([GONE, REFUSED], Stage.DEAD, Reason.OUTPUTS_REFUSED),
        ([GONE, BAD, EXHAUSTED], Stage.DEAD, Reason.OUTPUTS_BAD),
        *(
            ([settled(kept), GONE, REFUSED, BAD], Stage.DONE, None)
            for kept in Disposition
            if kept is not Disposition.LOST
        ),
    ],
)
def test_one_kept_output_makes_it_done_and_none_says_why(
    outputs: list[Output], stage: Stage, reason: Reason | None
) -> None:
    assert settle(outputs, 0, SCHEDULE) == Settled(stage, reason)


def open_output(**more: Any) -> Output:
    return Output(0, Nsfw.CLEAN, URL, **more)


@pytest.mark.parametrize("failures", [1, 2, 3, 4])
def test_a_schedule_of_n_waits_allows_n_more_attempts(failures: int) -> None:
    assert settle([open_output()], failures, SCHEDULE) == TryAgain(SCHEDULE[failures - 1])
    assert settle([open_output()], len(SCHEDULE) + 1, SCHEDULE) == Settled(
        Stage.DEAD, Reason.ATTEMPTS_EXHAUSTED
    )


@pytest.mark.parametrize(
    ("schedule", "retries"), [(SCHEDULE, 3), ((1.0,) * 3, 3), ((1.0,) * 2, 2), ((1.0,), 1)]
)
def test_gone_is_retried_over_the_first_three_waits(schedule: tuple[float, ...], retries: int) -> None:
    for tries in range(1, retries + 1):
        assert settle([open_output(gone=tries)], tries, schedule) == TryAgain(schedule[tries - 1])
    ended = settle([open_output(gone=retries + 1)], retries + 1, schedule)
    assert ended == Settled(Stage.EXPIRED, Reason.OUTPUTS_GONE)


def test_what_came_broken_to_the_end_is_bad_and_not_just_exhausted() -> None:
    output = open_output(bad=True)
    assert settle([output], len(SCHEDULE) + 1, SCHEDULE) == Settled(Stage.DEAD, Reason.OUTPUTS_BAD)
    assert (output.disposition, output.error) == (Disposition.LOST, Reason.OUTPUTS_BAD)


def test_one_open_output_keeps_the_others_waiting_and_settled() -> None:
    outputs = [settled(Disposition.STORED), open_output(), GONE]
    assert settle(outputs, 1, SCHEDULE) == TryAgain(2.0)
    assert [one.disposition for one in outputs] == [Disposition.STORED, None, Disposition.LOST]


@pytest.mark.parametrize(
    ("outputs", "places"),
    [
        ([], set()),
        ([Output(0, Nsfw.CLEAN, URL)], {False}),
        ([Output(0, Nsfw.FLAGGED, URL)], {True}),
        ([Output(0, Nsfw.CLEAN, URL), Output(1, Nsfw.UNKNOWN, URL)], {False, True}),
        ([Output(0, Nsfw.CLEAN, None)], set()),
        ([settled(Disposition.STORED), Output(1, Nsfw.CLEAN, URL)], {False}),
        ([settled(Disposition.STORED), settled(Disposition.LOST)], set()),
        ([Output(0, Nsfw.FLAGGED, URL, Disposition.STORED), Output(1, Nsfw.CLEAN, URL)], set()),
    ],
    ids=["none", "clean", "flagged", "both", "a text", "one is left", "none is left", "one to take back"],
)
def test_what_only_fetches_can_wait_for_room(outputs: list[Output], places: set[bool]) -> None:
    assert only_fetches(outputs, "acme/painter", Policy()) == places


def test_what_policy_drops_is_not_fetched_and_waits_for_nothing() -> None:
    outputs = [Output(0, Nsfw.UNKNOWN, URL)]
    assert only_fetches(outputs, "acme/painter", Policy(unknown=Action.DROP)) == set()
