"""The `k=v` of a command line as values: numbers, booleans, lists and objects are JSON, all else is text."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable

_FILE = "@"


def parse(option: str, words: Iterable[str]) -> dict[str, Any]:
    """One object from `k=v` and `@file.json`; later ones win. Raises InvalidInput, naming the option."""
    merged: dict[str, Any] = {}
    for word in words:
        merged |= _file(option, word[1:]) if word.startswith(_FILE) else _pair(option, word)
    return merged


def _pair(option: str, word: str) -> dict[str, Any]:
    name, equals, text = word.partition("=")
    if not name or not equals:
        raise InvalidInput(option, f"`{word}` is not name=value, as in seed=7, nor @file.json")
    return {name: _value(text)}


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    # Quoted text stays as it was typed, and JSON has no infinity to send.
    return text if value is None or isinstance(value, str) or _endless(value) else value


def _endless(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _file(option: str, name: str) -> dict[str, Any]:
    try:
        value = json.loads(Path(name).read_text("utf-8"))
    except OSError as error:
        raise InvalidInput(option, f"{name} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InvalidInput(option, f"{name} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidInput(option, f"{name} must hold a JSON object")
    return value
