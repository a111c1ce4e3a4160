"""`submit`, `track`, `simulate` and `trigger`, against the stand-in provider that `simulate` runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from service.cli import simulate
from service.cli.trigger import receiver_of, scenario_of
from service.errors import ConfigError, InvalidInput
from service.ledger import Commit
from service.prediction import Ref, Stage
from service.settings import load
from service.simulator.scenario import Scenario
from service.simulator.simulator import SimulatorConfig
from tests.commandline import SOURCE, CommandLine, end, in_ledger, stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_httpserver import HTTPServer

MODEL = "vendor/model"


@pytest.fixture
def cli(tmp_path: Path, redis_url: str) -> CommandLine:
    return CommandLine(tmp_path, redis_url)


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API of `catchlight simulate`, for this file."""
    command = CommandLine(tmp_path_factory.mktemp("simulate"), None)
    process = command.start("simulate", "--port", "0", "--seed", "1", "--fastest", "0", "--slowest", "0")
    with process:
        assert process.stdout is not None
        yield process.stdout.readline().strip() + "/api/v3"
        process.terminate()
        _, said = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "ready role=simulate" in said


def test_a_submitted_id_is_durable_when_it_is_printed(
    cli: CommandLine, redis_url: str, provider: str
) -> None:
    ran = cli.run(
        "submit", MODEL, "-i", "seed=7", "--metadata", "order=1", provider_url=provider, wavespeed_api_key="k"
    )
    assert ran.code == 0, ran.err
    shown = cli.run("show", ran.out.strip(), "--json").json
    assert (shown["stage"], shown["model"], shown["metadata"]) == ("awaited", MODEL, {"order": 1})


def test_the_same_key_submits_once(cli: CommandLine, provider: str) -> None:
    def submit(*more: str) -> tuple[int, str]:
        ran = cli.run(
            "submit", MODEL, "--key", "order-1", *more, provider_url=provider, wavespeed_api_key="k"
        )
        return ran.code, ran.out

    first = submit()
    assert first[0] == 0
    assert submit() == first
    assert submit("-i", "seed=8") == (1, "")


def test_submit_prints_the_prediction_as_json(cli: CommandLine, provider: str) -> None:
    ran = cli.run("submit", MODEL, "--json", provider_url=provider, wavespeed_api_key="k")
    assert (ran.json["stage"], ran.json["source"]) == ("awaited", SOURCE)


def test_watch_tells_the_timeline_and_ends_with_the_prediction(
    cli: CommandLine, redis_url: str, provider: str
) -> None:
    """The id comes first on stdout, so that whoever reads it can act on it."""
    process = cli.start("submit", MODEL, "--watch", provider_url=provider, wavespeed_api_key="k")
    with process:
        assert process.stdout is not None
        id_ = process.stdout.readline().strip()
        output = {"index": 0, "disposition": "stored", "uri": "file:///outputs/0.png"}
        end(redis_url, id_, Commit(Stage.DONE, outputs=[output]))
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "file:///outputs/0.png\n")
    assert "submitted" in err
    assert "committed" in err


def test_watching_what_fails_is_exit_1(cli: CommandLine, redis_url: str, provider: str) -> None:
    process = cli.start("submit", MODEL, "--watch", provider_url=provider, wavespeed_api_key="k")
    with process:
        assert process.stdout is not None
        end(redis_url, process.stdout.readline().strip(), Commit(Stage.EXPIRED, outputs=[]))
        process.communicate(timeout=20)
    assert process.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["../x"], "model: "),
        ([MODEL, "-i", "seed"], "-i: `seed` is not name=value"),
        ([MODEL, "--key", "a b"], "Idempotency-Key: "),
    ],
)
def test_input_that_cannot_be_sent_is_exit_2(arguments: list[str], hint: str, cli: CommandLine) -> None:
    ran = cli.run("submit", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"error: {hint}")


def test_the_providers_refusal_is_exit_1(cli: CommandLine, provider: str) -> None:
    ran = cli.run("submit", MODEL, "-i", "simulate=nonsense", provider_url=provider, wavespeed_api_key="k")
    assert (ran.code, ran.out) == (1, "")
    assert "simulate" in ran.err


def test_a_provider_that_is_away_is_exit_1(cli: CommandLine) -> None:
    ran = cli.run("submit", MODEL)
    assert (ran.code, ran.out) == (1, "")
    assert "error: no connection to the provider" in ran.err


def test_tracked_ids_are_awaited_with_their_metadata(cli: CommandLine, redis_url: str) -> None:
    ran = cli.run("track", "p1", "p2", "--model", MODEL, "--metadata", "order=1", "--json")
    assert [(item["id"], item["stage"], item["model"]) for item in ran.json["items"]] == [
        ("p1", "awaited", MODEL),
        ("p2", "awaited", MODEL),
    ]
    assert ran.json["items"][0]["metadata"] == {"order": 1}
    assert stage(redis_url, "p2") is Stage.AWAITED


def test_an_impossible_id_is_found_out_before_any_is_tracked(cli: CommandLine, redis_url: str) -> None:
    assert cli.run("track", "p1", "p/2").code == 2
    assert in_ledger(redis_url, lambda ledger: ledger.reading.record(Ref(SOURCE, "p1"))) is None


def test_simulate_tells_machines_its_address(tmp_path: Path) -> None:
    process = CommandLine(tmp_path, None).start("simulate", "--port", "0", "--seed", "5", "--json")
    with process:
        assert process.stderr is not None
        while process.stderr.readline().strip() != "ready role=simulate":
            pass
        process.terminate()
        out, _ = process.communicate(timeout=20)
    said = json.loads(out)
    assert said["seed"] == 5
    assert said["url"].startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("host", "settings"),
    [
        ("127.0.0.1", ["CATCHLIGHT_FETCH_HOSTS=127.0.0.1", "CATCHLIGHT_FETCH_PRIVATE=127.0.0.0/8"]),
        ("10.77.0.3", ["CATCHLIGHT_FETCH_HOSTS=10.77.0.3", "CATCHLIGHT_FETCH_PRIVATE=10.77.0.3/32"]),
        ("9.9.9.9", ["CATCHLIGHT_FETCH_HOSTS=9.9.9.9"]),
        ("provider.example", ["CATCHLIGHT_FETCH_HOSTS=provider.example"]),
    ],
)
def test_simulate_names_the_settings_that_let_its_files_pass(
    host: str, settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    simulate._say_how(f"http://{host}:8090", SimulatorConfig(secrets=("whsec_ours",)))
    said = [line.strip() for line in capsys.readouterr().err.splitlines()]
    assert [line for line in said if line.startswith("CATCHLIGHT_FETCH_")] == settings
    assert any("connect --write" in line for line in said)


def test_simulate_on_a_taken_port_is_exit_2(cli: CommandLine, provider: str) -> None:
    port = provider.split(":")[2].partition("/")[0]
    ran = cli.run("simulate", "--port", port)
    assert ran.code == 2
    assert "cannot listen on 127.0.0.1" in ran.err


def test_trigger_sends_a_signed_callback(cli: CommandLine, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hook").respond_with_data("taken")
    ran = cli.run("trigger", "flagged", "--to", httpserver.url_for("/hook"), webhook_secrets="whsec_secret")
    assert (ran.code, ran.out) == (0, "genuine  200  taken\n")
    ((request, _),) = httpserver.log
    assert request.headers["webhook-signature"].startswith("v3,")
    assert json.loads(request.data)["has_nsfw_contents"][0] is True


def test_trigger_tells_machines_what_was_answered(cli: CommandLine, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hook").respond_with_data("no", status=401)
    ran = cli.run("trigger", "forged", "--to", httpserver.url_for("/hook"), "--secret", "x", "--json")
    assert ran.code == 1
    assert [(one["kind"], one["status"]) for one in ran.json["sent"]] == [("forged", 401), ("genuine", 401)]


def test_a_refused_forgery_alone_is_no_failure(cli: CommandLine, httpserver: HTTPServer) -> None:
    httpserver.expect_ordered_request("/hook").respond_with_data("no", status=401)
    httpserver.expect_ordered_request("/hook").respond_with_data("yes")
    assert cli.run("trigger", "forged", "--to", httpserver.url_for("/hook"), "--secret", "x").code == 0


def test_the_callback_that_is_lost_is_not_sent(cli: CommandLine) -> None:
    ran = cli.run("trigger", "lost", "--to", "http://127.0.0.1:9/", "--secret", "x")
    assert (ran.code, ran.out) == (0, "")


def test_trigger_without_a_secret_names_the_setting(cli: CommandLine) -> None:
    ran = cli.run("trigger", "clean")
    assert ran.code == 2
    assert "CATCHLIGHT_WEBHOOK_SECRETS" in ran.err


@pytest.mark.parametrize("scenario", list(Scenario))
def test_every_scenario_is_known_by_its_name(scenario: Scenario) -> None:
    assert scenario_of(scenario.value) is scenario


def test_an_unknown_scenario_names_the_nearest() -> None:
    with pytest.raises(InvalidInput, match="there is no flaged; the nearest is flagged"):
        scenario_of("flaged")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:9000/webhooks/wavespeed"),
        ("0.0.0.0", "http://127.0.0.1:9000/webhooks/wavespeed"),  # noqa: S104 - a setting, nothing listens
        ("::1", "http://[::1]:9000/webhooks/wavespeed"),
    ],
)
def test_our_own_receiver_is_the_default_target(host: str, url: str) -> None:
    settings = load({"CATCHLIGHT_HOST": host, "CATCHLIGHT_PORT": "9000", "CATCHLIGHT_ADMIN_TOKEN": "t"})
    assert receiver_of(settings, settings.account()) == url


def test_a_port_that_nobody_knows_is_asked_for() -> None:
    settings = load({"CATCHLIGHT_PORT": "0"})
    with pytest.raises(ConfigError, match="--to"):
        receiver_of(settings, settings.account())
