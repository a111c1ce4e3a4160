"""The compact form alone: what goes in comes out, whatever it says; and what was written since is newer."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.ledger import PredictionRecord, compact
from service.ledger.compact import LIVES, MOVED, Whole
from service.ledger.vocabulary import VOCABULARY
from service.prediction import Stage

FIELDS = {
    "source": "main",
    "id": "p1",
    "stage": "done",
    "verdict": "completed",
    "status": "completed",
    "digest": "0123456789abcdef",
    "nsfw": "c",
    "generation": "1",
    "sequence": "7",
    "token": "1",
    "rings": "1",
    "attempts": "1",
    "day": "2026-11-25",
    "model": "acme/painter",
    "outputs": '[{"index":0,"disposition":"stored"}]',
    "failures": "0",
    "finished_at": "1700000000.000",
}
DELIVERY = {"id": "dlv_1", "ref": "main:p1", "state": "delivered", "token": "1", "attempts": "1"}
LINES = ('{"at":1,"detail":"","step":"accepted"}', '{"at":2.5,"detail":"done","step":"committed"}')

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x1d\x1e\x1f"), min_size=1)
names = st.text("abcdefghijklmnop_", min_size=1)


def whole(*, events: dict[str, str] | None = None, **more: str) -> Whole:
    return Whole(
        FIELDS | more, LINES, {"evt_1": '{"a":"é"}'} if events is None else events, {"dlv_1": DELIVERY}
    )


def there_and_back(one: Whole, **since: str) -> Whole:
    return compact.restored(compact.compacted(one) | {LIVES: "100"} | since)


def test_all_of_it_comes_back() -> None:
    back = there_and_back(whole())
    assert back == Whole(FIELDS, list(LINES), {"evt_1": '{"a":"é"}'}, {"dlv_1": DELIVERY})


@given(
    st.dictionaries(names.map("x_".__add__), texts),
    st.lists(texts.map(json.dumps)),
    st.dictionaries(names, texts),
    st.dictionaries(names.map("dlv_".__add__), st.dictionaries(names.map("x_".__add__), texts)),
)
def test_whatever_it_says(
    fields: dict[str, str], lines: list[str], events: dict[str, str], deliveries: dict[str, dict[str, str]]
) -> None:
    deliveries = {id_: {"id": id_, "ref": "main:p1"} | one for id_, one in deliveries.items()}
    back = there_and_back(Whole(FIELDS | fields, lines, events, deliveries))
    assert (back.fields, back.events, back.deliveries) == (FIELDS | fields, events, deliveries)
    assert [json.loads(line) for line in back.lines] == [json.loads(line) for line in lines]


@pytest.mark.parametrize("mark", ["\x1d", "\x1e", "\x1f"])
def test_a_text_with_the_dividing_marks_stays_as_it_is(mark: str) -> None:
    for one in (whole(error=f"a{mark}b"), whole(events={"evt_1": mark}), whole(error=f"{mark}b\x1fc")):
        with pytest.raises(ValueError, match=r"marks|unpack|sequence"):
            compact.compacted(one)


def test_what_is_very_long_stays_as_it_is() -> None:
    with pytest.raises(ValueError, match="too long"):
        compact.compacted(whole(payload=json.dumps({"film": "x" * 300_000})))


def test_nothing_in_it_is_longer_than_a_server_keeps_in_one_place() -> None:
    fields = compact.compacted(
        whole(error="an error that is longer than that, and even longer, and longer " * 3)
    )
    assert max(map(len, fields.values())) <= 64
    assert len(fields) < 40


def test_a_long_one_is_one_piece_as_a_server_would_not_keep_so_many_together() -> None:
    told = json.dumps([hashlib.sha256(bytes([n])).hexdigest() for n in range(200)])
    fields = compact.compacted(whole(metadata=told))
    assert "z1" not in fields
    assert compact.restored(fields | {LIVES: "1"}).fields["metadata"] == told


def test_a_payload_that_stands_in_the_manifest_goes_and_another_stays() -> None:
    payload = '{"id":"p1","outputs":[]}'
    assert there_and_back(whole(payload=payload)).fields["payload"] == payload
    moved = there_and_back(whole(payload=payload, manifest="1"))
    assert (moved.fields["payload"], "manifest" in moved.fields) == (MOVED, False)
    assert there_and_back(moved).fields["payload"] == MOVED
    assert PredictionRecord.load(moved.fields).payload == {}


def test_a_version_that_knows_no_compact_form_takes_it_for_corrupt() -> None:
    """It would take a completion without a payload for one without outputs, and end it so."""
    for fields in (compact.compacted(whole(manifest="1")), there_and_back(whole(manifest="1")).fields):
        with pytest.raises(ValueError, match="Expecting value"):
            json.loads(fields["payload"])


def test_what_was_written_since_is_newer() -> None:
    back = there_and_back(whole(metadata='{"a":1}'), metadata='{"b":2}', nsfw="f", via="callback")
    assert (back.fields["metadata"], back.fields["nsfw"], back.fields["via"]) == ('{"b":2}', "f", "callback")


def test_back_at_work_it_has_not_ended() -> None:
    back = there_and_back(whole(reason="outputs_bad", error="bad"), stage="accepted")
    assert not back.fields.keys() & {"finished_at", "reason", "error", "failures"}
    assert back.fields["outputs"] == FIELDS["outputs"]


def test_a_later_completion_has_none_of_the_outputs_of_a_failure() -> None:
    back = there_and_back(whole(stage="failed"), stage="accepted", generation="2")
    assert "outputs" not in back.fields


def test_a_dead_one_still_says_whether_a_file_of_it_is_in_the_open() -> None:
    assert compact.compacted(whole(stage=Stage.DEAD))["outputs"] == FIELDS["outputs"]


@pytest.mark.parametrize(
    "harm",
    [{"z0": "2abc"}, {"z0": ""}, {"z0": "1????"}, {"z0": "1AAAA"}, {"z5": "x" * 10}, {"dlv_2": ""}],
)
def test_one_that_cannot_be_read_says_so_and_breaks_nothing(harm: dict[str, str]) -> None:
    record = PredictionRecord.load(compact.compacted(whole()) | {LIVES: "1"} | harm)
    assert "cannot be read" in record.corrupt
    assert record.stage == Stage.DONE


def test_a_slash_is_one_however_redis_spells_it() -> None:
    """Its encoder escapes them, and a URI would be two different texts to the compression."""
    line: Any = r'{"at":1,"detail":"s3:\/\/a\/b \\\\/ \"é\"","step":"stored"}'
    (back,) = there_and_back(Whole(FIELDS, [line], {}, {})).lines
    assert json.loads(back) == json.loads(line)
    assert r"\/\/" not in back


def test_the_vocabulary_is_never_changed() -> None:
    """What was compacted with it can be read with nothing else; another one needs another format."""
    assert hashlib.sha256(VOCABULARY).hexdigest()[:16] == "ccd9aecc42225a94"
