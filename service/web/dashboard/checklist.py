"""What a new operator has to do, in order, and which of it is done: decided of what is known. No I/O."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlsplit

from service import comparing
from service.ledger.durability import State as Found
from service.operator import DEFAULT_SOURCE
from service.throughput import CALLED_BACK, TOLD

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from service.settings import Settings
    from service.sources import Source
    from service.troubles import Facts


class State(StrEnum):
    DONE = "done"
    TO_DO = "to do"
    OPTIONAL = "optional"
    """It works without."""


class Hint(NamedTuple):
    text: str
    command: str = ""


class Step(NamedTuple):
    name: str
    title: str
    state: State
    found: str
    hints: Sequence[Hint] = ()


class Address(NamedTuple):
    """Where the provider is to call back for one source."""

    source: str
    url: str
    parameter: str
    """What is appended to a submission's URL."""
    submit: str


def steps(facts: Facts, settings: Settings, *, storage: str, stored: bool, texts: bool = False) -> list[Step]:
    """`storage`: its URL, masked; `stored`: whether an output of late stands in it.

    `texts`: whether all outputs of late are texts, which have no file.
    """
    return [
        _redis(facts),
        _worker(facts, storage),
        _sweeper(facts),
        *(step for source in settings.accounts for step in (_secret(facts, source), _key(facts, source))),
        _public(settings),
        _callback(facts),
        _output(facts, stored=stored, texts=texts),
        _hook(facts),
    ]


def addresses(settings: Settings) -> Iterator[Address]:
    """None while there is no public address."""
    for source in settings.accounts:
        if url := settings.callback_url(source.name):
            parameter = f"?webhook={quote(url, safe='')}"
            yield Address(source.name, url, parameter, f"{source.provider_url}/MODEL{parameter}")


def _redis(facts: Facts) -> Step:
    odd = [one for one in facts.server.promises if one.state is not Found.OK]
    title = "Redis answers, and forgets nothing"
    if odd:
        broken = any(one.state is Found.FAIL for one in odd)
        hints = [Hint(one.fix) for one in odd]
        state = State.TO_DO if broken else State.OPTIONAL
        return Step("redis", title, state, "; ".join(one.detail for one in odd), hints)
    version = f"version {facts.server.version}, " if facts.server.version else ""
    return Step("redis", title, State.DONE, f"{version}every write is on its disk before it is acknowledged")


def _worker(facts: Facts, storage: str) -> Step:
    title = "A worker runs, and can write to the storage"
    workers = [one for one in facts.roles if one.role == "work"]
    troubled = [one.said.trouble for one in workers if one.said.trouble]
    if troubled:
        hint = Hint("find out what is wrong with it:", "catchlight doctor")
        return Step("storage", title, State.TO_DO, troubled[0], [hint])
    if not workers:
        hint = Hint("start one, with the same settings as this process:", "catchlight work")
        return Step("storage", title, State.TO_DO, f"no worker is alive; outputs go to {storage}", [hint])
    return Step("storage", title, State.DONE, f"{_count(len(workers), 'worker')}; outputs go to {storage}")


def _sweeper(facts: Facts) -> Step:
    title = "A sweeper runs: it polls for callbacks that never come"
    alive = sum(one.role == "sweep" for one in facts.roles)
    if not alive:
        hint = Hint("start one; of several, one acts:", "catchlight sweep")
        return Step("sweeper", title, State.TO_DO, "no sweeper is alive", [hint])
    return Step("sweeper", title, State.DONE, _count(alive, "sweeper"))


def _secret(facts: Facts, source: Source) -> Step:
    name, title = f"secret.{source.name}", f"The webhook secret of {source.name} is set"
    connect = Hint(
        "this compares it with the provider's, and says what to do:", comparing.remedy(source.name)
    )
    if not source.secrets:
        return Step(name, title, State.TO_DO, "all its callbacks are refused", [connect])
    for one in facts.secrets:
        if one["source"] == source.name and one["state"] == comparing.State.DRIFTED:
            return Step(name, title, State.TO_DO, one["detail"], [connect])
    return Step(
        name, title, State.DONE, f"{_count(len(source.secrets), 'secret')}; every callback is verified"
    )


def _key(facts: Facts, source: Source) -> Step:
    name, title = f"key.{source.name}", f"The API key of {source.name} is set"
    if source.key is None:
        found = "nothing of it can be polled, reconciled or submitted: a callback that is lost stays lost"
        default = source.name == DEFAULT_SOURCE
        where = "WAVESPEED_API_KEY" if default else "its key in [[sources]]"
        hint = Hint(f"set {where}, restart serve and sweep, and check it:", comparing.remedy(source.name))
        return Step(name, title, State.TO_DO, found, [hint])
    read = any(one["source"] == source.name for one in facts.drifts)
    found = "it works: the provider's list was read with it" if read else "nobody has used it yet"
    return Step(name, title, State.DONE, found)


def _public(settings: Settings) -> Step:
    title = "The provider can reach us over https"
    if settings.public_url is None:
        hint = Hint(
            "set it to where a proxy of yours passes /webhooks/ to this process, and restart all roles:",
            "export CATCHLIGHT_PUBLIC_URL=https://hooks.example",
        )
        return Step("public_url", title, State.TO_DO, "CATCHLIGHT_PUBLIC_URL is not set", [hint])
    name = "CATCHLIGHT_PUBLIC_URL: "
    odd = [one.removeprefix(name) for one in settings.warnings() if one.startswith(name)]
    if odd:
        hint = Hint("set it to an https address that others reach:", "catchlight config show")
        return Step("public_url", title, State.TO_DO, "; ".join(odd), [hint])
    return Step("public_url", title, State.DONE, f"as {urlsplit(settings.public_url).netloc}")


def _callback(facts: Facts) -> Step:
    title = "A genuine callback has come in"
    if count := facts.tally.get(CALLED_BACK, 0):
        return Step("callback", title, State.DONE, f"{count:,} so far")
    found = "none yet"
    if facts.tally.get("refused_unparseable"):
        found = "a signed test came through; no prediction has called back yet"
    hints = [
        Hint("send a signed test by the public address:", "catchlight connect"),
        Hint("or a simulated callback to this machine:", "catchlight trigger clean"),
        Hint("or submit something, with the address below as its webhook."),
    ]
    return Step("callback", title, State.TO_DO, found, hints)


def _output(facts: Facts, *, stored: bool, texts: bool) -> Step:
    title = "An output is stored"
    if stored:
        return Step("output", title, State.DONE, "the newest predictions have files in the storage")
    done = facts.tally.get("stage_done", 0)
    if done and texts:
        found = f"{_count(done, 'prediction')} done, and the newest are texts: nothing to fetch"
        return Step("output", title, State.OPTIONAL, found)
    if done:
        found = f"{_count(done, 'prediction')} done, and the newest have no file"
        return Step("output", title, State.TO_DO, found, [Hint("what became of them:", "catchlight ls")])
    hint = Hint("a simulated one, to try it out:", "catchlight trigger clean")
    found = "none yet: the first callback with an image or a video brings it"
    return Step("output", title, State.TO_DO, found, [hint])


def _hook(facts: Facts) -> Step:
    title = "A hook of yours is told"
    if told := facts.tally.get(TOLD, 0):
        return Step("hook", title, State.DONE, f"{_count(told, 'delivery', 'deliveries')} so far")
    if not facts.hooks:
        hint = Hint("declare one in catchlight.toml under [[hooks]], to hear of what is done.")
        return Step("hook", title, State.OPTIONAL, "none is declared; files are stored all the same", [hint])
    hints = [Hint("send it a signed ping:", f"catchlight hooks test {facts.hooks[0].name}")]
    return Step("hook", title, State.TO_DO, "nothing has been delivered yet", hints)


def _count(n: int, noun: str, plural: str = "") -> str:
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"
