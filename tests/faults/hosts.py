"""Hosts that share nothing but two Redis servers and a storage: each has all the roles, for both shards."""

from __future__ import annotations

import itertools
import sys
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import redis

from service import embedded, keys, wavespeed
from service.settings.environment import child_environment
from service.simulator.run import running, serving
from service.simulator.simulator import DEMO_SECRET, SimulatorConfig
from service.simulator.sink import Sink
from tests.faults import evidence
from tests.faults.account import Account
from tests.faults.backstage import Backstage
from tests.faults.checker import check, report
from tests.faults.family import HOOK_SECRET, MODEL, PACE, UnsettledError, declared
from tests.faults.history import History, read
from tests.faults.load import MIX
from tests.faults.network import Network
from tests.faults.processes import Processes, Slot
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

    from service.simulator.simulator import Simulator
    from tests.faults.chance import Chance

SHARDS = {"a": wavespeed.SOURCE, "b": "studio"}
"""Each with one account, and each account with a provider of its own: it lists nobody else's predictions."""
PORT = "8080"
ROLES = ("serve", "work-a", "work-b", "sweep-a", "sweep-b")
TOKEN = "of-a-host-that-is-reached-from-elsewhere"


class Hosts:
    def __init__(self, folder: Path, chance: Chance, count: int = 4) -> None:
        self._folder = folder
        self._chance = chance
        self._count = count
        self._stack = ExitStack()
        self.network = Network(count)
        self.simulators: dict[str, Simulator] = {}
        self.redis: dict[str, redis.Redis] = {}
        self._urls: dict[str, str] = {}
        self._turns = itertools.cycle(range(1, count + 1))

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.history = stack.enter_context(History(self._folder / "history.jsonl"))
            self.backstage = stack.enter_context(Backstage())
            stack.enter_context(self.network)
            here = self.network.here
            self.sink = stack.enter_context(Sink([HOOK_SECRET], self._folder / "hooks.jsonl"))
            hook = self.backstage.enter(serving(self.sink.app(), here))
            providers = {source: self._provider(source) for source in SHARDS.values()}
            self.processes = stack.enter_context(Processes(self.history))
            for shard in SHARDS:
                self._start_redis(shard, stack)
            for number in self.network.hosts:
                self._start_roles(number, self._environment(number, hook, providers))
            for slot in self.processes.slots.values():
                if slot.ready:
                    self.processes.wait_ready(slot.name)
            in_flight = int(PACE["concurrency"]) * self._count * len(SHARDS)
            self.history.write("run", seed=self._chance.seed, hooks=["sample"], in_flight=in_flight)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What is cut off could not say good-bye.
        for number in self.network.hosts:
            self.network.plug(number)
        self._stack.close()

    def _provider(self, source: str) -> str:
        config: dict[str, Any] = {"seed": self._chance.fork(source).number(), "media_bytes": 4_000}
        config |= {"delay": (0.05, 0.2), "callback_retry_base": 0.2, "stall": 1.0}
        url, self.simulators[source] = self.backstage.enter(
            running(SimulatorConfig(**config), self.network.here)
        )
        return url

    def _start_redis(self, shard: str, stack: ExitStack) -> None:
        port, folder = embedded.free_port(), self._folder / f"redis-{shard}"
        command = embedded.command(folder, port)
        command += ["--bind", "127.0.0.1", self.network.here, "--protected-mode", "no"]
        self.processes.add(Slot(f"redis-{shard}", command, {}, "", self._folder / f"redis-{shard}.log"))
        embedded.wait_ready(port)
        self.redis[shard] = stack.enter_context(redis.Redis(port=port, socket_timeout=5))
        self._urls[shard] = f"redis://{self.network.here}:{port}/0"

    def _environment(self, number: int, hook: str, providers: dict[str, str]) -> dict[str, str]:
        folder = self._folder / f"host-{number}"
        folder.mkdir()
        config = folder / "catchlight.toml"
        shards = (
            f'[[shards]]\nname = "{shard}"\nredis_url = "{self._urls[shard]}"\nsources = ["{source}"]\n'
            for shard, source in SHARDS.items()
        )
        studio = f'[[sources]]\nname = "studio"\nkey = "k"\nsecrets = "{DEMO_SECRET}"\n'
        studio += f'provider_url = "{providers["studio"]}/api/v3"\npoll_rate = "100/s"\n'
        config.write_text(declared("sample", f"{hook}/hook") + studio + "".join(shards))
        places = {
            "config": str(config),
            "data_dir": str(folder),
            "storage_url": (self._folder / "outputs").as_uri(),
            "host": self.network.hosts[number].address,
            "port": PORT,
            "admin_token": TOKEN,
            "webhook_secrets": DEMO_SECRET,
            "wavespeed_api_key": "k",
            "provider_url": f"{providers[wavespeed.SOURCE]}/api/v3",
            "fetch_hosts": self.network.here,
            "fetch_private": f"{self.network.here}/32",
        }
        return child_environment(PACE | places, inherit=False)

    def _start_roles(self, number: int, environment: dict[str, str]) -> None:
        host = self.network.hosts[number]
        for name in ROLES:
            role, _, shard = name.partition("-")
            module = ["service.cli", "serve"] if role == "serve" else ["workers", role]
            command = [*host.inside, sys.executable, "-m", *module]
            its_own = environment | ({"CATCHLIGHT_SHARD": shard} if shard else {})
            log = self._folder / f"host-{number}" / f"{name}.log"
            self.processes.add(
                Slot(f"{number}-{name}", command, its_own, f"ready role={role}", log), wait=False
            )

    def submit(self, source: str, count: int, hosts: Sequence[int] = ()) -> dict[str, int]:
        """At the provider; the ids, and the host where each is called back: the next one, or of these."""
        turns, simulator = itertools.cycle(hosts) if hosts else self._turns, self.simulators[source]
        chosen = [next(turns) for _ in range(count)]

        def submitted() -> dict[str, int]:
            return {self._submitted(simulator, source, number): number for number in chosen}

        return self.backstage.call(submitted)

    def _submitted(self, simulator: Simulator, source: str, number: int) -> str:
        webhook = f"http://{self.network.hosts[number].address}:{PORT}/webhooks/{source}"
        inputs = {"prompt": "a fox", "simulate": str(self._chance.weighted(MIX))}
        return simulator.submit(MODEL, inputs, webhook).id

    def terminal(self, shard: str) -> int:
        return int(evidence.standing(self.redis[shard])["terminal"])

    def leader(self, shard: str) -> int | None:
        """The host whose sweeper leads there."""
        holder = evidence.text(self.redis[shard].get(keys.SWEEPER) or "")
        for name, slot in self.processes.slots.items():
            if slot.pid is not None and f"-{slot.pid}-" in holder:
                return int(name.partition("-")[0])
        return None

    def all_ended(self) -> bool:
        return all(self.terminal(shard) >= self._listed(source) for shard, source in SHARDS.items())

    def cut(self, number: int) -> None:
        self.network.pull(number)
        self.history.write("fault", name=f"host {number} cut off", begins=True, in_flight=None)

    def mend(self, number: int) -> None:
        self.network.plug(number)
        self.history.write("fault", name=f"host {number} cut off", begins=False, in_flight=None)

    def settle(self, timeout: float = 120.0) -> None:
        self.history.write("calm")

        def settled() -> bool:
            counts = {shard: evidence.standing(server) for shard, server in self.redis.items()}
            open_ones = sum(one["open"] + one["deliveries"] for one in counts.values())
            return not open_ones and self.all_ended() and all(one.quiet for one in self.simulators.values())

        try:
            wait_until(settled, timeout)
        except AssertionError:
            standing = {shard: evidence.standing(server) for shard, server in self.redis.items()}
            raise UnsettledError(f"not settled in {timeout:g} s: {standing}") from None

    def _listed(self, source: str) -> int:
        return len(self.backstage.call(self.simulators[source].listed))

    def judge(self) -> Account:
        """Raises AssertionError with the report."""
        for shard, source in SHARDS.items():
            simulator = self.simulators[source]
            self.backstage.call(partial(evidence.truth, self.history, simulator, set()))
            ids = [one.id for one in self.backstage.call(simulator.listed)]
            self.backstage.run(evidence.ledger(self.history, self._local(shard), ids, source))
            evidence.endless_keys(self.history, self.redis[shard])
        evidence.told(self.history, "sample", list(self.sink.seen))
        evidence.storage(self.history, self._folder / "outputs")
        account = Account.load(read(self.history.path))
        broken = check(account)
        assert not broken, report(broken, account, seed=self._chance.seed)
        return account

    def _local(self, shard: str) -> str:
        return self._urls[shard].replace(self.network.here, "127.0.0.1")
