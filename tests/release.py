"""The release, tried: `uv run python -m tests.release` makes wheel and bill of materials, and runs the demo.

In an empty virtual environment of each Python that is at hand, from the wheel alone and the locked packages,
in an empty folder. What it makes lies in `dist/`; the checklist is "Release" in deploy/README.md.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from tests.house import ROOT

DIST = ROOT / "dist"
LOCK = ROOT / "deploy" / "requirements.lock"
OLDEST = (3, 11)


def run(*command: str | Path, cwd: Path = ROOT, timeout: float = 300) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def wheel(folder: Path) -> Path:
    run("uv", "build", "--quiet", "--wheel", "--out-dir", folder)
    (built,) = folder.glob("*.whl")
    return built


def lacking(built: Path) -> list[str]:
    """Files of the two packages that are not in it."""
    with zipfile.ZipFile(built) as archive:
        packed = set(archive.namelist())
    files = run("git", "ls-files", "service", "workers").splitlines()
    return [name for name in files if name not in packed]


def bill(target: Path) -> int:
    """CycloneDX, of what is locked; how many packages it names."""
    whole = json.loads(run("uv", "export", "--quiet", "--no-default-groups", "--format", "cyclonedx1.5"))
    for one in whole["components"]:
        # Where this machine would fetch it from is nobody's business.
        one.pop("externalReferences", None)
    target.write_text(json.dumps(whole, indent=1) + "\n")
    return len(whole["components"])


def pythons() -> list[str]:
    """One of each minor version from the oldest that we support: those that uv finds, and pyenv's."""
    listed = json.loads(run("uv", "python", "list", "--only-installed", "--output-format", "json"))
    found: dict[tuple[int, int], str] = {}
    for one in listed:
        version = (int(one["version_parts"]["major"]), int(one["version_parts"]["minor"]))
        if one["implementation"] == "cpython" and version >= OLDEST and one.get("path"):
            found.setdefault(version, one["path"])
    for path in sorted(Path.home().glob(".pyenv/versions/3.*/bin/python")):
        major, minor, *_ = path.parts[-3].split(".")
        if (int(major), int(minor)) >= OLDEST:
            found.setdefault((int(major), int(minor)), str(path))
    return [found[version] for version in sorted(found)]


def demo(python: str, built: Path) -> str:
    """What it said at its end, in an environment with nothing but the wheel and the lock."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run("uv", "venv", "--quiet", "--python", python, folder / "venv")
        install = ("uv", "pip", "install", "--quiet", "--python", folder / "venv")
        run(*install, "--require-hashes", "-r", LOCK)
        run(*install, "--no-deps", built)
        (folder / "empty").mkdir()
        ours = folder / "venv" / "bin" / "catchlight"
        run(ours, "--version", cwd=folder / "empty")
        return run(ours, "demo", "--once", "--json", "--events", "20", cwd=folder / "empty")


def main() -> None:
    shutil.rmtree(DIST, ignore_errors=True)
    built = wheel(DIST)
    if missing := lacking(built):
        raise SystemExit(f"{built.name} lacks {', '.join(missing)}")
    sys.stdout.write(f"{built.name}: whole\n")
    sys.stdout.write(f"catchlight.cdx.json: {bill(DIST / 'catchlight.cdx.json')} packages\n")
    for python in pythons():
        tally = json.loads(demo(python, built))
        version = re.sub(r"\D*([\d.]+)\D*", r"\1", run(python, "--version"))
        sys.stdout.write(f"Python {version}: demo lost {tally['lost']} of {tally['predictions']}\n")


if __name__ == "__main__":
    main()
