"""Who is who in a trace, without asking anybody: ids that every process computes alike.

One prediction is one trace, and its id is a function of source and id. So nothing of a trace is written to
the ledger: it costs no memory and no round trip, an older version beside us cannot lose it, and it holds when
the work goes on days later, from the sweeper, in another process, or after Redis has lost what it had. All
processes also come to the same decision about whether it is sampled, as long as they have the same sampler.

Two kinds of spans have such ids too, because others in other processes hang below them: the acceptance of a
completion, above the work on it, and an event, above its deliveries; and the work under one lease, which a
suspect's own process carries on. All other ids are random.
"""

from __future__ import annotations

import hashlib

TRACE_BYTES, SPAN_BYTES = 16, 8


def of_prediction(ref: str) -> int:
    """The trace of `source:id`."""
    return _number(TRACE_BYTES, "trace", ref)


def of_hook(event_id: str) -> int:
    """The trace of an event that tells of a hook, and of no prediction."""
    return _number(TRACE_BYTES, "trace of event", event_id)


def of_acceptance(ref: str, verdict: str, digest: str, letters: str) -> int:
    """The span of a completion: what it says sets it apart from one that supersedes it."""
    return _number(SPAN_BYTES, "acceptance", ref, verdict, digest, letters)


def of_lease(ref: str, token: str) -> int:
    """The span of the work under one lease."""
    return _number(SPAN_BYTES, "lease", ref, token)


def of_event(event_id: str) -> int:
    return _number(SPAN_BYTES, "event", event_id)


def _number(size: int, *parts: str) -> int:
    """Never 0, which is no id."""
    found = hashlib.sha256("\0".join(parts).encode(errors="replace")).digest()
    return int.from_bytes(found[:size]) or 1
