"""Secrets on their way in and out of a command: through stdin and files, never through arguments."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from service.errors import ConfigError, InvalidInput

_STDIN = Path("-")


def given(option: str, file: Path | None) -> str | None:
    """What stands in the file, or on stdin for `-`; None without a file. Raises InvalidInput."""
    if file is None:
        return None
    try:
        text = sys.stdin.read() if file == _STDIN else file.read_text("utf-8")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise InvalidInput(option, f"cannot read {file}: {why}") from None
    if not text.strip() or not all("!" <= letter <= "~" for letter in text.strip()):
        raise InvalidInput(option, "must hold one line of visible ASCII, the secret and nothing else")
    return text.strip()


def write_new(file: Path, secret: str) -> None:
    """A file that nobody else reads, and that was not there before. Raises ConfigError."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError(f"--write: {file} is there already; it stays as it is: name another") from None
    except OSError as error:
        raise ConfigError(f"--write: cannot write {file}: {error.strerror}") from None
    with os.fdopen(descriptor, "w") as opened:
        opened.write(f"{secret}\n")
