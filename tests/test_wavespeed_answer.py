"""What an answer means, without a listener."""

from __future__ import annotations

import pytest

from service.wavespeed.answer import Kind, read, retry_after


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (200, b'{"code":200,"data":{}}', Kind.OK, 200),
        (201, b'{"data":{}}', Kind.OK, 201),
        (200, b'{"code":null,"data":{}}', Kind.OK, 200),
        (200, b'{"code":true,"data":{}}', Kind.OK, 200),
        (200, b'{"code":0,"data":{}}', Kind.REFUSED, 200),
        (200, b'{"code":599}', Kind.BROKEN, 599),
        (200, b'{"code":1404}', Kind.REFUSED, 1404),
        (400, b'{"code":500}', Kind.REFUSED, 400),
        (500, b'{"code":400}', Kind.BROKEN, 500),
        (429, b"", Kind.BUSY, 429),
        (304, b"", Kind.REFUSED, 304),
        (204, b"", Kind.BROKEN, 204),
    ],
)
def test_the_http_status_speaks_first_and_the_envelope_second(
    status: int, body: bytes, kind: Kind, code: int
) -> None:
    found = read(status, body)
    assert (found.kind, found.code) == (kind, code)
    assert bool(found.message) is (kind is not Kind.OK)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0),
        (" 120 ", 120),
        ("-5", None),
        ("soon", None),
        ("1.5", None),
        ("9" * 5000, 999999999),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60),
        ("Tue, 14 Nov 2023 22:14:20 -0000", 60),
        ("Tue, 14 Nov 2023 22:13:00 GMT", 0),
        ("Tue, 99 Nov 2023 22:13:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, 1_700_000_000) == seconds
