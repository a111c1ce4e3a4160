"""Where files stand, as the contract spells it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.storage import layout

DEFAULT = "first"


@pytest.mark.parametrize(
    ("model", "slug"),
    [
        ("wavespeed-ai/instant-character", "wavespeed-ai_instant-character"),
        ("Upper/Case.V2", "upper_case.v2"),
        ("a//b \n c", "a_b_c"),
        ("naïve", "na_ve"),
        ("a_b", "a_b"),
        ("-", "-"),
        ("", "_"),
        (".", "_"),
        ("..", "_"),
        ("...", "..."),
        ("../../etc/passwd", ".._.._etc_passwd"),
        ("\x00", "_"),
        ("画像", "_"),
    ],
)
def test_a_slug_is_the_model_in_lower_case_with_runs_of_all_else_as_one_underscore(
    model: str, slug: str
) -> None:
    assert layout.slug(model) == slug


@given(st.text())
def test_whatever_a_model_is_called_its_slug_is_one_safe_name(model: str) -> None:
    slug = layout.slug(model)
    assert layout.checked(slug) == slug
    assert "/" not in slug
    assert len(slug) <= 200


@pytest.mark.parametrize(
    ("source", "folder"),
    [(DEFAULT, "a_b/2026/11/22/pred_1"), ("second", "second/a_b/2026/11/22/pred_1")],
)
def test_only_another_source_than_the_default_stands_in_front(source: str, folder: str) -> None:
    assert layout.folder(source, "a/b", "2026-11-22", "pred_1", default_source=DEFAULT) == folder


@pytest.mark.parametrize("id_", ["", ".", "..", "a/b", "a.b", "a b", "a\n", "é", "x" * 129])
def test_an_id_that_is_no_token_is_a_bug_of_the_caller(id_: str) -> None:
    with pytest.raises(ValueError, match="not a prediction id"):
        layout.folder(DEFAULT, "m", "2026-11-22", id_, default_source=DEFAULT)


@pytest.mark.parametrize("day", ["", "2026-11", "2026/11/22", "22-11-2026", "../../../x", "2026-11-22\n"])
def test_a_day_that_is_no_day_is_a_bug_of_the_caller(day: str) -> None:
    with pytest.raises(ValueError, match="not a day"):
        layout.folder(DEFAULT, "m", day, "id", default_source=DEFAULT)


@pytest.mark.parametrize("source", ["", ".", "..", "a/../b", "/a"])
def test_a_source_cannot_lead_out_of_the_root(source: str) -> None:
    with pytest.raises(ValueError, match="not a storage key"):
        layout.folder(source, "m", "2026-11-22", "id", default_source=DEFAULT)


def test_an_output_is_named_by_its_index_its_variant_and_its_type() -> None:
    assert layout.output_key("m/id", 0, "png") == "m/id/0.png"
    assert layout.output_key("m/id", 12, "mp4", "deadbeef") == "m/id/12.deadbeef.mp4"


@pytest.mark.parametrize(
    ("key", "other"),
    [
        ("m/id/0.png", "m/id/0.01234567.png"),
        ("m.v2/id/0.png", "m.v2/id/0.01234567.png"),
        ("m.v2/bare", "m.v2/bare.01234567"),
        ("0.png", "0.01234567.png"),
    ],
)
def test_other_bytes_for_a_taken_key_get_eight_digits_of_their_hash(key: str, other: str) -> None:
    assert layout.conflict_key(key, "0123456789abcdef") == other


@pytest.mark.parametrize(
    ("created_at", "received_at", "day"),
    [
        (None, 1_700_000_000.0, "2023-11-14"),
        (0.0, 1_700_000_000.0, "1970-01-01"),
        (1_700_006_399.999, 1.0, "2023-11-14"),
        (1_700_006_400.0, 1.0, "2023-11-15"),
        (1e18, 1_700_000_000.0, "2023-11-14"),
        (float("nan"), 1_700_000_000.0, "2023-11-14"),
        (float("-inf"), 1_700_000_000.0, "2023-11-14"),
    ],
)
def test_the_day_is_the_providers_in_utc_else_ours(
    created_at: float | None, received_at: float, day: str
) -> None:
    assert layout.day_of(created_at, received_at) == day


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/..",
        "a/./b",
        "a b",
        "a\\b",
        "a\x00",
        "a\n",
        "é",
        "a?b",
        "a%2e",
    ],
)
def test_an_unsafe_key_is_a_bug_of_the_caller(key: str) -> None:
    with pytest.raises(ValueError, match="not a storage key"):
        layout.checked(key)


@pytest.mark.parametrize("key", ["a", "a/b.c", ".tmp/x", "A-Z_0.9/...", "held/m/2026/11/22/id/0.png"])
def test_a_safe_key_comes_back_as_it_is(key: str) -> None:
    assert layout.checked(key) == key
