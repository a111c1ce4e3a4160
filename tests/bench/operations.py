"""What a ledger is asked for in life, as calls that are timed and then undone: its size stays what it was."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from service import keys, queues
from service.ledger import Ledger
from service.ledger.query import Query
from service.prediction import Stage
from tests.bench import ledgers
from tests.builders import RETENTION
from workers.worker import ConcurrentWorker, connect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from redis import Redis

    from tests.bench.processes import Server
    from workers.worker import Taken

DUE = 500
QUEUE = f"rq:queue:{queues.QUEUE}"
_JOB = "rq:job:"
_BATCH = 32
_PAGE = 50
_STAGES = [keys.STAGE + stage for stage in Stage]


@dataclass
class Side:
    """One ledger, and what is at hand of it between one operation and the next."""

    server: Server
    calls: ledgers.Calls
    ledger: Ledger
    worker: ConcurrentWorker
    ended: int
    queued: int
    middle: str
    """The cursor in the middle of the list."""
    taken: list[Taken] = field(default_factory=list)
    head: dict[str, dict[Any, Any]] = field(default_factory=dict)
    """Jobs at the head of the queue, as they were before they were taken."""
    pushed: dict[str, str] = field(default_factory=dict)
    """The number of the last job of each prediction that is looked after."""

    @property
    def client(self) -> Redis:
        return self.server.client

    def ask(self, call: tuple[object, ...]) -> Any:
        return self.client.evalsha(*call)  # type: ignore[arg-type]  # as many as the script takes


def side(server: Server, ended: int, queued: int) -> Side:
    """Inside the loop that will ask it."""
    middle = server.client.zrange(keys.STAGE + Stage.DONE, ended // 2, ended // 2, withscores=True)
    return Side(
        server,
        ledgers.Calls(server.client, ledgers.Templates()),
        Ledger(server.url, RETENTION),
        ConcurrentWorker(connect(server.url), "bench"),
        ended,
        queued,
        str(int(middle[0][1])),
    )


class Operation(NamedTuple):
    name: str
    act: Callable[[Side, int], Awaitable[object]]
    """Of the side, and the number of the round: ids differ from one to the next."""
    before: Callable[[Side, int], object] = lambda _side, _n: None
    after: Callable[[Side, int], object] = lambda _side, _n: None


def _one(n: int) -> str:
    return f"n{n:08d}"


def _many(n: int) -> list[str]:
    return [f"b{n:06d}-{part:02d}" for part in range(_BATCH)]


async def _accept(side: Side, n: int) -> None:
    side.ask(side.calls.accept([_one(n)]))


async def _take(side: Side, _: int) -> None:
    side.taken = side.worker.take(1, 0)


async def _finish(side: Side, _: int) -> None:
    side.worker.finish(side.taken)


async def _lease(side: Side, n: int) -> None:
    side.ask(side.calls.lease(_one(n)))


async def _commit(side: Side, n: int) -> None:
    side.ask(side.calls.commit(_one(n)))


async def _deliver(side: Side, n: int) -> None:
    side.ask(side.calls.deliver(_one(n)))


async def _delivered(side: Side, n: int) -> None:
    if side.ask(side.calls.delivered(_one(n))) != 1:
        raise RuntimeError("the delivery was not ours")


async def _accept_many(side: Side, n: int) -> None:
    side.ask(side.calls.accept(_many(n)))


async def _accept_known(side: Side, n: int) -> None:
    side.ask(side.calls.accept([f"e{n % side.ended:08d}"]))


def _remember_head(side: Side, _: int) -> None:
    job = str(side.client.lindex(QUEUE, 0))
    side.head = {job: side.client.hgetall(_JOB + job)}


def _put_back_head(side: Side, _: int) -> None:
    for job, fields in side.head.items():
        side.client.hset(_JOB + job, mapping=fields)
        side.client.lpush(QUEUE, job)


def _forget_one(side: Side, n: int) -> None:
    forget(side, [_one(n)])


def _forget_many(side: Side, n: int) -> None:
    forget(side, _many(n))


def forget(side: Side, ids: list[str]) -> None:
    """As if they had never been; their jobs are the last in the queue."""
    with side.client.pipeline(transaction=False) as pipe:
        for id_ in ids:
            ref, delivery = ledgers.ref(id_), ledgers.delivery(id_)
            for job in (f"p-{ref.replace(':', '-')}-1", f"d-{delivery}-1"):
                pipe.lrem(QUEUE, -1, job)
                pipe.delete(_JOB + job)
            for prefix in (keys.PREDICTION, keys.TIMELINE, keys.EVENTS, keys.OUTBOX):
                pipe.delete(prefix + ref)
            pipe.delete(keys.DELIVERY + delivery)
            for name in (keys.INDEX, keys.EXPIRY, keys.SETTLED, keys.DUE_WORK, *_STAGES):
                pipe.zrem(name, ref)
            for name in (keys.DELIVERIES, keys.DELIVERIES_ACTIVE, keys.DELIVERIES_WAITING):
                pipe.zrem(name, delivery)
        pipe.execute()


LIFE = (
    Operation("accept one", _accept),
    Operation("take (RQ)", _take, before=_remember_head),
    Operation("finish (RQ)", _finish, after=_put_back_head),
    Operation("lease", _lease),
    Operation("commit, with an event", _commit),
    Operation("take a delivery", _deliver),
    Operation("write a delivery", _delivered, after=_forget_one),
    Operation(f"accept {_BATCH}", _accept_many, after=_forget_many),
    Operation("accept a duplicate", _accept_known),
)


def _page(stage: Stage | None, *, deep: bool) -> Callable[[Side, int], Awaitable[object]]:
    async def act(side: Side, _: int) -> None:
        cursor = side.middle if deep else None
        items, _next = await side.ledger.reading.page(Query(stage=stage), _PAGE, cursor)
        if len(items) != _PAGE:
            raise RuntimeError(f"a page of {len(items)}")

    return act


async def _counts(side: Side, _: int) -> None:
    await side.ledger.reading.counts()


async def _scaling(side: Side, _: int) -> None:
    await side.ledger.reading.scaling()


READING = (
    Operation("first page", _page(None, deep=False)),
    Operation("a page in the middle", _page(None, deep=True)),
    Operation("first page of a stage", _page(Stage.DONE, deep=False)),
    Operation("a page of it in the middle", _page(Stage.DONE, deep=True)),
    Operation("counts", _counts),
    Operation("scaling", _scaling),
)


async def _sweep(side: Side, _: int) -> None:
    side.ask(side.calls.other("sweep", DUE, 0, ""))


async def _poll(side: Side, _: int) -> None:
    side.ask(side.calls.other("poll", DUE, 2, 1.5, 60))


async def _trim(side: Side, _: int) -> None:
    side.ask(side.calls.other("trim", DUE))


def _look_after_all(side: Side, _: int) -> None:
    while side.client.zcount(keys.DUE_WORK, "-inf", _now(side)):
        side.ask(side.calls.other("sweep", DUE, 0, ""))


def _now(side: Side) -> float:
    seconds, microseconds = side.client.time()
    return float(seconds) + float(microseconds) / 1e6


def _make_due(side: Side, n: int) -> None:
    _look_after_all(side, n)
    at = _now(side) - 1
    if not side.pushed:
        for ref in map(str, side.client.zrevrange(keys.STAGE + Stage.ACCEPTED, 0, DUE - 1)):
            side.pushed[ref] = str(side.client.hget(keys.PREDICTION + ref, "pushed"))
    side.client.zadd(keys.DUE_WORK, dict.fromkeys(side.pushed, at))


def _lose(side: Side, n: int) -> None:
    """Jobs with numbers below that of the queue's head are no longer in it."""
    _make_due(side, n)
    _set_pushed(side, dict.fromkeys(side.pushed, "0"))


def _find(side: Side, _: int) -> None:
    jobs = map(str, side.client.lrange(QUEUE, -DUE, -1))
    side.client.delete(*(_JOB + job for job in jobs))
    side.client.ltrim(QUEUE, 0, -DUE - 1)
    _set_pushed(side, side.pushed)


def _set_pushed(side: Side, pushed: dict[str, str]) -> None:
    with side.client.pipeline(transaction=False) as pipe:
        for ref, number in pushed.items():
            pipe.hset(keys.PREDICTION + ref, "pushed", number)
        pipe.execute()


SWEEPING = (
    Operation("sweep, nothing due", _sweep, before=_look_after_all),
    Operation("poll, nothing due", _poll),
    Operation("trim, nothing due", _trim),
)
SWEEPING_MUCH = (
    Operation(f"sweep, {DUE} due", _sweep, before=_make_due),
    Operation(f"sweep, {DUE} lost", _sweep, before=_lose, after=_find),
)
