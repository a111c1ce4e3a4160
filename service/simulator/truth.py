"""The truth ledger: what the simulated provider really did, against which anyone's account can be checked."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from service import clock
from service.prediction import Stage
from service.simulator.plot import Ending, Kind
from service.simulator.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Sent:
    """One POST of one callback."""

    at: float
    kind: Kind
    attempt: int
    """From 1; above 1 it is a retry."""
    status: int | None
    """The receiver's answer, None when there was none."""
    body: str = ""
    error: str = ""

    @property
    def taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004 - 2xx, as HTTP has it

    def as_json(self) -> dict[str, Any]:
        return {
            "at": clock.rfc3339(self.at),
            "kind": self.kind,
            "attempt": self.attempt,
            "status": self.status,
            "error": self.error or None,
        }


@dataclass(slots=True)
class Prediction:
    """One prediction with all that happened to it; times are seconds since the epoch."""

    id: str
    model: str
    inputs: dict[str, Any]
    scenario: Scenario
    ending: Ending
    created: float
    started: float
    ready: float
    webhook: str | None = None
    deleted: bool = False
    sent: list[Sent] = field(default_factory=list)
    hits: Counter[int] = field(default_factory=Counter)
    """Downloads per output."""
    sha256: dict[int, str] = field(default_factory=dict)
    """Of the whole file, for each output the CDN was asked for and had."""

    def status(self, now: float) -> str:
        if now < self.ready:
            return "created" if now < self.started else "processing"
        return self.ending.status

    @property
    def expected_stage(self) -> Stage:
        """Where it must end with whoever handles it right; text, unlike a file, cannot be gone."""
        expires_nothing = self.scenario is Scenario.EXPIRED and not self.ending.files
        return Stage.DONE if expires_nothing else self.scenario.stage

    def as_json(self, now: float) -> dict[str, Any]:
        return {
            "id": self.id,
            "model": self.model,
            "scenario": self.scenario,
            "expected_stage": self.expected_stage,
            "status": self.status(now),
            "created_at": clock.rfc3339(self.created),
            "webhook": self.webhook,
            "outputs": list(self.ending.outputs),
            "sha256": [self.sha256.get(index) for index in range(len(self.ending.outputs))],
            "cdn_hits": [self.hits[index] for index in range(len(self.ending.outputs))],
            "callbacks": [sent.as_json() for sent in self.sent],
        }


def totals(predictions: Iterable[Prediction], now: float) -> dict[str, Any]:
    """Counts over all; `callbacks` are POSTs, the kinds are letters, however many tries each took."""
    everything = list(predictions)
    posts = [sent for prediction in everything for sent in prediction.sent]
    kinds = Counter(sent.kind for sent in posts if sent.attempt == 1)
    return {
        "predictions": len(everything),
        "finished": sum(now >= prediction.ready for prediction in everything),
        "outputs": sum(len(prediction.ending.outputs) for prediction in everything),
        "files": sum(len(prediction.ending.files) for prediction in everything),
        "callbacks": len(posts),
        "retries": sum(sent.attempt > 1 for sent in posts),
        "duplicates": kinds[Kind.DUPLICATE],
        "stale": kinds[Kind.STALE],
        "out_of_order": kinds[Kind.OUT_OF_ORDER],
        "forged": kinds[Kind.FORGED],
        "forged_refused": sum(sent.kind is Kind.FORGED and sent.status == 401 for sent in posts),  # noqa: PLR2004 - HTTP
        "lost_callbacks": sum(p.scenario is Scenario.LOST for p in everything if p.webhook),
        "unannounced": sum(not p.webhook for p in everything),
        "cdn_hits": sum(p.hits.total() for p in everything),
        "scenarios": dict(sorted(Counter(str(p.scenario) for p in everything).items())),
    }
