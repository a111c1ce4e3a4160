from __future__ import annotations

import pytest

from service.errors import InvalidInput
from service.ledger import PredictionRecord, query
from service.ledger.query import Query
from service.prediction import Nsfw, Stage, Via
from tests.builders import NOON, ref

RECORD = PredictionRecord(
    ref("abc1"),
    Stage.DONE,
    model="acme/painter",
    via="poll",
    known_at=NOON,
    nsfw=(Nsfw.CLEAN, Nsfw.FLAGGED),
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
