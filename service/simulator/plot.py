"""What a scenario means for one prediction: how it ends, which callbacks go out, what the CDN answers.

All of it follows from (scenario, id, model, base address): a triggered prediction needs no record beforehand.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import TYPE_CHECKING, Any

from service.simulator.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Sequence

IMAGE_MODEL = "wavespeed-ai/instant-character"
PLAIN_MODEL = "wavespeed-ai/flux-dev"
VIDEO_MODEL = "wavespeed-ai/wan-2.1/t2v-480p"
TEXT_MODEL = "wavespeed-ai/any-llm"

STALE_BY = 900.0
"""Seconds by which a late callback's timestamp lies in the past; the provider's documents allow 300."""

_VIDEO = re.compile(r"video|[ti]2v|wan-|kling|veo|hailuo")
_LANGUAGE = re.compile(r"llm|caption|text-to-text|translate")
_SENTENCES = (
    "A lighthouse keeps its own hours.",
    "The tide answers in its own time.",
    "Nothing is lost at sea.",
)


class Kind(StrEnum):
    """What a callback is, seen from the one who sent it."""

    GENUINE = "genuine"
    DUPLICATE = "duplicate"
    FORGED = "forged"
    STALE = "stale"
    OUT_OF_ORDER = "out_of_order"


@dataclass(frozen=True, slots=True)
class Letter:
    """One callback to send: not yet signed, for each try takes a fresh timestamp."""

    kind: Kind
    message: str
    """The `webhook-id`, equal over all tries."""
    changes: dict[str, Any] = field(default_factory=dict)
    """Fields in which its body differs from the finished prediction."""
    age: float = 0.0
    """Seconds by which its timestamp lies in the past."""


@dataclass(frozen=True, slots=True)
class Ending:
    """A finished prediction."""

    status: str = "completed"
    outputs: tuple[Any, ...] = ()
    nsfw: list[bool] | None = field(default_factory=list)
    error: str | None = ""
    code: int | None = None
    files: tuple[str, ...] = ()
    """Extension of the file behind each output, in order; empty where the outputs are no files."""


def ending(scenario: Scenario, id_: str, model: str, base_url: str, wanted: str = "") -> Ending:
    """`wanted` is the caller's output_format; without it the kind of image is drawn."""
    if failure := _FAILURES.get(scenario):
        return failure
    rng = Random(id_)
    if scenario is Scenario.EMPTY:
        return Ending()
    if scenario is Scenario.CLASSIFIER:
        label = {"label": rng.choice(("portrait", "landscape", "drawing")), "score": 0.97}
        return Ending(outputs=(label, {"label": "photo", "score": 0.02}), nsfw=[False, False])
    if scenario is Scenario.TEXT or _LANGUAGE.search(model):
        return Ending(outputs=(rng.choice(_SENTENCES),), nsfw=_flags(scenario, 1))
    files = tuple(_extension(model, wanted, rng) for _ in range(_count(scenario, rng)))
    urls = [_address(base_url, id_, index, extension, rng) for index, extension in enumerate(files)]
    outputs: Sequence[Any] = [{"url": url} for url in urls] if scenario is Scenario.OBJECT else urls
    return Ending(outputs=tuple(outputs), nsfw=_flags(scenario, len(files)), files=files)


_FAILURES = {
    Scenario.FAILED: Ending(status="failed", error="task failed: the model ran out of memory", code=1403),
    Scenario.MODERATION: Ending(
        status="failed", error="content moderation: the input was refused", code=1200
    ),
    Scenario.CANCELLED: Ending(status="cancelled", error=None, nsfw=None),
}


def _count(scenario: Scenario, rng: Random) -> int:
    if scenario is Scenario.MULTI:
        return rng.randint(2, 4)
    return rng.randint(1, 2) if scenario is Scenario.FLAGGED else 1


def _flags(scenario: Scenario, outputs: int) -> list[bool] | None:
    if scenario is Scenario.UNKNOWN:
        return None
    if scenario is Scenario.EMPTY_FLAGS:
        return []
    return [scenario is Scenario.FLAGGED and index == 0 for index in range(outputs)]


def _extension(model: str, wanted: str, rng: Random) -> str:
    if _VIDEO.search(model):
        return "mp4"
    wanted = wanted.replace("jpeg", "jpg")
    return wanted if wanted in ("png", "jpg", "webp") else rng.choice(("png", "jpg", "jpg", "webp"))


def _address(base_url: str, id_: str, index: int, extension: str, rng: Random) -> str:
    """Some of the provider's URLs have no extension, so one in six of ours has none."""
    suffix = "" if rng.random() < 1 / 6 else f".{extension}"
    return f"{base_url}/cdn/{id_}/{index}{suffix}"


def letters(scenario: Scenario, id_: str) -> list[Letter]:
    """The callbacks of one prediction in the order in which they go out."""
    first = Letter(Kind.GENUINE, _message(id_, 0))
    match scenario:
        case Scenario.LOST:
            return []
        case Scenario.LATE:
            return [Letter(Kind.STALE, first.message, age=STALE_BY)]
        case Scenario.DUPLICATE:
            # Whether a duplicate keeps its webhook-id is not documented: the first does, the second does not.
            copies = [Letter(Kind.DUPLICATE, first.message), Letter(Kind.DUPLICATE, _message(id_, 1))]
            return [first, *copies[: Random(id_).randint(1, 2)]]
        case Scenario.OUT_OF_ORDER:
            early = {"status": "processing", "outputs": [], "has_nsfw_contents": []}
            return [first, Letter(Kind.OUT_OF_ORDER, _message(id_, 1), early)]
        case Scenario.FORGED:
            lie = {"status": "failed", "outputs": [], "has_nsfw_contents": [], "error": "forged"}
            return [Letter(Kind.FORGED, _message(id_, 1), lie), first]
        case _:
            return [first]


def _message(id_: str, number: int) -> str:
    return "wh_" + hashlib.sha256(f"{id_}:{number}".encode()).hexdigest()[:24]


class Cdn(StrEnum):
    """What the CDN does with one download."""

    WHOLE = "whole"
    DRIP = "drip"
    CUT = "cut"
    BUSY = "busy"
    GONE = "gone"
    MISSING = "missing"


def download(scenario: Scenario, earlier: int, flaky_times: int) -> Cdn:
    """`earlier` counts the downloads of the same output before this one."""
    match scenario:
        case Scenario.EXPIRED:
            # Which of the two the provider answers for a deleted output is not known.
            return Cdn.MISSING if earlier % 2 else Cdn.GONE
        case Scenario.FLAKY if earlier < flaky_times:
            return Cdn.BUSY
        case Scenario.TRUNCATED if earlier == 0:
            return Cdn.CUT
        case Scenario.SLOW if earlier == 0:
            return Cdn.DRIP
        case _:
            return Cdn.WHOLE


_TRIGGERED = re.compile(r"trigger-([a-z_]+)-[0-9a-f]{16}", re.ASCII)


def triggered_id(scenario: Scenario, token: str) -> str:
    """An id that names its scenario, so that a simulator which never saw its submit can still play it."""
    return f"trigger-{scenario}-{hashlib.sha256(token.encode()).hexdigest()[:16]}"


def triggered_scenario(id_: str) -> Scenario | None:
    match = _TRIGGERED.fullmatch(id_)
    return Scenario(match[1]) if match and match[1] in list(Scenario) else None
