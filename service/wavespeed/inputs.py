"""What may be submitted: the model's name, and the inputs of the models whose rules we know."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from service import errors

_MODEL = re.compile(r"[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*")
_MAX_MODEL = 256
# A model's name is the path of its POST; these paths delete, list or upload instead.
_NOT_MODELS = frozenset({"balance", "media", "predictions", "webhook"})

_SIZE = re.compile(r"([1-9][0-9]{2,3})\*([1-9][0-9]{2,3})")
_SIDES = range(256, 1536 + 1)
_SEEDS = range(-1, 2147483647 + 1)


def validate(model: str, inputs: Mapping[str, Any]) -> None:
    """Raises InvalidInput with the field and its range. Unknown inputs and other models pass through."""
    check_model(model)
    for name, (required, check) in _RULES.get(model, {}).items():
        if name in inputs:
            check(name, inputs[name])
        elif required:
            raise errors.InvalidInput(name, "is required")


def check_model(model: str) -> None:
    """A name that is safe as a path below the provider's URL, else InvalidInput."""
    if len(model) > _MAX_MODEL or not _MODEL.fullmatch(model):
        raise errors.InvalidInput("model", "must be a path like vendor/name of A-Z a-z 0-9 . _ -")
    parts = model.split("/")
    if ".." in model or "." in parts:
        raise errors.InvalidInput("model", "must not hold . or .. as a step")
    if parts[0] in _NOT_MODELS:
        raise errors.InvalidInput("model", f"{parts[0]} is not a model")


def _prompt(name: str, value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise errors.InvalidInput(name, "must be a non-empty string")


def _image(name: str, value: object) -> None:
    if not isinstance(value, str) or not _is_web_url(value):
        raise errors.InvalidInput(name, "must be an http or https URL")


def _size(name: str, value: object) -> None:
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if not match or any(int(side) not in _SIDES for side in match.groups()):
        raise errors.InvalidInput(name, "must be W*H with 256 to 1536 for each, as in 1024*1024")


def _seed(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value not in _SEEDS:
        raise errors.InvalidInput(name, "must be an integer from -1 to 2147483647")


def _is_web_url(text: str) -> bool:
    if any(char.isspace() for char in text):
        return False
    try:
        url = urlsplit(text)
        return url.scheme in {"http", "https"} and bool(url.hostname)
    except ValueError:
        return False


_Rule = tuple[bool, Callable[[str, object], None]]
_RULES: dict[str, dict[str, _Rule]] = {
    "wavespeed-ai/instant-character": {
        "prompt": (True, _prompt),
        "image": (True, _image),
        "size": (False, _size),
        "seed": (False, _seed),
    },
}
