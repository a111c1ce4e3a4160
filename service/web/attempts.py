"""Wrong tokens: how long an address must wait before its next one is looked at.

In the memory of one process, bounded. Requests without a token and sessions never ask here.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FREE = 5
"""Wrong tokens in a row before an address must wait."""
WAIT_MOST = 60.0
FORGOTTEN_AFTER = 600.0
"""Seconds of silence: slower than the longest wait, so that nobody gains by keeping still."""
OVERALL_MOST = 50
OVERALL_SPAN = 60.0
PEERS_MOST = 1000


@dataclass
class _Peer:
    failures: int = 0
    """In a row."""
    last: float = 0.0
    trusted: bool = False
    """Has shown a right token."""


class Attempts:
    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._peers: OrderedDict[str, _Peer] = OrderedDict()
        self._strangers: deque[float] = deque(maxlen=OVERALL_MOST)
        """When those failed who have not shown a right token yet."""

    def wait(self, peer: str) -> float:
        """Seconds until a token from this address is looked at; 0 is now."""
        now = self._now()
        known = self._peers.get(peer, _Peer())
        # Else anybody could keep out, from many addresses, whoever works with us all day.
        overall = 0.0 if known.trusted else self._wait_of_strangers(now)
        return max(0.0, _wait_of_one(known, now), overall)

    def failed(self, peer: str) -> None:
        now = self._now()
        known = self._peers.get(peer, _Peer())
        failures = 0 if now - known.last > FORGOTTEN_AFTER else known.failures
        self._remember(peer, _Peer(failures + 1, now, known.trusted))
        if not known.trusted:
            self._strangers.append(now)

    def succeeded(self, peer: str) -> None:
        self._remember(peer, _Peer(trusted=True))

    def _remember(self, peer: str, known: _Peer) -> None:
        self._peers[peer] = known
        self._peers.move_to_end(peer)
        if len(self._peers) > PEERS_MOST:
            self._peers.popitem(last=False)

    def _wait_of_strangers(self, now: float) -> float:
        if len(self._strangers) < OVERALL_MOST:
            return 0.0
        return self._strangers[0] + OVERALL_SPAN - now


def _wait_of_one(peer: _Peer, now: float) -> float:
    if peer.failures < FREE:
        return 0.0
    # The exponent is bounded for the arithmetic's sake: who goes on for ever must not make it slow.
    pause = min(2.0 ** min(peer.failures - FREE, 16), WAIT_MOST)
    return peer.last + pause - now
