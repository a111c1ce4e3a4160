"""A callback's own text goes to the ledger as it came when it is the payload, and else is written anew."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import keys
from service.ledger import Arrival
from service.prediction import Ref, Step, Verdict, Via
from service.wavespeed import parse, report, verify
from tests.builders import accept, parts, ref

if TYPE_CHECKING:
    from service.ledger import Ledger
    from service.prediction import Report

PAYLOADS = sorted((Path(__file__).parent / "payloads").glob("*.json"))
AS_IT_IS = b'{"id" : "p1", "status":"completed","outputs":[],"note":"\\u00e9\\/\\u001d","n":1.50}'


def parsed(body: bytes) -> Report:
    mac = hmac.new(b"key", b"evt.1700000000." + body, hashlib.sha256).hexdigest().encode()
    names = (b"webhook-id", b"webhook-timestamp", b"webhook-signature")
    headers = zip(names, (b"evt", b"1700000000", b"v3," + mac), strict=True)
    return parse(verify([*headers], body, ["key"], 1_700_000_000))


def arrival(found: Report, source: str = "main") -> Arrival:
    return Arrival(Ref(source, found.id), Via.CALLBACK, Step.CALLED_BACK, found, detail=found.status)


def stored(found: Report) -> Any:
    """The payload as the ledger will have it; None when it gets none."""
    text = parts(arrival(found).encoded(0))[8]
    return json.loads(text) if text else None


def same(one: object, other: object) -> bool:
    """To the letter: for Python 1 is True."""
    return json.dumps(one) == json.dumps(other)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3)
    ),
    max_leaves=6,
)
inputs = json_values | st.just({"image": "data:image/png;base64,AAAA"}) | st.just(["x" * 5000])
predictions = st.builds(
    lambda fields, given_, status: {"id": "p1", "status": status, **fields} | given_,
    st.dictionaries(st.sampled_from(["note", "error", "model", "timings"]), json_values),
    st.just({}) | st.builds(lambda value: {"input": value}, inputs),
    st.sampled_from(["completed", "failed", "processing"]),
)
spellings = st.fixed_dictionaries(
    {
        "ensure_ascii": st.booleans(),
        "indent": st.sampled_from([None, None, 0, 2]),
        "separators": st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", "\r:")]),
    }
)


@given(predictions, spellings, st.booleans())
def test_it_is_kept_exactly_when_nothing_was_taken_out_and_it_is_one_line(
    said: dict[str, Any], spelling: dict[str, Any], enveloped: bool
) -> None:
    body = json.dumps({"code": 200, "data": said} if enveloped else said, **spelling).encode()
    found = parsed(body)
    whole = not enveloped and same(found.payload, said)
    assert found.text == (body if whole and b"\n" not in body else b"")


@given(predictions, spellings, st.booleans())
def test_what_the_ledger_gets_is_the_payload_either_way(
    said: dict[str, Any], spelling: dict[str, Any], enveloped: bool
) -> None:
    found = parsed(json.dumps({"code": 200, "data": said} if enveloped else said, **spelling).encode())
    written_anew = dataclasses.replace(found, text=b"")
    expected = None if found.verdict is Verdict.PENDING else found.payload
    assert same(stored(found), expected)
    assert same(stored(written_anew), expected)
    raw, anew = (parts(arrival(one).encoded(0)) for one in (found, written_anew))
    assert [*raw[:8], *raw[9:]] == [*anew[:8], *anew[9:]]


@pytest.mark.parametrize("path", PAYLOADS, ids=lambda path: path.stem)
def test_what_the_provider_was_seen_to_send_reads_the_same_either_way(path: Path) -> None:
    for body in (path.read_bytes(), path.read_bytes().replace(b"\n", b" ")):
        found = parsed(body)
        assert same(stored(found), stored(dataclasses.replace(found, text=b"")))


def test_a_polls_answer_has_no_text_of_its_own() -> None:
    assert report(json.loads(AS_IT_IS)).text == b""


@pytest.mark.anyio
async def test_a_record_with_the_callbacks_own_text_is_the_record_with_it_written_anew(
    ledger: Ledger,
) -> None:
    found = parsed(AS_IT_IS)
    assert found.text == AS_IT_IS
    await accept(ledger, arrival(found, "raw"), arrival(dataclasses.replace(found, text=b""), "anew"))
    raw = await ledger.reading.record(ref("p1", "raw"))
    anew = await ledger.reading.record(ref("p1", "anew"))
    assert raw is not None
    assert anew is not None
    assert raw.payload == anew.payload == json.loads(AS_IT_IS)
    held = await ledger.redis.hget(keys.PREDICTION + str(ref("p1", "raw")), "payload")
    assert held == AS_IT_IS.decode()
