"""Spans of time as they are told."""

from __future__ import annotations

import pytest

from service.telling.spans import ago, span


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0.0 s"),
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.99, "10.0 s"),
        (42, "42 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7_199, "120 min"),
        (7_200, "2 h"),
        (172_800, "2 d"),
    ],
)
def test_a_span_is_told_as_a_person_would(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_what_never_was_is_not_ago() -> None:
    assert ago(None, 100) is None
    assert ago(88, 100) == "12 s ago"
