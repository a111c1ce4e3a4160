"""A query on a page: read, wrong in a word, changed by links, and completed."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from service.ledger.query import WORDS, parse
from service.prediction import Stage
from service.web.dashboard import asking
from tests.builders import NOON


def request(query: str) -> Request:
    return Request({"type": "http", "headers": [], "query_string": query.encode()})


def test_blanks_do_not_count_and_nothing_asks_for_everything() -> None:
    assert asking.read(request("query=%20stage:done%20%20via:poll%20")).text == "stage:done via:poll"
    assert asking.read(request("")).query == parse("", NOON)


@pytest.mark.parametrize(
    ("query", "named"), [("stage:nope", "`stage:nope`"), ("huh", "`huh`"), ("x:1", "no x")]
)
def test_a_wrong_query_says_which_word(query: str, named: str) -> None:
    asked = asking.read(request(f"query={query}"))
    assert (asked.text, asked.query) == (query, None)
    assert named in asked.why


def test_an_endless_query_is_refused_and_given_back() -> None:
    asked = asking.read(request("query=" + "a" * 5000))
    assert (asked.text, asked.query) == ("a" * 5000, None)
    assert "1000" in asked.why


def test_an_address_says_what_there_is_to_say() -> None:
    assert asking.address("/x", query="", cursor=None) == "/x"
    assert asking.address("/x", query="meta.a:b&c d", cursor=5) == "/x?query=meta.a%3Ab%26c+d&cursor=5"


def test_a_word_takes_the_place_of_one_of_its_name() -> None:
    assert asking.put("stage:done via:poll", "stage:dead") == "via:poll stage:dead"
    assert asking.taken("stage:done via:poll", "via:poll") == "stage:done"


def test_a_chip_puts_its_word_in_and_takes_it_away() -> None:
    on, off = asking.chips("via:poll model:a", ["via:poll", "nsfw:flagged"])
    assert (on.query, on.on) == ("model:a", True)
    assert (off.query, off.on) == ("via:poll model:a nsfw:flagged", False)


def test_stages_have_their_counts_and_all_is_one_of_them() -> None:
    everything, *stages = asking.stages("stage:done", {"done": 5, "dead": 1})
    assert (everything.query, everything.on, everything.amount) == ("", False, 6)
    assert [chip.label for chip in stages] == list(Stage)
    assert [chip.label for chip in stages if chip.on] == ["done"]
    assert {chip.label: chip.amount for chip in stages}["done"] == 5


def test_of_a_query_with_other_words_nobody_has_counted() -> None:
    everything, *stages = asking.stages("via:poll stage:done", {"done": 5})
    assert (everything.query, everything.amount) == ("via:poll", None)
    assert {chip.amount for chip in stages} == {None}
    assert asking.stages("via:poll", {})[0].on


def test_every_word_is_completed_and_what_is_offered_is_a_query() -> None:
    offered = asking.vocabulary(["main"], {"model": ["acme/painter"], "hook": ["crm"]})
    names = {word.name for word in WORDS if word.predictions} - {"meta.KEY"}
    assert names | {"meta."} == set(offered)
    for name, values in offered.items():
        for value in values:
            parse(f"{name}:{value}", NOON)
