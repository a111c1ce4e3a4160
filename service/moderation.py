"""Moderation, fail closed: what a provider's NSFW flags say of each output, and what policy does about it.

Clean needs an explicit false in a list that fits; whatever is not said outright is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from service.prediction import Nsfw

if TYPE_CHECKING:
    from collections.abc import Mapping


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()
"""Stands for a field that is not there, which a provider's null is not."""


def classify(flags: object, count: int) -> tuple[Nsfw, ...]:
    """One class for each of `count` outputs, from `flags` exactly as the provider sent them."""
    if flags is True:
        return (Nsfw.FLAGGED,) * count
    if not isinstance(flags, list):
        return (Nsfw.UNKNOWN,) * count
    fits = len(flags) == count
    return tuple(_class(flags[i] if i < len(flags) else MISSING, fits) for i in range(count))


def _class(flag: object, fits: bool) -> Nsfw:
    # By identity: 0 == False and 1 == True, and neither is a word about NSFW.
    if flag is True:
        return Nsfw.FLAGGED
    if flag is False and fits:
        return Nsfw.CLEAN
    return Nsfw.UNKNOWN


def strictest(a: tuple[Nsfw, ...], b: tuple[Nsfw, ...]) -> tuple[Nsfw, ...]:
    """Two answers about one prediction, index by index; where only one speaks, its word stands."""
    return tuple(
        max((n for n in pair if n is not None), key=lambda n: n.strictness) for pair in zip_longest(a, b)
    )


class Action(StrEnum):
    """What happens to an output of some class."""

    RELEASE = "release"
    HOLD = "hold"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Override:
    """Other actions for the models that a glob matches; None leaves that class to the rows below."""

    model: str
    clean: Action | None = None
    flagged: Action | None = None
    unknown: Action | None = None

    def action(self, nsfw: Nsfw) -> Action | None:
        return {Nsfw.CLEAN: self.clean, Nsfw.FLAGGED: self.flagged, Nsfw.UNKNOWN: self.unknown}[nsfw]


@dataclass(frozen=True, slots=True)
class Rules:
    """Other actions for a source; None leaves that class to the policy of all."""

    clean: Action | None = None
    flagged: Action | None = None
    unknown: Action | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """The action for each class, and the overrides in their order."""

    clean: Action = Action.RELEASE
    flagged: Action = Action.HOLD
    unknown: Action = Action.HOLD
    overrides: tuple[Override, ...] = ()
    of_sources: Mapping[str, Rules] = field(default_factory=dict)

    def of(self, source: str) -> Policy:
        """What is in force for a source: its own words in the place of ours, behind those for models."""
        rules = self.of_sources.get(source)
        if rules is None:
            return self
        return replace(
            self,
            clean=rules.clean or self.clean,
            flagged=rules.flagged or self.flagged,
            unknown=rules.unknown or self.unknown,
        )

    def action(self, model: str, nsfw: Nsfw) -> Action:
        """Of the first override that matches the model and names the class, else the policy's own."""
        for override in self.overrides:
            if fnmatchcase(model, override.model) and (action := override.action(nsfw)):
                return action
        return {Nsfw.CLEAN: self.clean, Nsfw.FLAGGED: self.flagged, Nsfw.UNKNOWN: self.unknown}[nsfw]

    def __str__(self) -> str:
        """On one line, as the settings have it: for whoever asks later what was in force."""
        rules = [_rules(self.clean, self.flagged, self.unknown)]
        rules += [
            f"source {name}: {_rules(one.clean, one.flagged, one.unknown)}"
            for name, one in self.of_sources.items()
        ]
        rules += [f"{one.model}: {_rules(one.clean, one.flagged, one.unknown)}" for one in self.overrides]
        return "; ".join(rules)


def _rules(clean: Action | None, flagged: Action | None, unknown: Action | None) -> str:
    actions = {Nsfw.CLEAN: clean, Nsfw.FLAGGED: flagged, Nsfw.UNKNOWN: unknown}
    return ", ".join(f"{nsfw} {action}" for nsfw, action in actions.items() if action)
