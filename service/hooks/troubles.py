"""Attempts in few words: what one failed of, as counts are grouped by it, and about how long it took."""

from __future__ import annotations

import re
from bisect import bisect_left

OTHER = "other"
LIMITS_MS = (10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 120_000)
"""Upper ends, in milliseconds; what takes longer counts for the last one."""

_REFUSED = re.compile(r"(refused_[a-z]+):")
_FAILED = re.compile(r"the connection failed \((\w+)\)")
_CAUSES = {
    "ConnectionRefusedError": "connection_refused",
    "ConnectionResetError": "hung_up",
    "ServerDisconnectedError": "hung_up",
    "gaierror": "dns",
}


def trouble(status: int | None, error: str | None) -> str:
    """One word for an attempt that failed, as `502`, `timeout` or `refused_address`; empty for none."""
    if not error:
        return ""
    if status is not None:
        return str(status)
    if refused := _REFUSED.match(error):
        return refused[1]
    if "no answer within" in error:
        return "timeout"
    if failed := _FAILED.search(error):
        # Whatever the library calls it: SSLError, SSLCertVerificationError, ClientConnectorSSLError.
        return _CAUSES.get(failed[1]) or ("tls" if "SSL" in failed[1] else "connection")
    return "stream" if error.startswith("the stream ") else OTHER


def limit_of(ms: int) -> int:
    """The step of LIMITS_MS that an attempt of so many milliseconds counts for."""
    return LIMITS_MS[min(bisect_left(LIMITS_MS, ms), len(LIMITS_MS) - 1)]
