"""Hooks: what a declaration may say, which events it matches, and what follows from each answer."""

from __future__ import annotations

from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.hooks import (
    Dead,
    Delivered,
    Hook,
    Parked,
    Retry,
    decide,
    decide_probe,
    http_url,
    mask_url,
    matches,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = 1_700_000_000.0
SECRET = "whsec_c2VjcmV0LW9mLWEtaG9vaw=="
SCHEDULE = (5.0, 300.0, 1800.0, 7200.0)
HOUR = 3600.0


def hook(**changes: Any) -> Hook:
    return Hook.model_validate(
        {"name": "crm", "url": "https://crm.example/hooks", "secret": SECRET} | changes
    )


def answered(status: int | None, retry_after: str | None = None, **changes: Any) -> Delivered | Retry | Dead:
    given: dict[str, Any] = {"error": "", "attempts": 1, "schedule": SCHEDULE, "now": NOW, "fraction": 0.5}
    return decide(status, retry_after=retry_after, **given | changes)


def test_a_hook_gets_every_event_of_every_model_unless_told_otherwise() -> None:
    plain = hook()
    assert (plain.events, plain.models, plain.timeout, plain.rate) == (("*",), ("*",), 10, None)


def test_a_hook_can_be_made_in_code_by_its_attributes() -> None:
    made = Hook(name="crm", url="https://crm.example/hooks", secrets=(SECRET,))
    assert made == hook()


def test_two_secrets_are_accepted_while_one_replaces_the_other() -> None:
    assert hook(secret=[SECRET, "whsec_bmV3"]).secrets == (SECRET, "whsec_bmV3")


@pytest.mark.parametrize(
    "secret",
    [
        *(
            "",
            "whsec_",
            "c2VjcmV0",
            "whsec_not base64",
            "whsec_YQ",
            "whsec_YQ=",
            "WHSEC_YWJj",
            "whsec_ä===",
            "whsec_=",
        ),
        *([], [SECRET] * 3, [SECRET, ""], [SECRET, 5], None, 5, {"secret": SECRET}),
    ],
)
def test_a_secret_is_whsec_and_base64(secret: object) -> None:
    with pytest.raises(ValidationError, match="whsec_"):
        hook(secret=secret)


@pytest.mark.parametrize(
    "change",
    [
        *({"name": name} for name in ("", "CRM", "a b", "a" * 65, "a.b", "ü", "crm\n", 5)),
        *(
            {"url": url}
            for url in ("", "crm.example", "/hooks", "ftp://crm.example", "https://", "http://a b/", 5)
        ),
        *({"timeout": timeout} for timeout in (0, "0s", -1, "soon", True)),
        *({"rate": rate} for rate in (0, -1, "fast", True)),
        *({"events": events} for events in (5, [5], None)),
        {"models": {"a": 1}},
        *({"nsfw": nsfw} for nsfw in ("dirty", ["clean", "maybe"], 5)),
        *({"concurrency": concurrency} for concurrency in (0, -1, True, "many")),
        {"colour": "red"},
    ],
)
def test_a_wrong_field_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        hook(**change)


@pytest.mark.parametrize(
    "url",
    ["http://h\nost/", "http://ho\tst/", "https://h:99999/", "https://h:0/", "https://[::1/", "https://:80/"],
)
def test_a_url_that_parsers_read_differently_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must be an absolute http:// or https:// URL"):
        http_url(url)


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ("x-team: blue", "must be a table"),
        *(
            ({name: "x"}, "ours to set")
            for name in (
                *("webhook-id", "Webhook-Signature", "webhook-", "Content-Type", "content-length", "HOST"),
                *(
                    "Transfer-Encoding",
                    "connection",
                    "te",
                    "expect",
                    "proxy-authorization",
                    "accept-encoding",
                ),
            )
        ),
        *(({name: "x"}, "not the name of a header") for name in ("", "a b", "x:y", "x\r\ny", "ü", "x" * 65)),
        *(
            ({"x-key": value}, "on one line")
            for value in (
                "",
                " ",
                "geheim\r\nhost: evil",
                "geheim\n",
                " geheim",
                "gehéim",
                "geheim\0",
                "g" * 4097,
            )
        ),
        ({"x-key": 5}, "x-key must be text"),
        ({"x-key": {"env": "A"}}, "x-key must be text"),
        ({"X-Key": "geheim", "x-key": "geheim"}, "stands there twice"),
        ({f"x-{n}": "geheim" for n in range(33)}, "32 at most"),
    ],
)
def test_a_header_is_the_operators_to_choose_and_cannot_break_the_message(headers: Any, why: str) -> None:
    with pytest.raises(ValidationError, match=why) as refused:
        hook(headers=headers)
    assert "geheim" not in str(refused.value)


def test_no_value_of_a_header_is_shown() -> None:
    secretive = hook(headers={"Authorization": "Bearer geheim", "x-team": "blue geheim"})
    assert secretive.headers == {"authorization": "Bearer geheim", "x-team": "blue geheim"}
    shown = secretive.model_dump_json()
    assert "authorization" in shown
    assert not [text for text in (shown, repr(secretive), str(secretive)) if "geheim" in text]


def test_a_timeout_and_a_rate_may_have_units() -> None:
    assert (hook(timeout="500ms").timeout, hook(rate="20/s").rate) == (0.5, 20)


def test_a_hook_shows_neither_its_secrets_nor_those_in_its_url() -> None:
    secretive = hook(url="https://user:geheim@crm.example/hooks?key=geheim")
    for shown in (repr(secretive), str(secretive), secretive.model_dump_json()):
        assert "geheim" not in shown
        assert SECRET not in shown


def test_a_refused_secret_is_not_quoted() -> None:
    with pytest.raises(ValidationError) as raised:
        hook(secret="whsec_geheim!")
    assert "geheim" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://crm.example:8443/a#b", "https://crm.example:8443/a"),
        ("redis://:geheim@host:6379/0", "redis://:…@host:6379/0"),
        ("redis://user:ge@heim@host/0", "redis://user:…@host/0"),
        ("s3://bucket/prefix?secret=geheim", "s3://bucket/prefix?…"),
        ("unix:///run/redis.sock?password=geheim", "unix:///run/redis.sock?…"),
        ("file:///var/lib", "file:///var/lib"),
    ],
)
def test_a_shown_url_hides_its_password_and_its_query(url: str, shown: str) -> None:
    assert mask_url(url) == shown


@pytest.mark.parametrize(
    ("events", "models", "matched"),
    [
        (["*"], ["*"], True),
        (["prediction.*"], ["*"], True),
        ("prediction.completed", "acme/*", True),
        (["output.*", "prediction.completed"], ["acme/flux"], True),
        (["output.*"], ["*"], False),
        (["*"], ["other/*"], False),
        (["Prediction.*"], ["*"], False),
        (["*"], ["ACME/*"], False),
        ([], ["*"], False),
    ],
)
def test_a_hook_matches_when_one_glob_of_each_kind_does(
    events: Sequence[str], models: Sequence[str], matched: bool
) -> None:
    wanted = hook(events=events, models=models)
    assert matches(wanted, "prediction.completed", "acme/flux", "main", ()) is matched


@pytest.mark.parametrize(
    ("filters", "nsfw", "matched"),
    [
        ({"sources": ["main"]}, ["clean"], True),
        ({"sources": "ma*"}, ["clean"], True),
        ({"sources": ["other", "side-*"]}, ["clean"], False),
        ({"nsfw": "clean"}, ["clean"], True),
        ({"nsfw": ["clean"]}, ["clean", "flagged"], True),
        ({"nsfw": ["unknown", "flagged"]}, ["clean"], False),
        ({"nsfw": ["flagged"]}, [], True),
        ({"nsfw": ["clean"], "sources": ["other"]}, ["clean"], False),
    ],
)
def test_it_may_choose_among_sources_and_classes(
    filters: dict[str, Any], nsfw: Sequence[str], matched: bool
) -> None:
    """An event that tells of no output has no class, and passes: nobody would hear of a failure else."""
    assert matches(hook(**filters), "prediction.completed", "acme/flux", "main", nsfw) is matched


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_2xx_is_delivered(status: int) -> None:
    assert answered(status) == Delivered()


@pytest.mark.parametrize(
    "status", [None, 100, 301, 302, 304, 307, 400, 401, 404, 408, 413, 500, 502, 504, 599]
)
def test_everything_else_is_tried_again_by_schedule(status: int | None) -> None:
    """A redirect is a failure too, and is not followed."""
    assert answered(status, "9999", error="connection reset") == Retry(NOW + 5)


def test_the_waits_follow_the_schedule() -> None:
    assert [answered(500, attempts=n) for n in (1, 2, 3, 4)] == [Retry(NOW + wait) for wait in SCHEDULE]


def test_410_ends_the_delivery_and_disables_the_hook() -> None:
    assert answered(410) == Dead("the hook answered 410, gone", disable=True)
    assert answered(410, attempts=99) == Dead("the hook answered 410, gone", disable=True)


@pytest.mark.parametrize(
    ("status", "error", "reason"),
    [(500, "", "HTTP 500, after 5 attempts"), (None, "timed out", "timed out, after 5 attempts")],
)
def test_after_the_last_wait_a_delivery_is_dead_with_its_last_failure(
    status: int | None, error: str, reason: str
) -> None:
    assert answered(status, error=error, attempts=5) == Dead(reason, disable=False)


def test_without_a_schedule_there_is_one_attempt() -> None:
    assert isinstance(answered(500, schedule=()), Dead)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("retry_after", "attempts", "wait"),
    [
        ("120", 1, 120),
        (" 120 ", 1, 120),
        (formatdate(NOW + 600, usegmt=True), 1, 600),
        ("Tue, 14 Nov 2023 22:23:20 -0000", 1, 600),
        ("Tuesday, 14-Nov-23 22:23:20 GMT", 1, 600),
        ("2", 1, 5),
        ("120", 2, 300),
        ("7200", 1, HOUR),
        ("9" * 5000, 1, HOUR),
        (formatdate(NOW + 86400, usegmt=True), 1, HOUR),
        (formatdate(NOW - 600, usegmt=True), 1, 5),
        ("3600", 4, HOUR),
        (None, 4, HOUR),
        (None, 1, 5),
        *((nonsense, 1, 5) for nonsense in ("", "soon", "-5", "1.5", "١٢٠", "Tue, 99 Nov 2023", "\0", "1e9")),
    ],
)
def test_a_busy_hook_is_left_alone_for_as_long_as_it_asks_up_to_an_hour(
    status: int, retry_after: str | None, attempts: int, wait: float
) -> None:
    assert answered(status, retry_after, attempts=attempts) == Retry(NOW + wait)


def test_a_busy_answer_counts_as_an_attempt() -> None:
    assert answered(429, "1", attempts=5) == Dead("HTTP 429, after 5 attempts", disable=False)


@pytest.mark.parametrize(
    ("status", "failing_for", "decision"),
    [
        (204, 1e9, Delivered()),
        (410, 0, Dead("the hook answered 410, gone", disable=True)),
        (503, sum(SCHEDULE), Parked()),
        (None, 0, Parked()),
        (503, sum(SCHEDULE) + 1, Dead("HTTP 503, for 2.6 h", disable=False)),
        (None, 1e6, Dead("reset, for 277.8 h", disable=False)),
    ],
)
def test_a_probe_uses_up_no_attempt_but_a_delivery_has_no_more_time_than_by_its_schedule(
    status: int | None, failing_for: float, decision: object
) -> None:
    assert decide_probe(status, "reset", failing_for, SCHEDULE) == decision


cases = st.fixed_dictionaries(
    {
        "status": st.none() | st.integers(min_value=100, max_value=999) | st.sampled_from([410, 429, 503]),
        "error": st.text(),
        "retry_after": st.none() | st.text() | st.integers().map(str) | st.floats(0, 4e9).map(formatdate),
        "attempts": st.integers(min_value=1, max_value=12),
        "schedule": st.lists(st.floats(min_value=0, max_value=1e6), max_size=10).map(tuple),
        "now": st.just(NOW),
        "fraction": st.floats(min_value=0, max_value=1, exclude_max=True),
    }
)


@given(cases)
def test_every_answer_has_one_of_three_ends_and_a_retry_is_neither_early_nor_beyond_its_bound(
    case: dict[str, Any],
) -> None:
    decision = decide(**case)
    status, attempts, schedule = case["status"], case["attempts"], case["schedule"]
    assert isinstance(decision, Delivered) == (status is not None and 200 <= status < 300)
    if isinstance(decision, Dead):
        assert decision.disable == (status == 410)
        assert decision.disable or attempts > len(schedule)
    if isinstance(decision, Retry):
        base = schedule[attempts - 1]
        wait = decision.at - NOW
        busy = status in (429, 503)
        assert wait >= min(base * 0.8, HOUR if busy else base) - 1e-3
        assert wait <= (HOUR if busy else base * 1.2) + 1e-3


@given(schedule=st.lists(st.floats(min_value=0, max_value=1e5), max_size=10).map(tuple), data=st.data())
def test_n_waits_make_n_plus_1_attempts(schedule: tuple[float, ...], data: st.DataObject) -> None:
    attempts, now = 0, NOW
    while True:
        attempts += 1
        status = data.draw(st.sampled_from([None, 302, 404, 429, 500, 503]))
        decision = answered(status, attempts=attempts, schedule=schedule, now=now, error="timed out")
        if isinstance(decision, Dead):
            break
        assert isinstance(decision, Retry)
        now = decision.at
    assert attempts == len(schedule) + 1
