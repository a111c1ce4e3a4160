"""A whole Catchlight to be hurt: supervised processes, its own Redis, and fault proxies on every way."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import httpx
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
from tests.faults.history import History, read
from tests.faults.processes import Processes, Slot
from tests.faults.proxy import PASS, FaultProxy
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from service.simulator.simulator import Simulator
    from tests.faults.proxy import Mode

HOOK_SECRET = "whsec_ZmF1bHRzIGtlZXAgbm8gc2VjcmV0cyBhdCBhbGw="
MODEL = "faults/painter"
WAYS = ("redis", "origin", "provider", "hook")

# Seconds where real life has minutes, and more tries than a fault lasts: nothing ends by running out of them.
PACE = {
    "lease": "2s",
    "poll_after": "1s",
    "poll_max": "2s",
    "poll_rate": "100/s",
    "reconcile_every": "2s",
    "fetch_schedule": "200ms,400ms,1s,2s,2s,3s,3s,3s,5s,5s,5s,5s,10s,10s",
    "fetch_idle": "3s",
    "hook_schedule": "200ms,400ms,1s,2s,2s,3s,3s,3s,5s,5s,5s,5s,10s,10s,10s,10s",
    "concurrency": "16",
    "grace": "3s",
    "log_format": "json",
}


class UnsettledError(AssertionError):
    """Something is still open; what it is, the checker can tell."""


class Family:
    """`ways` go through fault proxies; `changes` are settings by attribute name.

    `variables` are more environment for one role, or for all under "".
    """

    def __init__(
        self,
        folder: Path,
        seed: int | str = 1,
        *,
        changes: Mapping[str, str] | None = None,
        ways: Sequence[str] = WAYS,
        workers: int = 2,
        simulator: Mapping[str, Any] | None = None,
        more_hooks: str = "",
        sinks: Mapping[str, Sink] | None = None,
        variables: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self.folder = folder
        self.seed = seed
        self.poison: set[str] = set()
        self.proxies: dict[str, FaultProxy] = {}
        self._changes = dict(changes or {})
        self._ways = ways
        self._workers = workers
        self._config = {"delay": (0.05, 0.2), "callback_retry_base": 0.2, "media_bytes": 4_000, "stall": 1.0}
        self._config |= simulator or {}
        self._more_hooks = more_hooks
        self.sinks = dict(sinks or {})
        self._variables = dict(variables or {})
        self._stack = ExitStack()
        self.simulator: Simulator
        self.redis: redis.Redis
        self.client: httpx.Client
        self.base = self.provider = ""
        self._taken = 0
        self.storage = folder / "outputs"
        self.list_files: Callable[[History], None] = lambda history: evidence.storage(history, self.storage)
        """Writes down what is stored; a test with another kind of storage has its own."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.history = stack.enter_context(History(self.folder / "history.jsonl"))
            self.backstage = stack.enter_context(Backstage())
            for way in self._ways:
                self.proxies[way] = stack.enter_context(FaultProxy(backstage=self.backstage))
            hook = self._open_world(stack)
            self.processes = stack.enter_context(Processes(self.history))
            redis_url = self._start_redis(stack)
            self.environment = self._environment(redis_url, hook)
            self.client = stack.enter_context(httpx.Client(base_url=self.base, trust_env=False, timeout=30))
            self._start_roles()
            evidence.processes(self.history, list(self.processes.slots.values()), "baseline")
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _open_world(self, stack: ExitStack) -> str:
        """The provider with its CDN, and the sample hook, whose address is returned."""
        config: dict[str, Any] = {"seed": str(self.seed)} | self._config
        if "origin" in self.proxies:
            config["public_url"] = f"http://127.0.0.1:{self.proxies['origin'].port}"
        provider, self.simulator = self.backstage.enter(running(SimulatorConfig(**config)))
        if "origin" in self.proxies:
            self.proxies["origin"].target = _port(provider)
        self.provider = self._behind("provider", provider)
        sink = stack.enter_context(Sink([HOOK_SECRET], self.folder / "hooks.jsonl"))
        self.sinks["sample"] = sink
        return self._behind("hook", self.backstage.enter(serving(sink.app())))

    def _behind(self, way: str, url: str) -> str:
        """Its address behind the proxy of that way, if there is one."""
        if way not in self.proxies:
            return url
        self.proxies[way].target = _port(url)
        return f"http://127.0.0.1:{self.proxies[way].port}"

    def _start_redis(self, stack: ExitStack) -> str:
        port = embedded.free_port()
        command = self.redis_command(port)
        variables = dict(self._variables.get("redis", {}))
        self.processes.add(Slot("redis", command, variables, "", self.folder / "redis.log"))
        embedded.wait_ready(port)
        self.redis = stack.enter_context(redis.Redis(port=port, socket_timeout=5))
        self._url = embedded.url(port)
        return embedded.url(_port(self._behind("redis", f"http://127.0.0.1:{port}")))

    def redis_command(self, port: int) -> list[str]:
        return embedded.command(self.folder, port)

    def _environment(self, redis_url: str, hook: str) -> dict[str, str]:
        port = embedded.free_port()
        self.base = f"http://127.0.0.1:{port}"
        config = self.folder / "catchlight.toml"
        config.write_text(declared("sample", f"{hook}/hook") + self._more_hooks)
        places = {
            "config": str(config),
            "redis_url": redis_url,
            "data_dir": str(self.folder),
            "storage_url": self.storage.as_uri(),
            "public_url": self.base,
            "port": str(port),
            "webhook_secrets": DEMO_SECRET,
            "wavespeed_api_key": "simulated",
            "provider_url": f"{self.provider}/api/v3",
            "fetch_hosts": "127.0.0.1",
            "fetch_private": "127.0.0.0/8",
        }
        settings = child_environment(PACE | places | self._changes, inherit=False)
        return settings | dict(self._variables.get("", {}))

    def _start_roles(self) -> None:
        names = ["serve", "sweep", *(f"work-{number + 1}" for number in range(self._workers))]
        for name in names:
            self.add(name, wait=False)
        for name in names:
            self.processes.wait_ready(name)
        concurrency = int(self.environment["CATCHLIGHT_CONCURRENCY"])
        in_flight = concurrency * self._workers
        self.history.write("run", seed=self.seed, hooks=list(self.sinks), in_flight=in_flight)

    def add(self, name: str, *, wait: bool = True) -> None:
        """Another process of the role that its name begins with."""
        role = name.partition("-")[0]
        serve = ["service.cli", "serve", "--reuse-port"]
        module = serve if role == "serve" else ["workers", role]
        command = [sys.executable, "-m", *module]
        log = self.folder / f"{name}.log"
        ready = f"ready role={role}"
        environment = self.environment | dict(self._variables.get(role, {}))
        self.processes.add(Slot(name, command, environment, ready, log), wait=wait)

    def submit(self, scenario: str, model: str = MODEL) -> str:
        """At the provider, by somebody else, with our callback address; the id."""
        webhook = f"{self.base}/webhooks/{wavespeed.SOURCE}"
        inputs = {"prompt": "a fox", "simulate": scenario}
        return self.backstage.call(lambda: self.simulator.submit(model, inputs, webhook)).id

    def stage(self, id_: str) -> str | None:
        """Where it stands in the ledger, if it does."""
        held = self.redis.hget(f"{keys.PREDICTION}{wavespeed.SOURCE}:{id_}", "stage")
        return None if held is None else evidence.text(held)

    def kill(self, name: str, *, group: bool = True, down_for: float = 0.0) -> None:
        under_way = evidence.deliveries_under_way(self.redis)
        if self.processes.kill(name, group=group, down_for=down_for):
            self.history.write("kill", target=name, in_flight=under_way)

    def fault(self, way: str, mode: Mode) -> None:
        """Of a hook whose answers are lost, every attempt that it took meanwhile may come again."""
        taken = len(self.sinks["sample"].seen)
        under_way = None if way == "redis" else taken - self._taken if way == "hook" and mode == PASS else 0
        if way == "hook":
            self._taken = taken if mode != PASS else 0
        self.proxies[way].set(mode)
        self.history.write("fault", name=f"{way} {mode}", begins=mode != PASS, in_flight=under_way)

    def restart(self, name: str, failpoints: str = "", *, hard: bool = False) -> None:
        """The failpoints are armed in that one process only, not in the one that follows its death."""
        armed = {"CATCHLIGHT_FAILPOINTS": failpoints} if failpoints else None
        if failpoints or hard:
            self.history.write("kill", target=f"{name} {failpoints}".strip(), in_flight=None)
        self.processes.restart(name, armed, hard=hard)

    def ends_well(self) -> Account:
        """Calm it, let it settle, and judge it, settled or not."""
        self.calm()
        try:
            self.settle()
        finally:
            account = self.judge()
        return account

    def calm(self) -> None:
        """No fault from here on."""
        for way, proxy in self.proxies.items():
            if proxy.mode != PASS:
                self.fault(way, PASS)
        for slot in self.processes.slots.values():
            if slot.wanted:
                self.processes.wait_ready(slot.name)
        self.history.write("calm")

    def settle(self, timeout: float = 120.0) -> None:
        """Wait until everything that the provider knows is terminal and told; how it goes is written down."""
        latest = 0.0

        def settled() -> bool:
            nonlocal latest
            counts = self._standing()
            if counts["at"] - latest >= 1:
                latest = counts["at"]
                self.backstage.run(evidence.sample(self.history, self._url))
            open_ones = counts["open"] + counts["deliveries"]
            return not open_ones and counts["terminal"] >= counts["known"] and self.simulator.quiet

        try:
            wait_until(settled, timeout)
        except AssertionError:
            raise UnsettledError(
                f"seed {self.seed}: not settled in {timeout:g} s: {self._standing()}"
            ) from None

    def _standing(self) -> dict[str, float]:
        known = len(self.backstage.call(self.simulator.listed))
        return evidence.standing(self.redis) | {"known": known}

    def judge(self, *, ignore: Sequence[str] = ()) -> Account:
        """Write down how everything stands and check all of it. Raises AssertionError with the report."""
        self.collect()
        account = Account.load(read(self.history.path))
        broken = [one for one in check(account) if one.invariant not in ignore]
        assert not broken, report(broken, account, seed=self.seed)
        return account

    def collect(self) -> None:
        self.backstage.call(lambda: evidence.truth(self.history, self.simulator, self.poison))
        for name, sink in self.sinks.items():
            evidence.told(self.history, name, list(sink.seen))
        ids = [one.id for one in self.backstage.call(self.simulator.listed)]
        self.backstage.run(evidence.ledger(self.history, self._url, ids))
        self.list_files(self.history)
        evidence.endless_keys(self.history, self.redis)
        evidence.processes(self.history, list(self.processes.slots.values()), "drained")


def declared(name: str, url: str) -> str:
    """A hook as the settings file has it."""
    return f'[[hooks]]\nname = "{name}"\nurl = "{url}"\nsecret = "{HOOK_SECRET}"\ntimeout = 3\n'


def _port(url: str) -> int:
    return urlsplit(url).port or 0
