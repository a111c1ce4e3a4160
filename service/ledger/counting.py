"""What a commit adds to the tally: what has become of its outputs since the one before."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from service.prediction import Disposition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OUTPUTS = "outputs_"
BYTES = "output_bytes"
_KEPT = (Disposition.STORED, Disposition.HELD, Disposition.RELEASED, Disposition.REJECTED)


def told_of(before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> Mapping[str, int]:
    """Name → how much to add. A review counts under its new disposition; bytes count when first kept."""
    was = {output["index"]: output.get("disposition") for output in before}
    counts: Counter[str] = Counter()
    for output in now:
        disposition = output["disposition"]
        if disposition is None or disposition == was.get(output["index"]):
            continue
        counts[f"{OUTPUTS}{disposition}"] += 1
        if disposition in _KEPT and was.get(output["index"]) not in _KEPT:
            counts[BYTES] += output.get("bytes") or 0
    return counts
