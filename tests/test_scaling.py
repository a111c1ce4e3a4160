"""`deploy/scaling.md` has what the model makes of what was measured; so have the requests that we ship."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.bench import page
from tests.bench.model import IMAGE, LARGE, REDIS_GB, SINGLE, Measured, limits, redis_gb, sized

FIGURES = dict.fromkeys((*page.COSTS, "receiver MB", "worker MB", "sweeper MB"), 1.0)
COST = FIGURES | {
    "receiver ms": 0.5,
    "worker ms": 10.0,
    "sweeper ms": 0.0,
    "redis ms": 1.0,
    "compact": 2000.0,
}
COST |= {"memory": 6000.0, "files": 2.0, "fsyncs": 0.5}
ALONE = COST | {"worker ms": 20.0, "fsyncs": 8.0}
SOME = Measured(
    {IMAGE: COST, SINGLE: ALONE, LARGE: COST | {"worker ms": 55.0}},
    {"receiver ms": 3.0, "worker ms": 5.0, "sweeper ms": 10.0, "redis ms": 6.0},
)


def test_the_page_has_the_tables_of_the_model() -> None:
    text = page.PAGE.read_text()
    assert page.written(text) == text, "run: uv run --group bench python -m tests.bench.page"
    assert len(re.findall(r"^<!-- \w+: written by", text, re.MULTILINE)) == len(page.tables())


def test_what_was_measured_says_when_where_and_under_which_load() -> None:
    _, found = page.measured()
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", found["at"])
    assert re.fullmatch(r"[0-9a-f]{7,40}", found["commit"])
    assert "cores" in found["machine"]
    assert any("load average" in note for note in found["notes"])
    assert set(found["costs"]) == set(page.SHAPES)
    for shape, cost in found["costs"].items():
        assert set(page.COSTS) <= set(cost), shape
        for figure, middle in cost.items():
            assert found["least"][shape][figure] <= middle <= found["most"][shape][figure]


def test_processes_follow_from_cores_and_places() -> None:
    hundred = sized(SOME, 6000)
    assert hundred.cores["worker"] == pytest.approx(100 * 0.010 + hundred.workers * 0.005)
    assert hundred.receivers == 1
    # 100 a second, 0.58 s in flight each, at 60 % of 64 places: two; by CPU 1 core at 60 %: two.
    assert hundred.workers == 2
    assert hundred.in_flight == pytest.approx(58)
    assert hundred.network_gbit == pytest.approx(0.8)
    assert hundred.writes == 200
    assert hundred.stored_tb == pytest.approx(8.64)
    assert hundred.all_cores == pytest.approx(sum(hundred.cores.values()))


def test_at_small_rates_each_costs_what_one_alone_costs() -> None:
    assert sized(SOME, 60).fsyncs == 8
    assert sized(SOME, 60).cores["worker"] == pytest.approx(0.020 + 0.005)
    assert sized(SOME, 60_000).fsyncs == pytest.approx(1000 / sized(SOME, 60_000).redis * 0.5)


def test_large_files_cost_the_worker_by_their_size() -> None:
    assert SOME.worker_ms_by_mb == 5.0
    some, large = sized(SOME, 6000), sized(SOME, 6000, 50.0)
    assert large.cores["worker"] - large.workers * 0.005 == pytest.approx(100 * (0.010 + 49 * 0.005))
    assert large.cores["redis"] == some.cores["redis"]
    assert large.workers > some.workers
    faster = Measured({**SOME.costs, LARGE: COST | {"worker ms": 1.0}}, SOME.idle)
    assert faster.worker_ms_by_mb == 0, "noise makes no file cheaper than a smaller one"


def test_memory_is_what_stays_and_decides_how_many_redis_there_are() -> None:
    assert redis_gb(SOME, 60, 30) == pytest.approx((30 * 86_400 * 2000 + 3600 * 4000) / 1e9)
    small = sized(SOME, 60)
    assert small.redis == 1
    large = sized(SOME, 100_000)
    assert large.redis_gb > REDIS_GB
    assert large.redis == -(-large.redis_gb_least // (REDIS_GB * 0.65))
    assert large.sources >= large.redis


def test_the_lowest_limit_comes_first() -> None:
    found = limits(SOME)
    assert found == sorted(found, key=lambda one: one.per_minute)
    by_name = {one.what: one.per_minute for one in found}
    assert by_name["one worker, its core"] == pytest.approx(60 * 600 / 10)
    assert by_name["one Redis, its core: all that one source can have"] == pytest.approx(60 * 500)
    assert by_name["1 Gbit/s into one machine"] == pytest.approx(7500)
    assert by_name["20 polls a second of one source, 1 % of callbacks lost"] == pytest.approx(120_000)
    memory = by_name["64 GB of Redis, 7 days kept"]
    assert redis_gb(SOME, memory, 7) == pytest.approx(REDIS_GB * 0.65)


def _megabytes(text: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", text).groups()  # type: ignore[union-attr]  # a failure says as much
    return int(number) * {"Mi": 2**20, "Gi": 2**30}[unit] / 1e6


@pytest.mark.parametrize(("file", "role"), [("serve", "receiver"), ("work", "worker"), ("sweep", "sweeper")])
def test_requests_in_kubernetes_follow_from_the_measurement(file: str, role: str) -> None:
    model, _ = page.measured()
    [one] = [
        made
        for made in yaml.safe_load_all((page.ROOT / f"deploy/kustomize/base/{file}.yaml").read_text())
        if made["kind"] == "Deployment"
    ]
    asked = one["spec"]["template"]["spec"]["containers"][0]["resources"]
    resident = page.resident(model, role)
    assert 1.25 * resident <= _megabytes(asked["requests"]["memory"]) <= 2.5 * resident
    assert _megabytes(asked["limits"]["memory"]) >= resident + (2**29 / 1e6 if role == "worker" else resident)
    cpu = int(asked["requests"]["cpu"].removesuffix("m"))
    assert cpu >= 5 * model.idle[f"{role} ms"], "milliseconds a second are thousandths of a core"
    assert "cpu" not in asked["limits"], "a loop that is throttled renews its leases late"
