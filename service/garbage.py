"""Python's collector, told what a long-lived process is: what is here stays, what comes goes soon."""

from __future__ import annotations

import gc


def settle() -> None:
    """Once everything is imported and opened. A twentieth of all CPU time went into looking for cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
