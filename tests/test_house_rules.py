"""The rules of the house, read off the sources; a violation is reported as `path:line: rule`."""

from __future__ import annotations

import ast
import importlib
import re
from typing import TYPE_CHECKING

import pytest

from tests.house import ROOT, Source, catches_everything, cycles, module_graph, own_nodes, sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Rule = Callable[[Source], Iterator[tuple[int, str]]]

LAYERS = (
    (
        "errors clock plain_json durations prediction refusals review moderation hooks signing keys events "
        "drift sources settings given sentinels telling throughput late_log"
    ),
    (
        "authorities wavespeed ledger queues logs metrics storage darkroom embedded failpoints ending login "
        "garbage effort tracing"
    ),
    "intake operator reviewing comparing runs troubles capacity",
    "web cli simulator",
)
"""The rooms of `service`, ground first: each imports its own layer and those before it."""
GROUND, FRONTS = 0, 3
OUTSIDE_THINGS = {"aiohttp", "asyncio", "httpx", "obstore", "redis", "rq", "socket", "subprocess", "uvicorn"}

LONGEST_FILE, LONGEST_FUNCTION = 300, 60
SHAPELESS_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}
SYNONYMS = {
    "artefact": "output",
    "artifact": "output",
    "canceled": "cancelled",
    "dead_letter": "dead",
    "dlq": "dead",
    "quarantine": "held",
    "subscriber": "hook",
}

PROVIDER = "wavespeed"
PROVIDER_FILES = (
    "service/wavespeed/*",
    "service/settings/model.py",  # its defaults, and the variable that its own tools read
    "service/simulator/plot.py",  # the stand-in's models
    "service/simulator/load.py",  # the stand-in's inputs
)
ENVIRONMENT_FILES = (
    "service/settings/*",
    "service/__init__.py",  # what a library reads before anything else is loaded
)
RQ_FILES = ("service/queues.py", "workers/worker*.py", "workers/take.py")
BROAD_EXCEPTS = {
    "service/darkroom/resident.py:_work": "a decoder raises anything over a stranger's bytes",
    "workers/loop.py:_run": "the job edge: one job's bug is not the worker's end",
    "workers/opinion/resident.py:_answer": "a decoder raises anything over a stranger's bytes",
    "workers/process.py:work": "the job edge: a bug is committed as a failed round, and raised",
    "service/web/receiver.py:__call__": "the web edge: Starlette's own is not around callbacks",
    "workers/sweep.py:_rhythm": "the edge of the sweeper: one beat's bug does not end the others",
}
"""`path:function` → why anything at all may be caught there."""
TOP_LEVEL = {
    "pyproject.toml",
    "README.md",
    "service",
    "workers",
    "tests",
    "deploy",
    "LICENSE",
    "CHANGELOG.md",
}
IGNORED_BY_GIT = {"uv.lock", "dist"}


def layer(room: str) -> int | None:
    return next((rank for rank, rooms in enumerate(LAYERS) if room in rooms.split()), None)


def reach(room: str) -> int:
    """The highest layer that a room may import; the workers have everything but the fronts."""
    own = layer(room)
    return FRONTS - 1 if own is None else own


def arrows_point_down(source: Source) -> Iterator[tuple[int, str]]:
    if source.path == "service/__init__.py":
        return
    if source.room != "workers" and layer(source.room) is None:
        yield 1, f"{source.room} stands in no layer: give it one in LAYERS"
        return
    for line, name in source.imports:
        top, _, rest = name.partition(".")
        target = rest.partition(".")[0]
        if top == "workers" and source.room != "workers":
            yield line, f"service imports {name}: it names jobs and never imports workers"
        if top == "service" and target != source.room and (layer(target) or 0) > reach(source.room):
            yield line, f"{source.room} imports {name}, which stands above it"


def ground_does_no_io(source: Source) -> Iterator[tuple[int, str]]:
    if layer(source.room) == GROUND:
        for line, name in source.imports:
            if name.partition(".")[0] in OUTSIDE_THINGS:
                yield line, f"{name} is an outside thing; the ground decides and does no I/O"


def files_are_short(source: Source) -> Iterator[tuple[int, str]]:
    if (lines := len(source.text.splitlines())) > LONGEST_FILE:
        yield LONGEST_FILE, f"{lines} lines; a file has at most {LONGEST_FILE}"


def functions_are_short(source: Source) -> Iterator[tuple[int, str]]:
    for function in source.functions:
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        if lines > LONGEST_FUNCTION:
            yield (
                function.lineno,
                f"{function.name}: {lines} lines; a function has at most {LONGEST_FUNCTION}",
            )


def files_are_named_by_what_they_are(source: Source) -> Iterator[tuple[int, str]]:
    for part in source.module.split("."):
        if part.strip("_") in SHAPELESS_NAMES:
            yield 1, f"{part} names no idea; if no other name fits, it is not one thing yet"


def one_place_knows_the_provider(source: Source) -> Iterator[tuple[int, str]]:
    """Imports of its module and the name of its key are how others refer to that place."""
    if not source.among(PROVIDER_FILES):
        classes = [node for node in source.nodes if isinstance(node, ast.ClassDef)]
        defined = [(node.lineno, node.name) for node in [*source.functions, *classes]]
        for line, text in [*source.strings, *source.comments, *defined]:
            if PROVIDER in text.lower().replace("service.wavespeed", "").replace("wavespeed_api_key", ""):
                yield line, "the provider's name stands in PROVIDER_FILES only"


def settings_alone_read_the_environment(source: Source) -> Iterator[tuple[int, str]]:
    if not source.among(ENVIRONMENT_FILES):
        read = [(n.lineno, ast.unparse(n)) for n in source.nodes if isinstance(n, ast.Attribute)]
        for line, name in [*read, *source.imports]:
            if name in ("os.environ", "os.environb", "os.getenv", "os.putenv"):
                yield line, f"{name} is used in service/settings only"


def one_clock(source: Source) -> Iterator[tuple[int, str]]:
    if source.path != "service/clock.py":
        for node in source.nodes:
            if isinstance(node, ast.Attribute) and ast.unparse(node) in (
                *("time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "date.today"),
                *("datetime.datetime.now", "datetime.datetime.utcnow", "datetime.date.today"),
            ):
                yield (
                    node.lineno,
                    f"{ast.unparse(node)}: the time comes from service.clock, or from the caller",
                )


def rq_is_touched_in_two_places(source: Source) -> Iterator[tuple[int, str]]:
    if not source.among(RQ_FILES):
        for line, name in source.imports:
            if name.partition(".")[0] == "rq":
                yield line, f"{name}: rq is imported by RQ_FILES only"


def redis_keys_are_spelled_in_keys(source: Source) -> Iterator[tuple[int, str]]:
    if source.path != "service/keys.py":
        for line, text in source.strings:
            if re.match(r"catchlight:(?=\S|$)", text):
                yield line, f"{text!r}: keys are spelled in service/keys.py only"


def broad_excepts_are_listed(source: Source) -> Iterator[tuple[int, str]]:
    for function in [source.tree, *source.functions]:
        name = f"{source.path}:{getattr(function, 'name', '')}"
        for node in own_nodes(function):
            if catches_everything(node) and name not in BROAD_EXCEPTS:
                yield getattr(node, "lineno", 1), f"catches everything: name the errors, or list {name!r}"


def nothing_is_left_over(source: Source) -> Iterator[tuple[int, str]]:
    for line, text in enumerate(source.text.splitlines(), start=1):
        if found := re.search(r"\b(TODO|FIXME|XXX|NotImplementedError)\b", text):
            yield line, f"{found[0]} is a left-over"


def suppressions_have_a_code_and_a_reason(source: Source) -> Iterator[tuple[int, str]]:
    reasoned = r"(noqa: [A-Z]+\d+(, ?[A-Z]+\d+)*|type: ignore\[[\w, -]+\])\s+([-#] ?)?\w"
    for line, text in source.comments:
        if re.search(r"#\s*(ruff: |flake8: )?(noqa|type:\s*ignore)", text) and not re.search(reasoned, text):
            yield line, "a suppression names its code and has its reason on the line"


def each_word_has_one_spelling(source: Source) -> Iterator[tuple[int, str]]:
    for node in source.nodes:
        names = [getattr(node, attribute, None) for attribute in ("id", "attr", "arg", "name")]
        for name in filter(None, names):
            for wrong in (wrong for wrong in SYNONYMS if wrong in str(name).lower()):
                yield getattr(node, "lineno", 1), f"{name}: the word of the house is {SYNONYMS[wrong]}"


BROKEN = [
    (arrows_point_down, "service/ledger/a.py", "if TYPE_CHECKING:\n    from service.intake import accept"),
    (arrows_point_down, "service/intake.py", "from service import web"),
    (arrows_point_down, "service/keys.py", "import workers.jobs"),
    (arrows_point_down, "service/web/app.py", "from workers import jobs"),
    (arrows_point_down, "workers/sweep.py", "from service.cli import main"),
    (arrows_point_down, "service/ledger/a.py", "from ..intake import accept"),
    (arrows_point_down, "service/ledger/a.py", "importlib.import_module('service.web')"),
    (arrows_point_down, "service/attic.py", ""),
    (ground_does_no_io, "service/hooks.py", "import httpx"),
    (files_are_short, "service/keys.py", "\n" * 301),
    (functions_are_short, "service/keys.py", "def f():\n" + "    x = 1\n" * 60),
    (files_are_named_by_what_they_are, "service/web/utils.py", ""),
    (files_are_named_by_what_they_are, "workers/base/__init__.py", ""),
    (one_place_knows_the_provider, "service/keys.py", "x = f'{y} at WaveSpeed'"),
    (one_place_knows_the_provider, "service/keys.py", "# wavespeed sends null"),
    (one_place_knows_the_provider, "service/keys.py", "class WaveSpeedError: pass"),
    (settings_alone_read_the_environment, "workers/fetch.py", "import os\nos.environ.get('A')"),
    (settings_alone_read_the_environment, "workers/fetch.py", "from os import getenv"),
    (one_clock, "workers/fetch.py", "import time\ntime.time()"),
    (one_clock, "workers/fetch.py", "now = datetime.now(UTC)"),
    (rq_is_touched_in_two_places, "workers/fetch.py", "from rq.job import Job"),
    (redis_keys_are_spelled_in_keys, "service/ledger/a.py", "key = f'catchlight:{id}'"),
    (broad_excepts_are_listed, "workers/fetch.py", "def f():\n  try: g()\n  except Exception: pass"),
    (broad_excepts_are_listed, "workers/fetch.py", "try: g()\nexcept (OSError, BaseException): pass"),
    (broad_excepts_are_listed, "workers/fetch.py", "try: g()\nexcept: pass"),
    (broad_excepts_are_listed, "workers/fetch.py", "with suppress(Exception): g()"),
    (nothing_is_left_over, "workers/fetch.py", "def f():\n    raise NotImplementedError"),
    (nothing_is_left_over, "workers/fetch.py", "# TODO: later"),
    (suppressions_have_a_code_and_a_reason, "workers/fetch.py", "x = 1  # noqa"),
    (suppressions_have_a_code_and_a_reason, "workers/fetch.py", "x = 1  # noqa: S105"),
    (suppressions_have_a_code_and_a_reason, "workers/fetch.py", "x = 1  # type: ignore[misc]"),
    (each_word_has_one_spelling, "workers/fetch.py", "def to_dead_letter(): ..."),
]
ALLOWED = [
    (arrows_point_down, "service/web/app.py", "from service.intake import accept\nfrom service.cli import x"),
    (arrows_point_down, "workers/process.py", "from service import intake\nimport workers.fetch"),
    (
        one_place_knows_the_provider,
        "service/web/app.py",
        "from service.wavespeed import verify\nx.wavespeed_api_key",
    ),
    (suppressions_have_a_code_and_a_reason, "workers/fetch.py", "x = 1  # noqa: S105, S106 - a reason"),
    (suppressions_have_a_code_and_a_reason, "workers/fetch.py", "x = 1  # type: ignore[misc]  # a reason"),
    (redis_keys_are_spelled_in_keys, "service/cli/a.py", "print('catchlight: no such id')"),
    (broad_excepts_are_listed, "workers/fetch.py", "try: g()\nexcept (OSError, ValueError): pass"),
]
RULES = list(dict.fromkeys(rule for rule, _, _ in BROKEN))
KEPT_BY_TESTS_TOO = (suppressions_have_a_code_and_a_reason, nothing_is_left_over)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps(rule: Rule) -> None:
    folders = ("service", "workers", "tests") if rule in KEPT_BY_TESTS_TOO else ("service", "workers")
    found = [
        f"{source.path}:{line}: {text}"
        for source in sources(*folders)
        if source.path != "tests/test_house_rules.py"
        for line, text in rule(source)
    ]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(("rule", "path", "text"), BROKEN)
def test_a_rule_sees_what_breaks_it(rule: Rule, path: str, text: str) -> None:
    assert list(rule(Source(path, text)))


@pytest.mark.parametrize(("rule", "path", "text"), ALLOWED)
def test_a_rule_lets_pass_what_keeps_it(rule: Rule, path: str, text: str) -> None:
    assert not list(rule(Source(path, text)))


def test_no_module_leads_back_to_itself() -> None:
    found = cycles(module_graph(sources("service", "workers")))
    assert not found, "\n" + "\n".join(" → ".join(way) for way in found)


def test_a_cycle_is_seen_even_when_one_import_is_for_typing_only() -> None:
    a = Source("service/a.py", "from service import b")
    b = Source("service/b.py", "if TYPE_CHECKING:\n    from service.a import A")
    assert cycles(module_graph([a, b]))[0] == ["service.a", "service.b", "service.a"]


def test_every_job_that_the_service_names_is_a_function_of_the_workers() -> None:
    names = {
        name
        for source in sources("service")
        for _, text in source.strings
        for name in re.findall(r"\bworkers\.jobs\.(\w+)", text)
    }
    assert names
    jobs = importlib.import_module("workers.jobs")
    assert [name for name in sorted(names) if not callable(getattr(jobs, name, None))] == []


def test_every_listed_exception_still_exists() -> None:
    functions = {f"{s.path}:{f.name}" for s in sources("service", "workers") for f in s.functions}
    assert set(BROAD_EXCEPTS) <= functions


def test_the_top_level_is_the_one_agreed_on() -> None:
    found = {entry.name for entry in ROOT.iterdir() if not entry.name.startswith(".")}
    assert found - TOP_LEVEL - IGNORED_BY_GIT - {"__pycache__"} == set()
