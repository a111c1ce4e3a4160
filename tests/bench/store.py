"""Files kept: in a directory, against the plainest durable way to write; in a bucket, against what it takes.

The bucket is a real S3 server on loopback (SeaweedFS), and two clients that are not ours show how fast it is.
"""

from __future__ import annotations

import functools
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests import seaweed
from tests.bench.contestants import PYTHON
from tests.bench.folders import emptied_folder
from tests.bench.processes import output_of
from tests.bench.report import Figures, Report, interleaved

if TYPE_CHECKING:
    from collections.abc import Mapping

FIGURES = ("MiB/s", "files/s", "CPU ms/MiB", "core busy")
MB = 1_000_000
LARGE = 64 * 2**20

ON_DISK = {"Catchlight": "directory", "plain": "plain", "plain, with a sha256": "hashed"}
IN_A_BUCKET = {"Catchlight": "bucket", "obstore, plain puts": "obstore", "aiohttp, signed URLs": "aiohttp"}


def run(*, quick: bool, rounds: int) -> list[Report]:
    disk = Report("to disk, 1 MB files, each in a folder of its own, 16 at once", FIGURES, "MiB/s")
    count = 300 if quick else 2_000
    field = {name: functools.partial(_on_disk, kind, count) for name, kind in ON_DISK.items()}
    interleaved(disk, field, rounds)
    if not Path(sysconfig.get_path("scripts"), "weed").exists():
        disk.notes.append("SeaweedFS is not here: no bucket was measured")
        return [disk]
    return [
        disk,
        _in_buckets("1 MB objects, 16 at once", (MB, 100 if quick else 600, 16), rounds),
        _in_buckets("objects of 64 MiB, 4 at once", (LARGE, 8 if quick else 24, 4), rounds),
    ]


def _on_disk(kind: str, count: int, _: int) -> Figures:
    with emptied_folder() as folder:
        return _kept(kind, folder, (MB, count, 16), {})


def _in_buckets(what: str, sizes: tuple[int, int, int], rounds: int) -> Report:
    report = Report(f"to SeaweedFS on loopback, {what}", FIGURES, "MiB/s")
    field = {name: functools.partial(_in_bucket, kind, sizes) for name, kind in IN_A_BUCKET.items()}
    interleaved(report, field, rounds)
    return report


def _in_bucket(kind: str, sizes: tuple[int, int, int], _: int) -> Figures:
    """Into a server of its own, which is new."""
    with seaweed.running() as server:
        return _kept(kind, f"s3://{server.bucket}/bench", sizes, server.environment)


def _kept(kind: str, place: str, sizes: tuple[int, int, int], environment: Mapping[str, str]) -> Figures:
    size, count, _ = sizes
    command = ["env", *(f"{name}={value}" for name, value in environment.items())]
    command += [PYTHON, "-m", "tests.bench.keepers", kind, place, *map(str, sizes)]
    took: dict[str, Any] = output_of(command, None)
    mebibytes = size * count / 2**20
    return {
        "MiB/s": mebibytes / took["seconds"],
        "files/s": count / took["seconds"],
        "CPU ms/MiB": 1000 * took["cpu"] / mebibytes,
        "core busy": took["cpu"] / took["seconds"],
    }
