"""What a run observed, one JSON line each: written while it happens, judged afterwards by `checker`.

Every line has `at`, seconds since the epoch, and `what`:

run         seed, hooks (names), in_flight (most deliveries under way at once)
prediction  id, scenario, expected_stage, ready, nsfw (a class per output), files ({index: sha256}), poison
callback    prediction, kind, attempt, status, seconds (None when not measured), error
answer      path, status, seconds: any other answer of our HTTP side
kill        target, in_flight (deliveries under way then, None when unknown)
fault       name, begins (or else it ends), in_flight, forgets (the ledger is lost with it)
exit        target, code: a process that ended
hook        hook, prediction, event_id, type, verified, status, body (sha256), outputs
calm        the last fault is over
sample      backlog, oldest_due_seconds: how things stand after that
ledger      prediction, found: the public object with timeline and deliveries, or null; error
file        path below the storage's root, sha256, bytes
key         name, type, ttl: a Redis key that is left at the end
process     role, moment (`baseline`, `drained`), descriptors, memory (bytes)
canary      address: a forbidden address has accepted a connection
leak        canary, place: a secret that stands where none may
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, Self

from service import clock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

Line = dict[str, Any]


class History:
    """A file that only grows; any thread may write. A context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, what: str, *, at: float | None = None, **fields: Any) -> None:
        line = {"at": round(clock.now() if at is None else at, 3), "what": what} | fields
        text = json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n"
        with self._lock:
            self._file.write(text)
            self._file.flush()


def read(path: Path) -> Iterator[Line]:
    """A line that a killed run left unfinished is its last, and left out."""
    with path.open(encoding="utf-8") as file:
        for text in file:
            if text.endswith("\n"):
                yield json.loads(text)
