"""A file of predictions to submit, one JSON object a line; reading it finds what is wrong with any."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from service import wavespeed
from service.errors import InvalidInput
from service.given import check_key, check_metadata
from service.operator import DEFAULT_SOURCE, Submission

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_FIELDS = ("model", "input", "metadata", "key", "source")
_OPTION = "--from"


@dataclass(frozen=True, slots=True)
class Given:
    """What the command says of all lines; a line's own word goes before."""

    model: str | None = None
    source: str = DEFAULT_SOURCE
    batch: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    line: int
    """From 1, as an editor counts."""
    key: str
    """Its Idempotency-Key: the same for the same line of the same batch, however often the file is given."""
    submission: Submission


def read(lines: Iterable[str], given: Given) -> Iterator[Entry]:
    """Entries in their order; blank lines are none.

    A line without a key of its own gets one of what it says, of the batch, and of how many lines before it
    say the same: the file may grow, shrink and be sorted anew. Raises InvalidInput, which points at the line.
    """
    seen: Counter[str] = Counter()
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            fields = _object(text)
            submission = _submission(fields, given)
            key = fields.get("key")
            if key is None:
                digest = submission.digest()
                seen[digest] += 1
                key = f"batch-{given.batch}-{digest[:40]}-{seen[digest]}"
            check_key(key)
        except InvalidInput as error:
            raise InvalidInput(_OPTION, f"line {number}: {error}") from None
        yield Entry(number, key, submission)


def _object(text: str) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("line", f"is not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise InvalidInput("line", 'is no JSON object, as in {"model": "vendor/name", "input": {}}')
    if unknown := sorted(fields.keys() - set(_FIELDS)):
        raise InvalidInput(unknown[0], f"is not known; a line has {', '.join(_FIELDS)}")
    return fields


def _submission(fields: dict[str, Any], given: Given) -> Submission:
    named, source = fields.get("model", given.model), fields.get("source", given.source)
    if not isinstance(named, str):
        raise InvalidInput("model", "is missing; name it in the line, or as MODEL for all of them")
    inputs, metadata = fields.get("input", {}), fields.get("metadata") or {}
    if not isinstance(source, str):
        raise InvalidInput("source", "must be the name of a provider account")
    if not isinstance(inputs, dict):
        raise InvalidInput("input", "must be an object of the model's inputs")
    if not isinstance(metadata, dict):
        raise InvalidInput("metadata", "must be an object")
    wavespeed.validate(named, inputs)
    check_metadata(metadata)
    return Submission(named, inputs, metadata, source)
