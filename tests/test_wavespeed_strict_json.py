"""Hostile JSON is refused, quickly, and what is sound is read, however odd."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import errors
from service.wavespeed import strict_json


def refused(body: bytes) -> str:
    with pytest.raises(errors.Unparseable) as caught:
        strict_json.loads(body)
    return str(caught.value)


def around(value: bytes) -> bytes:
    return b'{"id":"pred_123","status":"completed","extra":' + value + b"}"


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xef\xbb\xbf" + around(b"1"), "not JSON"),
        (around(b"1").decode().encode("utf-16"), "not UTF-8"),
        (around(b"1").decode().encode("utf-16-le"), "not JSON"),
        (around(b'"\xff"'), "not UTF-8"),
        (around(b'"\xed\xa0\x80"'), "not UTF-8"),
        (around(b"1") + b"{}", "not JSON"),
        (around(b"1,"), "not JSON"),
        (around(b"'1'"), "not JSON"),
        (around(b"01"), "not JSON"),
        (around(b'"\n"'), "not JSON"),
        (around(b'"\\x"'), "not JSON"),
        (around(b"1 /* */"), "not JSON"),
        (around(b"NaN"), "NaN is not JSON"),
        (around(b"Infinity"), "Infinity is not JSON"),
        (around(b"-Infinity"), "-Infinity is not JSON"),
        (around(b"1e999"), "too large for a double"),
        (around(b"-1e999"), "too large for a double"),
        (around(b"9" * 401), "more than 400 digits"),
        (around(b"0." + b"9" * 400), "more than 400 digits"),
        (around(b'{"a":1,"a":1}'), "twice"),
        (around(b'{"a":1,"\\u0061":1}'), "twice"),
        (around(b'1,"id":"pred_999"'), "twice"),
        (around(b'"\\ud800"'), "surrogate"),
        (around(b'{"\\uDFFF":0}'), "surrogate"),
        (around(b'"\\udc00\\ud800"'), "surrogate"),
        (around(b"[" * 32 + b"]" * 32), "deeper than 32"),
        (around(b'{"a":' * 32 + b"0" + b"}" * 32), "deeper than 32"),
    ],
)
def test_json_with_more_than_one_reading_is_refused(body: bytes, complaint: str) -> None:
    assert complaint in refused(body)


@pytest.mark.parametrize(
    "value",
    [
        b"[" * 31 + b"]" * 31,
        b'"' + b"[" * 5000 + b'"',
        b'"\\\\",' + b'"n":"' + b"[{" * 5000 + b'"',
        b'"\\"' + b"[" * 5000 + b'"',
        b"[" + b"0," * 150_000 + b"0]",
        b"9" * 400,
        b"1e308",
        b'"\\ud83d\\ude00"',
        b'"\\\\ud800"',
        '"\U0001f600"'.encode(),
        b'"\\u0000"',
    ],
)
def test_unusual_but_sound_json_is_read(value: bytes) -> None:
    assert strict_json.loads(around(value))["status"] == "completed"


MEGABYTES = 8_000_000


@pytest.mark.parametrize(
    ("start", "unit"),
    [
        (b"", b"["),
        (b"", b'{"a":'),
        (b"[[]", b",[]"),
        (b"[0", b",0"),
        (b'[""', b',""'),
        (b"", b'"'),
        (b'"', b'\\"'),
        (b"", b"\\"),
        (b"", b"9"),
        (b"0.", b"9"),
        (b"1e", b"9"),
        (b"", b"]"),
        (b"", b" "),
    ],
)
def test_eight_megabytes_of_bomb_are_refused_in_a_moment(start: bytes, unit: bytes) -> None:
    """Two seconds of processor time: a hundred times what it takes, and minutes less than a live bomb."""
    bomb = around(start + unit * (MEGABYTES // len(unit)))
    started = time.process_time()
    refused(bomb)
    assert time.process_time() - started < 2


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**398), 10**399) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


@given(values | st.floats(allow_nan=False, allow_infinity=False), st.booleans())
def test_what_json_can_say_comes_back_as_it_was(value: Any, ascii_only: bool) -> None:
    assert strict_json.loads(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(st.binary(max_size=80) | st.text('[]{},:"\\0e.-tnu d8', max_size=40).map(str.encode))
def test_any_bytes_are_read_as_the_standard_decoder_reads_them_or_refused(noise: bytes) -> None:
    try:
        value = strict_json.loads(noise)
    except errors.Unparseable:
        return
    assert value == json.loads(noise)


def test_a_caller_may_widen_the_bounds() -> None:
    deep = b"[" * 100 + b"]" * 100
    assert strict_json.loads(deep, max_depth=100) is not None
    with pytest.raises(errors.Unparseable):
        strict_json.loads(b"[1,2,3]", max_nodes=2)
