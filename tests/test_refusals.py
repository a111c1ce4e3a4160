"""The words for why a callback is turned away, and the sentence that goes with each."""

from __future__ import annotations

import pytest

from service.refusals import RefusedFor, remedy
from service.settings import load


@pytest.mark.parametrize("reason", RefusedFor)
def test_every_reason_has_one_sentence_on_what_to_do(reason: RefusedFor) -> None:
    said = remedy(reason, ["/here", "/there"])
    assert 20 < len(said) < 160
    assert "{" not in said


def test_a_wrong_path_is_told_the_right_ones() -> None:
    assert "/here or /there" in remedy(RefusedFor.UNKNOWN_SOURCE, ["/here", "/there"])


def test_the_settings_that_are_named_exist() -> None:
    words = " ".join(remedy(reason, ["/here"]) for reason in RefusedFor).split()
    named = {word.strip(",.:;") for word in words if word.startswith("CATCHLIGHT_")}
    assert named == {"CATCHLIGHT_MAX_BODY", "CATCHLIGHT_WEBHOOK_SECRETS"}
    assert named <= {row.variable for row in load({}).describe()}


def test_of_a_word_that_only_a_newer_version_knows_nothing_is_said() -> None:
    assert remedy("melody", ["/here"]) == ""
