"""What is installed by hash, with and without each extra; `uv run python -m tests.locks` writes it."""

from __future__ import annotations

import re
import subprocess
import tomllib

from tests.house import ROOT

DEPLOY = ROOT / "deploy"
LOCK = DEPLOY / "requirements.lock"
_EXPORT = "uv export --quiet --no-default-groups --no-emit-project --no-header --format requirements-txt"


def extras() -> list[str]:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return sorted(told["project"]["optional-dependencies"])


def pins(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


def main() -> None:
    for extra in ("", *extras()):
        command = [*_EXPORT.split(), *(["--extra", extra] if extra else [])]
        text = subprocess.check_output(command, cwd=ROOT, text=True)
        (DEPLOY / f"requirements-{extra}.lock" if extra else LOCK).write_text(text)


if __name__ == "__main__":
    main()
