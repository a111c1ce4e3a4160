"""Catchlight as it is here, and as it was at a commit: checked out, in an environment of its own."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING, NamedTuple

from service.ledger import schema
from tests.house import ROOT

if TYPE_CHECKING:
    from pathlib import Path

_LOCK = "deploy/requirements.lock"
_PATIENCE = 300


class MissingError(Exception):
    """That version cannot be had here, and why."""


class Version(NamedTuple):
    name: str
    python: str
    """The interpreter that imports this version's code."""

    def command(self, *words: str) -> list[str]:
        return [self.python, "-P", "-m", "service.cli", *words]


HERE = Version("new", sys.executable)


def before() -> tuple[str, str]:
    """The commit to upgrade from when none is named, and why that one. Raises MissingError."""
    tags = _git("tag", "--merged", "HEAD", "--sort=-creatordate").split()
    head = _git("rev-parse", "HEAD").strip()
    released = [tag for tag in tags if _git("rev-parse", f"{tag}^{{commit}}").strip() != head]
    if released:
        return released[0], "the newest tag before this commit"
    pattern = f"^VERSION = {schema.VERSION}$"
    first = _git("log", "--format=%H", "--reverse", "-G", pattern, "--", "service/ledger/schema.py").split()
    if not first or _git("rev-parse", "--is-shallow-repository").strip() == "true":
        raise MissingError("no tag, and not the whole history: name a commit that is here")
    return first[0][:12], f"there is no tag; it is the first whose ledger is of version {schema.VERSION}"


def checked_out(ref: str, folder: Path) -> Version:
    """Its tree in `folder`, with what its own lock names installed beside it. Raises MissingError."""
    tree = subprocess.run(["git", "archive", ref], cwd=ROOT, capture_output=True, check=False)
    if tree.returncode:
        raise MissingError(tree.stderr.decode().strip())
    with tarfile.open(fileobj=io.BytesIO(tree.stdout)) as archive:
        archive.extractall(folder, filter="data")
    python = folder / ".venv" / "bin" / "python"
    _uv("venv", "--python", sys.executable, str(folder / ".venv"))
    install = ("pip", "install", "--python", str(python))
    _uv(*install, "--require-hashes", "-r", str(folder / _LOCK))
    _uv(*install, "--no-deps", str(folder))
    return Version("old", str(python))


def _git(*words: str) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise MissingError(f"git does not tell: {error}") from error
    return done.stdout


def _uv(*words: str) -> None:
    if shutil.which("uv") is None:
        raise MissingError("uv is not here, which installs that version")
    done = subprocess.run(
        ["uv", *words, "--quiet"], capture_output=True, text=True, timeout=_PATIENCE, check=False
    )
    if done.returncode:
        raise MissingError(f"uv {words[0]}: {done.stderr.strip()}")
