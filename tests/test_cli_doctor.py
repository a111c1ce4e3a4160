"""`doctor`: every assumption it tests, and that a failure carries its fix and exit code 4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import redis

from service import embedded, keys
from service.cli import server_checks
from service.ledger import durability
from service.ledger.durability import State
from tests.collector import collecting
from tests.commandline import CommandLine, Ran, in_ledger
from tests.wire import envelope

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_httpserver import HTTPServer

SECRET = "whsec_secret"


@pytest.fixture
def cli(tmp_path: Path, redis_url: str) -> CommandLine:
    return CommandLine(tmp_path, redis_url)


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of this file's own: its configuration is changed."""
    with embedded.running(tmp_path_factory.mktemp("own")) as url:
        yield url


def by_name(ran: Ran) -> dict[str, Any]:
    checks = ran.json["checks"]
    assert all(set(check) == {"name", "state", "detail", "fix"} for check in checks)
    return {check["name"]: check for check in checks}


def test_a_system_that_is_set_up_fails_nothing(cli: CommandLine) -> None:
    ran = cli.run("doctor", "--json", webhook_secrets=SECRET)
    checks = by_name(ran)
    assert ran.code == 0
    for name in (
        "redis",
        "redis.write",
        "durability.appendonly",
        "durability.appendfsync",
        "storage",
        "secrets",
    ):
        assert checks[name]["state"] == "ok"
    assert (checks["roles"]["state"], checks["provider"]["state"]) == ("warn", "warn")
    assert "catchlight work" in checks["roles"]["fix"]


def test_people_get_each_fix_on_a_line(cli: CommandLine) -> None:
    ran = cli.run("doctor")
    assert ran.code == 4
    assert "fail secrets: set CATCHLIGHT_WEBHOOK_SECRETS" in ran.out


def test_a_store_that_cannot_be_written_fails_with_the_reason(cli: CommandLine) -> None:
    (cli.folder / "file").write_text("in the way")
    ran = cli.run("doctor", "--json", webhook_secrets=SECRET, storage_url=f"file://{cli.folder}/file/outputs")
    storage = by_name(ran)["storage"]
    assert ran.code == 4
    assert storage["state"] == "fail"
    assert "CATCHLIGHT_STORAGE_URL" in storage["fix"]
    assert "file" in storage["detail"]


def test_redis_away_fails_and_the_rest_is_still_tested(cli: CommandLine) -> None:
    ran = cli.run("doctor", "--json", redis_url="redis://127.0.0.1:1/0")
    checks = by_name(ran)
    assert ran.code == 4
    assert checks["redis"]["state"] == "fail"
    assert checks["storage"]["state"] == "ok"
    assert "redis.write" not in checks


def test_without_any_redis_the_fix_names_the_setting(tmp_path: Path) -> None:
    ran = CommandLine(tmp_path, None).run("doctor", "--json")
    assert ran.code == 4
    assert by_name(ran)["redis"]["fix"] == "set CATCHLIGHT_REDIS_URL"


def test_settings_that_cannot_be_read_are_exit_2_and_still_json(cli: CommandLine) -> None:
    ran = cli.run("doctor", "--json", concurency="3")
    assert ran.code == 2
    assert "CATCHLIGHT_CONCURRENCY" in by_name(ran)["settings"]["detail"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("appendonly", "no"), ("appendfsync", "everysec"), ("maxmemory-policy", "allkeys-lru")],
)
def test_a_server_that_is_not_durable_fails(name: str, value: str, own_server: str, tmp_path: Path) -> None:
    with redis.Redis.from_url(own_server, decode_responses=True) as client:
        before = client.config_get(name)[name]
        client.config_set(name, value)
        try:
            ran = CommandLine(tmp_path, own_server).run("doctor", "--json", webhook_secrets=SECRET)
        finally:
            client.config_set(name, before)
    check = by_name(ran)[f"durability.{name}"]
    assert (ran.code, check["state"]) == (4, "fail")
    assert f"{name} is {value}" in check["detail"]


def test_a_server_that_hides_its_configuration_is_a_warning(own_server: str) -> None:
    with redis.Redis.from_url(own_server) as client:
        client.acl_setuser(
            "app", enabled=True, passwords=["+app"], keys=["*"], categories=["+@all"], commands=["-config"]
        )
    limited = own_server.replace("redis://", "redis://app:app@")
    (finding,) = in_ledger(limited, lambda ledger: durability.check(ledger.redis))
    assert (finding.name, finding.state) == ("durability", State.WARN)
    assert "appendfsync is always" in finding.fix


def test_a_full_server_fails_its_write(own_server: str, tmp_path: Path) -> None:
    with redis.Redis.from_url(own_server) as client:
        client.config_set("maxmemory", "1mb")
        try:
            ran = CommandLine(tmp_path, own_server).run("doctor", "--json", webhook_secrets=SECRET)
        finally:
            client.config_set("maxmemory", "0")
    checks = by_name(ran)
    assert (ran.code, checks["redis.write"]["state"]) == (4, "fail")
    assert checks["redis.memory"]["state"] == "warn"


def test_a_setting_that_the_server_does_not_know_is_not_taken_for_right() -> None:
    assert durability.judge("appendfsync", None).state is State.FAIL


@pytest.mark.parametrize(
    ("text", "state"),
    [("6.2.0", "ok"), ("7.2.4", "ok"), ("10.0", "ok"), ("6.0.16", "fail"), ("5", "fail"), ("", "fail")],
)
def test_a_server_that_is_too_old_fails(text: str, state: str) -> None:
    assert server_checks.version(text).state == state


@pytest.mark.parametrize(
    ("used", "most", "state"), [(900, 0, "ok"), (800, 1000, "ok"), (801, 1000, "warn"), (2000, 1000, "warn")]
)
def test_memory_is_a_warning_above_four_fifths(used: int, most: int, state: str) -> None:
    assert server_checks.memory({"used_memory": used, "maxmemory": most}).state == state


@pytest.mark.parametrize(("ahead", "state"), [(0.0, "ok"), (-29.0, "ok"), (400.0, "warn"), (-400.0, "warn")])
def test_clocks_that_disagree_are_a_warning(ahead: float, state: str) -> None:
    assert server_checks.clocks(ahead).state == state


def test_jobs_that_were_set_aside_are_a_warning(cli: CommandLine, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.lpush(keys.ASIDE, "{}")
    assert by_name(cli.run("doctor", "--json"))["jobs"]["state"] == "warn"


def test_a_key_that_works_shows_the_balance(cli: CommandLine, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/api/v3/balance").respond_with_json(envelope({"balance": 42.5}))
    ran = cli.run("doctor", "--json", wavespeed_api_key="k", provider_url=httpserver.url_for("/api/v3"))
    provider = by_name(ran)["provider"]
    assert (provider["state"], provider["detail"]) == ("ok", "the API key works; balance 42.50 USD")


@pytest.mark.parametrize(("status", "state"), [(401, "fail"), (503, "warn")])
def test_a_refused_key_fails_and_a_busy_provider_is_a_warning(
    status: int, state: str, cli: CommandLine, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/api/v3/balance").respond_with_json(
        {"code": status, "message": "no"}, status=status
    )
    ran = cli.run("doctor", "--json", wavespeed_api_key="k", provider_url=httpserver.url_for("/api/v3"))
    assert by_name(ran)["provider"]["state"] == state


def test_a_hook_at_a_private_address_is_a_warning(cli: CommandLine) -> None:
    hook = '[[hooks]]\nname = "crm"\nurl = "http://10.0.0.7/hook"\nsecret = "whsec_c2VjcmV0"\n'
    (cli.folder / "catchlight.toml").write_text(hook)
    check = by_name(cli.run("doctor", "--json"))["hooks"]
    assert check["state"] == "warn"
    assert '"crm"' in check["detail"]


def test_a_probe_of_one_role_follows_its_beat(cli: CommandLine, redis_url: str) -> None:
    assert cli.run("doctor", "--role", "work").code == 4
    in_ledger(redis_url, lambda ledger: ledger.roles.beat("work", "host-1"))
    assert cli.run("doctor", "--role", "work").code == 0
    assert cli.run("doctor", "--role", "sweep").code == 4


def test_a_probe_of_an_unknown_role_is_exit_2(cli: CommandLine) -> None:
    ran = cli.run("doctor", "--role", "worker")
    assert (ran.code, ran.err) == (2, "error: --role: is one of serve, work, sweep\n")


@pytest.mark.parametrize("is_there", [True, False])
def test_a_collector_of_traces_is_tried(cli: CommandLine, is_there: bool) -> None:
    environment = cli.environment(webhook_secrets=SECRET)
    assert "traces" not in by_name(cli.run_in(environment, "doctor", "--json"))
    with collecting() as collector:
        url = collector.url if is_there else f"http://127.0.0.1:{embedded.free_port()}"
        asks = environment | {"OTEL_EXPORTER_OTLP_ENDPOINT": url}
        check = by_name(cli.run_in(asks, "doctor", "--json"))["traces"]
        assert check["state"] == ("ok" if is_there else "warn")
        assert ("OTEL_EXPORTER_OTLP_ENDPOINT" in check["fix"]) is not is_there
        assert (collector.asked, collector.spans) == (int(is_there), [])
