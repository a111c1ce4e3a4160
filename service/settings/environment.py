"""The environment that a child process gets: ours, with some settings changed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_PREFIX = "CATCHLIGHT_"
SHARD = _PREFIX + "SHARD"
_UNPREFIXED = ("REDIS_URL", "WAVESPEED_API_KEY", "PORT")


def choose_shard(name: str) -> None:
    """As if it had been set: for this process and those that it starts."""
    os.environ[SHARD] = name


def child_environment(changes: Mapping[str, str], *, inherit: bool = True) -> dict[str, str]:
    """`changes` are settings by attribute name (`redis_url`); `inherit=False` starts from the defaults."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if inherit or not (name.startswith(_PREFIX) or name in _UNPREFIXED)
    }
    return kept | {_PREFIX + name.upper(): value for name, value in changes.items()}
