"""Fail closed: every shape of flags against every number of outputs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.moderation import MISSING, Action, Override, Policy, classify, strictest
from service.prediction import Nsfw

LETTERS = {"c": Nsfw.CLEAN, "f": Nsfw.FLAGGED, "u": Nsfw.UNKNOWN}


def classes(letters: str) -> tuple[Nsfw, ...]:
    return tuple(LETTERS[letter] for letter in letters)


# What the provider said, and the class of each output when there are 0, 1, 2, 3 and 4 of them.
MATRIX: list[tuple[object, str]] = [
    (MISSING, "- u uu uuu uuuu"),
    (None, "- u uu uuu uuuu"),
    ([], "- u uu uuu uuuu"),
    ([False], "- c uu uuu uuuu"),
    ([True], "- f fu fuu fuuu"),
    ([False, False], "- u cc uuu uuuu"),
    ([True, False], "- f fc fuu fuuu"),
    ([False, True], "- u cf ufu ufuu"),
    ([True, True], "- f ff ffu ffuu"),
    ([False, False, False], "- u uu ccc uuuu"),
    ([False, False, True], "- u uu ccf uufu"),
    ([True, False, True], "- f fu fcf fufu"),
    ([False, False, False, False], "- u uu uuu cccc"),
    ([False, None, False, True], "- u uu uuu cucf"),
    (["false", "false"], "- u uu uuu uuuu"),
    (["true"], "- u uu uuu uuuu"),
    ([0, 0, 0], "- u uu uuu uuuu"),
    ([1], "- u uu uuu uuuu"),
    ([[False], {"nsfw": False}], "- u uu uuu uuuu"),
    (True, "- f ff fff ffff"),
    (False, "- u uu uuu uuuu"),
    ("false", "- u uu uuu uuuu"),
    (0, "- u uu uuu uuuu"),
    ({"0": False}, "- u uu uuu uuuu"),
]


def cells() -> list[Any]:
    return [
        pytest.param(flags, count, row.split()[count].replace("-", ""), id=f"{flags!r}-of-{count}")
        for flags, row in MATRIX
        for count in range(5)
    ]


@pytest.mark.parametrize(("flags", "count", "expected"), cells())
def test_each_output_gets_the_class_that_was_said_of_it(flags: object, count: int, expected: str) -> None:
    assert classify(flags, count) == classes(expected)


def test_the_matrix_has_its_120_cases() -> None:
    assert len(cells()) == 120


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)
flag_lists: st.SearchStrategy[list[Any]] = st.lists(
    st.booleans() | st.sampled_from([None, 0, 1, 0.0, "false", "true", []]), max_size=6
)


@given(anything | flag_lists, st.integers(0, 6))
def test_clean_needs_an_explicit_false_in_a_list_that_fits(flags: object, count: int) -> None:
    for index, nsfw in enumerate(classify(flags, count)):
        if nsfw is Nsfw.CLEAN:
            assert isinstance(flags, list)
            assert len(flags) == count
            assert flags[index] is False


@given(flag_lists, st.integers(0, 6))
def test_an_explicit_true_is_flagged_in_a_list_of_any_length(flags: list[object], count: int) -> None:
    found = classify(flags, count)
    assert [n is Nsfw.FLAGGED for n in found] == [i < len(flags) and flags[i] is True for i in range(count)]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("", "", ""),
        ("c", "c", "c"),
        ("c", "u", "u"),
        ("u", "c", "u"),
        ("u", "f", "f"),
        ("f", "c", "f"),
        ("cuf", "fuc", "fuf"),
        ("c", "", "c"),
        ("", "cf", "cf"),
        ("cc", "u", "uc"),
        ("f", "cuc", "fuc"),
    ],
)
def test_the_strictest_of_two_answers_wins_index_by_index(a: str, b: str, expected: str) -> None:
    assert strictest(classes(a), classes(b)) == classes(expected)


answers = st.lists(st.sampled_from(Nsfw), max_size=5).map(tuple)


@given(answers, answers, answers)
def test_the_order_and_number_of_duplicates_do_not_matter(
    a: tuple[Nsfw, ...], b: tuple[Nsfw, ...], c: tuple[Nsfw, ...]
) -> None:
    assert strictest(a, b) == strictest(b, a)
    assert strictest(strictest(a, b), c) == strictest(a, strictest(b, c))
    assert strictest(a, a) == a


def test_the_default_policy_releases_only_what_is_clean() -> None:
    actions = {nsfw: Policy().action("any/model", nsfw) for nsfw in Nsfw}
    assert actions == {Nsfw.CLEAN: Action.RELEASE, Nsfw.UNKNOWN: Action.HOLD, Nsfw.FLAGGED: Action.HOLD}


@pytest.mark.parametrize(
    ("model", "nsfw", "expected"),
    [
        ("vendor/art/nude", Nsfw.FLAGGED, Action.RELEASE),
        ("vendor/art/nude", Nsfw.UNKNOWN, Action.DROP),
        ("vendor/art/nude", Nsfw.CLEAN, Action.RELEASE),
        ("vendor/photo", Nsfw.FLAGGED, Action.DROP),
        ("VENDOR/photo", Nsfw.FLAGGED, Action.HOLD),
        ("other", Nsfw.CLEAN, Action.RELEASE),
        ("", Nsfw.UNKNOWN, Action.HOLD),
    ],
)
def test_the_first_override_that_names_the_class_decides(model: str, nsfw: Nsfw, expected: Action) -> None:
    policy = Policy(
        overrides=(
            Override("vendor/art/*", flagged=Action.RELEASE),
            Override("vendor/*", flagged=Action.DROP, unknown=Action.DROP),
            Override("vendor/*", clean=Action.RELEASE, unknown=Action.RELEASE),
        )
    )
    assert policy.action(model, nsfw) is expected


@given(st.text(max_size=20), st.text(max_size=10))
def test_an_empty_override_changes_nothing(model: str, glob: str) -> None:
    for nsfw in Nsfw:
        assert Policy(overrides=(Override(glob),)).action(model, nsfw) is Policy().action(model, nsfw)


def test_missing_is_told_apart_from_null_where_it_is_shown() -> None:
    assert repr(MISSING) == "MISSING"
    with pytest.raises(TypeError):
        json.dumps(MISSING)


def test_a_policy_says_on_one_line_what_is_in_force() -> None:
    strict = Override("acme/*", flagged=Action.DROP)
    assert str(Policy()) == "clean release, flagged hold, unknown hold"
    assert str(Policy(overrides=(strict,))) == f"{Policy()}; acme/*: flagged drop"
