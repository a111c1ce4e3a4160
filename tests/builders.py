"""Small makers of what the rooms hand to one another (reports, arrivals, hooks), and a clock that obeys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service import clock as real_clock
from service import events, keys
from service.errors import LedgerDown
from service.hooks import Hook
from service.ledger import Arrival, Commit
from service.ledger.arrival import unpack
from service.prediction import Disposition, Reason, Ref, Report, Stage, Step, Verdict, Via

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from service.ledger import Ledger, Outcome, PredictionRecord

SOURCE = "main"
NOON = 1_700_000_000.0
RETENTION = 30 * 86_400
LEASE = 12.0


class Clock:
    """The ledger's clock: time passes when a test says so."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def ref(id_: str = "p1", source: str = SOURCE) -> Ref:
    return Ref(source, id_)


def completed(id_: str = "p1", nsfw: str = "c", **said: Any) -> Report:
    """One output for each letter of `nsfw`: c clean, u unknown, f flagged."""
    outputs = tuple(f"https://cdn.example/{id_}/{index}.png" for index in range(len(nsfw)))
    payload = {"id": id_, "status": "completed", "outputs": list(outputs)}
    fields = {"model": "acme/painter", "outputs": outputs, "nsfw": unpack(nsfw), "payload": payload}
    return Report(id_, "completed", Verdict.COMPLETED, **fields | said)


def failed(id_: str = "p1", status: str = "failed", reason: Reason = Reason.PROVIDER_FAILED) -> Report:
    payload = {"id": id_, "status": status}
    return Report(id_, status, Verdict.FAILED, "acme/painter", reason, "no luck", payload=payload)


def pending(id_: str = "p1", status: str = "processing") -> Report:
    return Report(id_, status, Verdict.PENDING, "acme/painter")


def callback(report: Report, source: str = SOURCE) -> Arrival:
    return Arrival(Ref(source, report.id), Via.CALLBACK, Step.CALLED_BACK, report, detail=report.status)


def polled(report: Report, due_in: float = 0.0) -> Arrival:
    return Arrival(ref(report.id), Via.POLL, Step.POLLED, report, due_in=due_in)


def stale(id_: str = "p1") -> Arrival:
    return Arrival(ref(id_), Via.CALLBACK, Step.CALLED_BACK, stale=True)


def tracked(id_: str = "p1", due_in: float = 60.0, **given: Any) -> Arrival:
    return Arrival(ref(id_), Via.TRACK, Step.TRACKED, due_in=due_in, **given)


async def accept(ledger: Ledger, *arrivals: Arrival) -> list[Outcome]:
    """As one batch; raises the first refusal."""
    outcomes = []
    for outcome in await ledger.predictions.write([one.encoded(real_clock.now()) for one in arrivals]):
        if isinstance(outcome, LedgerDown):
            raise outcome
        outcomes.append(outcome)
    return outcomes


async def accept_one(ledger: Ledger, arrival: Arrival) -> Outcome:
    return (await accept(ledger, arrival))[0]


async def lease(ledger: Ledger, id_: str = "p1", worker: str = "w1") -> PredictionRecord:
    record = await ledger.predictions.lease(ref(id_), LEASE, worker)
    assert record is not None, f"{id_} could not be leased"
    return record


def output(index: int = 0, disposition: Disposition = Disposition.STORED, **more: Any) -> dict[str, Any]:
    """An output as the worker commits it."""
    fields = {
        "index": index,
        "disposition": disposition,
        "nsfw": "clean",
        "uri": f"file:///outputs/p1/{index}.png",
        "sha256": "0" * 64,
        "bytes": 1000,
        "media_type": "image/png",
        "width": 8,
        "height": 8,
        "error": None,
    }
    return fields | more


def hook(name: str = "crm", **more: Any) -> Hook:
    fields = {"name": name, "url": f"https://{name}.example/", "secret": "whsec_c2VjcmV0"}
    return Hook.model_validate(fields | more)


async def finish(
    ledger: Ledger,
    id_: str = "p1",
    to: Stage = Stage.DONE,
    *,
    hooks: Iterable[Hook] = (),
    outputs: Sequence[dict[str, Any]] = (),
) -> PredictionRecord:
    """Lease it and commit how it ended, with the events that follow; the record as it was leased."""
    record = await lease(ledger, id_)
    ended = record.public() | {"stage": to, "outputs": list(outputs)}
    told = events.of_prediction(record.ref, record.generation, ended, hooks, NOON)
    commit = Commit(to, outputs=outputs, events=told)
    assert await ledger.predictions.commit(record.ref, Stage.WORKING, record.token, commit)
    return record


async def stage_of(ledger: Ledger, id_: str = "p1") -> Stage | str | None:
    record = await ledger.reading.record(ref(id_))
    return None if record is None else record.stage


async def fields_of(ledger: Ledger, id_: str = "p1") -> dict[str, str]:
    """The record as it lies in Redis."""
    held: dict[str, str] = await ledger.redis.hgetall(keys.PREDICTION + str(ref(id_)))  # type: ignore[assignment]  # decoded
    return held


async def timeline(ledger: Ledger, id_: str = "p1") -> list[str]:
    """The steps alone."""
    found = await ledger.reading.prediction(ref(id_))
    assert found is not None
    return [line["step"] for line in found["timeline"]]


async def jobs(ledger: Ledger) -> list[str]:
    """Ids of what waits in RQ's queue, oldest first."""
    waiting: list[str] = await ledger.redis.lrange("rq:queue:catchlight", 0, -1)  # type: ignore[assignment]  # decoded
    return waiting


async def deliveries(ledger: Ledger, id_: str = "p1") -> list[dict[str, Any]]:
    found = await ledger.reading.prediction(ref(id_))
    assert found is not None
    listed: list[dict[str, Any]] = found["deliveries"]
    return listed


def parts(encoded: bytes) -> list[bytes]:
    """Of an arrival as it is written: in the order of `accept.lua`."""
    lengths, _, rest = encoded.partition(b";")
    found = []
    for length in map(int, lengths.split(b",")):
        found.append(rest[:length])
        rest = rest[length:]
    assert rest == b""
    return found
