"""The query language of every list, one for command line and API: `stage:failed model:flux* since:2h`.

`WORDS` is its documentation; the README's table is made from it. A value is matched exactly, or by its
beginning when it ends in `*`.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from service import clock
from service.durations import parse_duration
from service.errors import InvalidInput
from service.hooks.troubles import trouble
from service.prediction import Nsfw, Stage, Via

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.ledger.delivery import DeliveryRecord
    from service.ledger.records import PredictionRecord

Found = TypeVar("Found", "Query", "DeliveryQuery")

ALL = "*"
META = "meta."
STATES = ("pending", "delivered", "dead")
_TOLD = re.compile(r"\w+")


class Word(NamedTuple):
    name: str
    example: str
    meaning: str
    predictions: bool = True
    """Is it a word of the list of predictions?"""
    deliveries: bool = False


WORDS = (
    Word("stage", "stage:failed", f"in this stage: {', '.join(Stage)}"),
    Word("id", "id:3f9a*", "with this id, of the prediction or the delivery", deliveries=True),
    Word("model", "model:vendor/flux*", "of this model"),
    Word("source", "source:main", "of this provider account"),
    Word("nsfw", "nsfw:flagged", f"with an output of this class: {', '.join(Nsfw)}"),
    Word("via", "via:poll", f"whose completion came so: {', '.join(Via)}"),
    Word("err", "err:timeout", "whose reason or error has this word", deliveries=True),
    Word("hook", "hook:crm", "with a delivery for this hook, or for it", deliveries=True),
    Word("meta.KEY", "meta.user:42", "whose metadata has this value under this key"),
    Word("state", "state:dead", f"in this state: {', '.join(STATES)}", predictions=False, deliveries=True),
    Word("event", "event:prediction.*", "that tell this kind of event", predictions=False, deliveries=True),
    Word("since", "since:2h", "not older than this; or from an instant on (RFC 3339)", deliveries=True),
    Word("until", "until:2026-11-28T12:00:00Z", "not newer than that", deliveries=True),
)
"""All words of a query must hold. Ages count from when the ledger first heard of a prediction, and from when
a delivery was made."""


@dataclass(frozen=True, slots=True)
class Query:
    """Of predictions. A text is a pattern; instants are seconds since the epoch."""

    stage: Stage | None = None
    id: str = ALL
    model: str = ALL
    source: str = ALL
    nsfw: Nsfw | None = None
    via: Via | None = None
    since: float | None = None
    until: float | None = None
    err: str = ALL
    hook: str = ALL
    meta: tuple[tuple[str, str], ...] = ()

    @property
    def takes_all(self) -> bool:
        """Of what its index has."""
        return replace(self, stage=None) == Query()

    def matches(self, record: PredictionRecord) -> bool:
        """But for its stage, which has an index of its own, and its hooks, which stand elsewhere."""
        return (
            fits(self.id, record.ref.id)
            and fits(self.model, record.model)
            and fits(self.source, record.ref.source)
            and (self.nsfw is None or self.nsfw in record.nsfw)
            and self.via in (None, record.via)
            and _within(record.heard_at, self.since, self.until)
            and (self.err == ALL or _says(self.err, _errors(record)))
            and all(fits(wanted, _as_text(record.metadata.get(key))) for key, wanted in self.meta)
        )


@dataclass(frozen=True, slots=True)
class DeliveryQuery:
    """Of deliveries."""

    id: str = ALL
    hook: str = ALL
    state: str | None = None
    event: str = ALL
    err: str = ALL
    since: float | None = None
    until: float | None = None

    @property
    def takes_all(self) -> bool:
        return self == DeliveryQuery()

    def matches(self, delivery: DeliveryRecord) -> bool:
        return (
            fits(self.id, delivery.id)
            and fits(self.hook, delivery.hook)
            and self.state in (None, delivery.state)
            and fits(self.event, delivery.event)
            and _within(delivery.created_at or 0.0, self.since, self.until)
            and (self.err == ALL or _says(self.err, _troubles(delivery)))
        )


EVERY_DELIVERY = DeliveryQuery()


def parse(text: str, now: float) -> Query:
    """A query of predictions. Raises InvalidInput that points at the word."""
    return _parsed(Query, {word.name for word in WORDS if word.predictions}, text, now)


def parse_deliveries(text: str, now: float) -> DeliveryQuery:
    """A query of deliveries. Raises InvalidInput that points at the word."""
    return _parsed(DeliveryQuery, {word.name for word in WORDS if word.deliveries}, text, now)


def fits(pattern: str, text: str | None) -> bool:
    """Exactly, or by the beginning. Nothing fits where there is nothing, but for the pattern of all."""
    if text is None:
        return False
    return text.startswith(pattern[:-1]) if pattern.endswith(ALL) else text == pattern


def _parsed(kind: type[Found], known: set[str], text: str, now: float) -> Found:
    found: dict[str, Any] = {}
    seen = set()
    for word in text.split():
        name, colon, value = word.partition(":")
        if not colon or not value:
            raise InvalidInput("query", f"`{word}` is not name:value, as in {_example(known)}")
        if name in seen:
            raise InvalidInput("query", f"`{word}` says {name} twice")
        seen.add(name)
        if name.startswith(META) and name != META and "meta.KEY" in known:
            found["meta"] = (*found.get("meta", ()), (name.removeprefix(META), _pattern(word, value)))
        elif name in known and name in {field.name for field in fields(kind)}:
            found[name] = _value(word, name, value, now)
        else:
            use = ", ".join(word.name for word in WORDS if word.name in known)
            meant = f"write {name.lower()}:{value}" if name.lower() in known else f"use {use}"
            raise InvalidInput("query", f"`{word}`: there is no {name}; {meant}")
    if (found.get("since") or 0.0) > (found.get("until") or math.inf):
        since, until = (_word(text, name) for name in ("since", "until"))
        raise InvalidInput(
            "query", f"`{since} {until}` ends before it begins: since: takes the older of the two"
        )
    return kind(**found)


def _word(text: str, name: str) -> str:
    return next(word for word in text.split() if word.startswith(f"{name}:"))


def _example(known: set[str]) -> str:
    return " or ".join([word.example for word in WORDS if word.name in known][:2])


def _value(word: str, name: str, value: str, now: float) -> object:
    if name in ("since", "until"):
        return _instant(word, name, value, now)
    vocabularies: dict[str, Iterable[str]] = {"stage": Stage, "nsfw": Nsfw, "via": Via, "state": STATES}
    if vocabulary := vocabularies.get(name):
        for one in vocabulary:
            if one == value:
                return one
        meant = f"; write {name}:{value.lower()}" if value.lower() in list(vocabulary) else ""
        raise InvalidInput("query", f"`{word}`: {name} is one of {', '.join(vocabulary)}{meant}")
    return _pattern(word, value)


def _pattern(word: str, value: str) -> str:
    if ALL in value[:-1]:
        raise InvalidInput("query", f"`{word}`: a * stands at the end only, for whatever begins so")
    return value


def _instant(word: str, name: str, value: str, now: float) -> float:
    instant = clock.parse_rfc3339(value)
    if instant is not None:
        return instant
    try:
        return now - parse_duration(value)
    except ValueError as error:
        instant_form = f"or an instant, as in {name}:2026-11-28T12:00:00Z (RFC 3339)"
        raise InvalidInput("query", f"`{word}`: {error}; {instant_form}") from error


def _within(at: float, since: float | None, until: float | None) -> bool:
    return (since is None or at >= since) and (until is None or at <= until)


def _errors(record: PredictionRecord) -> list[str]:
    of_outputs = [str(output.get("error") or "") for output in record.outputs]
    return [record.reason or "", record.error or "", record.said_error, *of_outputs]


def _troubles(delivery: DeliveryRecord) -> list[str]:
    """Its error, and the word by which attempts are counted."""
    return [delivery.error or "", trouble(delivery.last_status, delivery.error)]


def _says(pattern: str, texts: Iterable[str]) -> bool:
    """As a whole, or one of its words, whatever their case."""
    wanted = pattern.lower()
    lower = [text.lower() for text in texts if text]
    return any(fits(wanted, said) for text in lower for said in (text, *_TOLD.findall(text)))


def _as_text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
