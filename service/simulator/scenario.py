"""What can happen to one prediction at the simulated provider, and how often."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Self

from service.prediction import Stage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random


class Scenario(StrEnum):
    """One story per prediction; submit with the input `simulate` to choose it."""

    description: str

    def __new__(cls, value: str, description: str = "") -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.description = description
        return member

    CLEAN = "clean", "One output, flagged as safe, announced by one callback."
    MULTI = "multi", "Two to four safe outputs."
    FLAGGED = "flagged", "One or two outputs, the first flagged as NSFW."
    UNKNOWN = "unknown", "Completed with has_nsfw_contents null."
    EMPTY_FLAGS = "empty_flags", "Completed with has_nsfw_contents empty."
    FAILED = "failed", "The provider's task failed."
    MODERATION = "moderation", "Failed with code 1200: the provider's content moderation."
    CANCELLED = "cancelled", "Cancelled at the provider."
    DUPLICATE = "duplicate", "The same callback two or three times."
    LOST = "lost", "The callback is never sent; only polling finds the completion."
    LATE = "late", "A genuine callback whose timestamp is older than the tolerance of 300 s."
    OUT_OF_ORDER = "out_of_order", "A `processing` callback arrives after the `completed` one."
    SLOW = "slow", "The CDN stalls in the first download, then drips."
    FLAKY = "flaky", "The CDN answers 503 the first few times."
    TRUNCATED = "truncated", "The first download breaks off half way."
    EXPIRED = "expired", "The CDN has already deleted the outputs: 404 or 410, always."
    OBJECT = "object", "Outputs are objects that hold a url."
    TEXT = "text", "The output is plain text, as from a language model."
    CLASSIFIER = "classifier", "Outputs are objects without a url."
    EMPTY = "empty", "Completed, and the list of outputs is empty."
    FORGED = (
        "forged",
        "A callback with a wrong signature says `failed` before the genuine one says `completed`.",
    )

    @property
    def stage(self) -> Stage:
        """Where the prediction must end with whoever handles it right."""
        return _STAGES.get(self, Stage.DONE)


_STAGES = {
    Scenario.FAILED: Stage.FAILED,
    Scenario.MODERATION: Stage.FAILED,
    Scenario.CANCELLED: Stage.FAILED,
    Scenario.EXPIRED: Stage.EXPIRED,
}

DEMO_MIX: Mapping[Scenario, float] = {
    Scenario.CLEAN: 40,
    Scenario.MULTI: 10,
    Scenario.FLAGGED: 6,
    Scenario.UNKNOWN: 5,
    Scenario.FAILED: 4,
    Scenario.DUPLICATE: 6,
    Scenario.LOST: 5,
    Scenario.SLOW: 2,
    Scenario.FORGED: 4,
    Scenario.EXPIRED: 2,
    Scenario.FLAKY: 3,
    Scenario.TRUNCATED: 3,
    Scenario.LATE: 3,
    Scenario.OUT_OF_ORDER: 3,
    Scenario.MODERATION: 2,
    Scenario.CANCELLED: 2,
    Scenario.OBJECT: 2,
    Scenario.TEXT: 2,
    Scenario.CLASSIFIER: 1,
    Scenario.EMPTY: 1,
    Scenario.EMPTY_FLAGS: 1,
}
"""Weights, in the order in which a small demo takes them."""


def draw(rng: Random, mix: Mapping[Scenario, float]) -> Scenario:
    return rng.choices(list(mix), weights=list(mix.values()))[0]
