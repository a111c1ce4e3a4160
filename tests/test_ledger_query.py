from __future__ import annotations

import pytest

from service.errors import InvalidInput
from service.ledger import DeliveryRecord, PredictionRecord, query
from service.ledger.query import WORDS, Query
from service.prediction import Nsfw, Stage, Via
from tests.builders import NOON, ref

RECORD = PredictionRecord(
    ref("abc1"),
    Stage.DONE,
    model="acme/painter",
    via="poll",
    known_at=NOON,
    nsfw=(Nsfw.CLEAN, Nsfw.FLAGGED),
    reason="outputs_gone",
    error="0: connect timeout",
    outputs=({"index": 0, "error": "refused_host"},),
    metadata={"user": 42, "team": "red", "vip": True},
)


def test_no_words_are_everything() -> None:
    assert query.parse("", NOON) == query.parse("  \t ", NOON) == Query()


def test_every_word_is_understood() -> None:
    words = "stage:done id:abc* model:acme/* source:main nsfw:flagged via:poll since:2h"
    assert query.parse(words, NOON) == Query(
        Stage.DONE, "abc*", "acme/*", "main", Nsfw.FLAGGED, Via.POLL, NOON - 7200
    )


@pytest.mark.parametrize("text", ["since:2023-11-14T22:13:20Z", "since:2023-11-14T23:13:20.000+01:00"])
def test_since_takes_an_instant(text: str) -> None:
    assert query.parse(text, 0).since == NOON


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stage:finished", "`stage:finished`: stage is one of awaited, accepted"),
        ("id:a nsfw:dirty", "`nsfw:dirty`: nsfw is one of clean, unknown, flagged"),
        ("via:pigeon", "`via:pigeon`"),
        ("since:yesterday", "`since:yesterday`"),
        ("painter", "`painter` is not name:value"),
        ("stage:", "`stage:` is not name:value"),
        (":done", "there is no "),
        ("colour:red", "`colour:red`: there is no colour; use stage, id"),
        ("stage:done stage:dead", "`stage:dead` says stage twice"),
        ("meta.user:1 meta.user:2", "`meta.user:2` says meta.user twice"),
        ("model:*flux", "`model:*flux`: a * stands at the end only"),
        ("meta.:1", "`meta.:1`: there is no meta."),
        ("state:dead", "`state:dead`: there is no state"),
        ("until:tomorrow", "or an instant, as in until:2026-11-28T12:00:00Z (RFC 3339)"),
        ("since:1h until:2h", "`since:1h until:2h` ends before it begins"),
        ("NSFW:flagged", "`NSFW:flagged`: there is no NSFW; write nsfw:flagged"),
        ("nsfw:FLAGGED", "; write nsfw:flagged"),
    ],
)
def test_an_error_points_at_the_word(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match="query") as refused:
        query.parse(text, NOON)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("words", "matches"),
    [
        ("id:abc*", True),
        ("id:ABC*", False),
        ("id:abc", False),
        ("model:acme/*", True),
        ("model:painter", False),
        ("model:acme/painter", True),
        ("source:ma*", True),
        ("until:1s", False),
        ("until:2023-11-14T22:13:20Z", True),
        ("err:timeout", True),
        ("err:TIME*", True),
        ("err:outputs_gone", True),
        ("err:time", False),
        ("err:refused_*", True),
        ("meta.user:42", True),
        ("meta.user:4*", True),
        ("meta.user:4", False),
        ("meta.team:red", True),
        ("meta.vip:true", True),
        ("meta.nobody:*", False),
        ("meta.user:42 meta.team:blue", False),
        ("source:main", True),
        ("source:other", False),
        ("nsfw:flagged", True),
        ("nsfw:unknown", False),
        ("via:poll", True),
        ("via:callback", False),
        ("since:0s", True),
        ("id:abc1 nsfw:unknown", False),
    ],
)
def test_all_words_must_hold(words: str, matches: bool) -> None:
    assert query.parse(words, NOON).matches(RECORD) is matches


def test_since_is_when_we_learned_of_it() -> None:
    assert not query.parse("since:1s", NOON + 2).matches(RECORD)
    assert query.parse("since:3s", NOON + 2).matches(RECORD)


DELIVERY = DeliveryRecord(
    "dlv_1",
    ref("abc1"),
    "evt_1",
    "prediction.completed",
    "crm",
    "dead",
    error="answered 500",
    created_at=NOON,
)


@pytest.mark.parametrize(
    ("words", "matches"),
    [
        ("", True),
        ("id:dlv_1", True),
        ("id:dlv_2", False),
        ("hook:crm", True),
        ("hook:cr", False),
        ("state:dead", True),
        ("state:pending", False),
        ("event:prediction.*", True),
        ("event:output.*", False),
        ("err:500", True),
        ("err:503", False),
        ("since:0s", True),
        ("until:1s", False),
        ("hook:c* state:dead err:answered", True),
    ],
)
def test_deliveries_have_words_of_their_own(words: str, matches: bool) -> None:
    assert query.parse_deliveries(words, NOON).matches(DELIVERY) is matches


@pytest.mark.parametrize("text", ["stage:done", "state:lost", "meta.user:1", "crm"])
def test_a_word_of_another_list_is_none_of_theirs(text: str) -> None:
    with pytest.raises(InvalidInput, match=text):
        query.parse_deliveries(text, NOON)


def test_every_example_of_a_word_is_a_query() -> None:
    for word in WORDS:
        parses = [query.parse] * word.predictions + [query.parse_deliveries] * word.deliveries
        assert parses
        for parse in parses:
            parse(word.example, NOON)
