"""The words of a list's query, as in `stage:failed model:flux* id:abc* nsfw:flagged via:poll since:2h`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from service import clock
from service.durations import parse_duration
from service.errors import InvalidInput
from service.prediction import Nsfw, Stage, Via

if TYPE_CHECKING:
    from service.ledger.records import PredictionRecord

_NAMES = ("stage", "id", "model", "source", "nsfw", "via", "since")


@dataclass(frozen=True, slots=True)
class Query:
    """All words must hold. `id` and `model` are globs; `stage` has an index of its own."""

    stage: Stage | None = None
    id: str = "*"
    model: str = "*"
    source: str | None = None
    nsfw: Nsfw | None = None
    via: Via | None = None
    since: float | None = None
    """Seconds since the epoch."""

    @property
    def takes_all(self) -> bool:
        """Of what its index has."""
        return replace(self, stage=None) == Query()

    def matches(self, record: PredictionRecord) -> bool:
        return (
            fnmatchcase(record.ref.id, self.id)
            and fnmatchcase(record.model, self.model)
            and self.source in (None, record.ref.source)
            and (self.nsfw is None or self.nsfw in record.nsfw)
            and self.via in (None, record.via)
            and (self.since is None or record.known_at >= self.since)
        )


def parse(text: str, now: float) -> Query:
    """Raises InvalidInput that points at the word."""
    query: dict[str, object] = {}
    for word in text.split():
        name, colon, value = word.partition(":")
        if not colon or not value:
            raise InvalidInput("query", f"`{word}` is not name:value, as in stage:failed or model:flux*")
        if name in query:
            raise InvalidInput("query", f"`{word}` says {name} twice")
        query[name] = _value(word, name, value, now)
    return Query(**query)  # type: ignore[arg-type]  # _value checked every name and type


def _value(word: str, name: str, value: str, now: float) -> object:
    vocabularies = {"stage": Stage, "nsfw": Nsfw, "via": Via}
    if vocabulary := vocabularies.get(name):
        if value not in list(vocabulary):
            raise InvalidInput("query", f"`{word}`: {name} is one of {', '.join(vocabulary)}")
        return vocabulary(value)
    if name == "since":
        instant = clock.parse_rfc3339(value)
        if instant is not None:
            return instant
        try:
            return now - parse_duration(value)
        except ValueError as error:
            raise InvalidInput("query", f"`{word}`: {error}") from error
    if name in _NAMES:
        return value
    raise InvalidInput("query", f"`{word}`: there is no {name}; use {', '.join(_NAMES)}")
