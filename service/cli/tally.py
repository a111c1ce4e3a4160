"""The demo's account: what Catchlight has against what the simulated provider knows it did."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from service import wavespeed
from service.prediction import Disposition, Nsfw, Ref, Stage, Via

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.ledger import Ledger


@dataclass(slots=True)
class Tally:
    """Counts of outputs (`stored`, `held`, `skipped`) and of predictions (the rest)."""

    predictions: int = 0
    stored: int = 0
    held: int = 0
    failed: int = 0
    expired: int = 0
    dead: int = 0
    skipped: int = 0
    duplicates: int = 0
    forged_refused: int = 0
    recovered_by_poll: int = 0
    deliveries: int = 0
    delivery_attempts: int = 0
    lost: int = 0
    unclean_handed_on: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    """One sentence for everything that is not as it must be."""

    @property
    def nothing_lost(self) -> bool:
        return not self.lost and not self.unclean_handed_on

    def public(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


async def take(
    ledger: Ledger, truth: Mapping[str, Any], heard: Sequence[Mapping[str, Any]], seconds: float
) -> Tally:
    """Compare prediction by prediction; `heard` are the attempts that the sample hook saw."""
    totals = truth["totals"]
    tally = Tally(
        predictions=totals["predictions"],
        duplicates=totals["duplicates"],
        forged_refused=totals["forged_refused"],
        delivery_attempts=len(heard),
        seconds=round(seconds, 1),
    )
    told = {(line["prediction"], line["type"]) for line in heard if line["status"] == 200}  # noqa: PLR2004  # HTTP
    stages: Counter[str] = Counter()
    for true in truth["predictions"]:
        ours = await ledger.reading.prediction(Ref(wavespeed.SOURCE, true["id"]))
        problems = _compare(true, ours, told)
        tally.lost += bool(problems)
        tally.problems += problems
        if ours is not None:
            stages[ours["stage"]] += 1
            _count(tally, ours)
    tally.failed, tally.expired, tally.dead = stages[Stage.FAILED], stages[Stage.EXPIRED], stages[Stage.DEAD]
    tally.unclean_handed_on = sum(_hands_on_unclean(line) for line in heard)
    return tally


def _count(tally: Tally, ours: Mapping[str, Any]) -> None:
    dispositions = Counter(output["disposition"] for output in ours["outputs"])
    tally.stored += dispositions[Disposition.STORED]
    tally.held += dispositions[Disposition.HELD]
    tally.skipped += dispositions[Disposition.SKIPPED]
    tally.recovered_by_poll += ours["received_via"] in (Via.POLL, Via.RECONCILE)
    tally.deliveries += len(ours["deliveries"])


def _compare(
    true: Mapping[str, Any], ours: Mapping[str, Any] | None, told: set[tuple[str, str]]
) -> list[str]:
    name = f"{true['id']} ({true['scenario']})"
    if ours is None:
        return [f"{name}: the ledger does not know it"]
    if ours["stage"] != true["expected_stage"]:
        return [f"{name}: is {ours['stage']}, not {true['expected_stage']}"]
    problems = [
        f"{name}: output {output['index']} is not what the CDN served"
        for output in ours["outputs"]
        if output["disposition"] == Disposition.STORED and not _as_served(output, true)
    ]
    kind = {"done": "prediction.completed"}.get(ours["stage"], f"prediction.{ours['stage']}")
    if (true["id"], kind) not in told:
        problems.append(f"{name}: the hook never took {kind}")
    return problems


def _as_served(output: Mapping[str, Any], true: Mapping[str, Any]) -> bool:
    """Re-read from the storage: what was written is what counts, not what was meant to be."""
    path = Path(unquote(urlsplit(output["uri"]).path))
    if not path.is_file():
        return False
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {digest} == {output["sha256"], true["sha256"][output["index"]]}


def _hands_on_unclean(line: Mapping[str, Any]) -> bool:
    """Did an event lead a hook to a file that nobody cleared?"""
    try:
        outputs = json.loads(line["body"])["data"]["outputs"]
    except (ValueError, KeyError, TypeError):
        return False
    return any(
        output["nsfw"] != Nsfw.CLEAN
        and output["disposition"] != Disposition.RELEASED
        and (output["uri"] or output["sha256"])
        for output in outputs
    )
