"""How much memory a process has in RAM, and the most that it had since it was asked to forget."""

from __future__ import annotations

import re
from pathlib import Path

MIB = 1 << 20


def resident(pid: int) -> int:
    """Bytes, now."""
    return _status(pid, "VmRSS")


def peak(pid: int) -> int:
    """Bytes, the most since `forget_peak`."""
    return _status(pid, "VmHWM")


def forget_peak(pid: int) -> None:
    # 5 is the kernel's number for this (proc(5), clear_refs).
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _status(pid: int, field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found, f"process {pid} has no {field}"
    return int(found[1]) * 1024
