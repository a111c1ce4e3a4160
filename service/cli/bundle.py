"""What somebody who helps needs to know, in one file: checks, settings, versions, metrics; and no secret."""

from __future__ import annotations

import asyncio
import io
import json
import os
import platform
import tarfile
from importlib.metadata import distributions
from typing import TYPE_CHECKING, Any

from service import clock
from service.cli import sharded
from service.cli.context import ledger_of
from service.errors import ConfigError, LedgerDown
from service.metrics.exposition import exposition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from service.ledger.durability import Finding
    from service.settings import Settings

_PACKAGES = ("catchlight", "redis", "rq", "starlette", "uvicorn", "httpx", "aiohttp", "obstore", "pydantic")


def write(target: Path, settings: Settings, found: Sequence[Finding]) -> list[str]:
    """The names of what is in it. Only its owner may read it. Raises FileExistsError, OSError."""
    parts = {
        "doctor.json": _json([one._asdict() for one in found]),
        "settings.json": _json([row._asdict() for row in settings.describe()]),
        "versions.json": _json(_versions()),
    }
    for one in sharded.each(settings):
        parts[sharded.labelled(one, "metrics.txt")] = asyncio.run(_metrics(one))
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        _pack(file, parts)
    return list(parts)


def _pack(file: Any, parts: Mapping[str, bytes]) -> None:
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in parts.items():
            entry = tarfile.TarInfo(f"catchlight/{name}")
            entry.size, entry.mtime, entry.mode = len(content), int(clock.now()), 0o600
            archive.addfile(entry, io.BytesIO(content))


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode()


def _versions() -> dict[str, str]:
    installed = {one.name.lower(): one.version for one in distributions()}
    ours = {name: installed[name] for name in _PACKAGES if name in installed}
    return {"python": platform.python_version(), "system": platform.platform()} | ours


async def _metrics(settings: Settings) -> bytes:
    """Without ids and payloads: what they count is all that leaves this machine."""
    try:
        async with ledger_of(settings) as ledger:
            return exposition(await ledger.measuring.measured([hook.name for hook in settings.hooks]))
    except (LedgerDown, ConfigError):
        return exposition(None)
