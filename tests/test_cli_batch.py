"""`submit --from FILE`: every line starts once, whatever the provider and the operator do in between."""

from __future__ import annotations

import json
import signal
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug import Response

from service.cli import batch_file
from service.cli.batch import FIRST_WAIT, LONGEST_WAIT, Pause
from service.errors import InvalidInput
from service.prediction import Stage
from tests.commandline import CommandLine, stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from pytest_httpserver import HTTPServer
    from werkzeug import Request

MODEL = "vendor/model"


@pytest.fixture
def cli(tmp_path: Path, redis_url: str) -> CommandLine:
    return CommandLine(tmp_path, redis_url)


class Provider:
    """Takes every submit, but what `refuses` says of a number of the POST and its input."""

    def __init__(self, server: HTTPServer) -> None:
        self.url = server.url_for("/api/v3")
        self.started: list[int] = []
        """The `n` of each input that was taken."""
        self.asked = 0
        self.refuses: Callable[[int, int], Response | None] = lambda _, __: None
        server.expect_request(f"/api/v3/{MODEL}", method="POST").respond_with_handler(self._submit)

    def _submit(self, request: Request) -> Response:
        number = json.loads(request.data)["n"]
        self.asked += 1
        if refusal := self.refuses(self.asked, number):
            return refusal
        self.started.append(number)
        data = {
            "id": f"pred_{len(self.started)}_{number}",
            "model": MODEL,
            "status": "created",
            "outputs": [],
        }
        return Response(json.dumps({"code": 200, "message": "success", "data": data}))


@pytest.fixture
def provider(httpserver: HTTPServer) -> Provider:
    return Provider(httpserver)


def refusal(code: int, message: str, **headers: str) -> Response:
    # The codes of a prediction come in an envelope, and that with a 200.
    status = code if code in range(600) else 200
    return Response(json.dumps({"code": code, "message": message}), status, headers)


def written(folder: Path, entries: Iterable[Any]) -> str:
    path = folder / "batch.jsonl"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return str(path)


def numbered(count: int) -> list[dict[str, Any]]:
    return [{"input": {"n": n}, "metadata": {"row": n}} for n in range(count)]


def submit(
    cli: CommandLine, provider: Provider, file: str, *more: str
) -> tuple[int, list[dict[str, Any]], str]:
    ran = cli.run(
        "submit", MODEL, "--from", file, "--yes", *more, provider_url=provider.url, wavespeed_api_key="k"
    )
    return ran.code, [json.loads(line) for line in ran.out.splitlines()], ran.err


def outcomes(said: Iterable[dict[str, Any]]) -> dict[str, int]:
    return dict(Counter(one["outcome"] for one in said))


def test_each_line_becomes_a_prediction_and_a_line_of_result(
    cli: CommandLine, provider: Provider, redis_url: str, tmp_path: Path
) -> None:
    code, said, told = submit(cli, provider, written(tmp_path, numbered(20)))
    assert (code, outcomes(said)) == (0, {"submitted": 20})
    assert sorted(one["line"] for one in said) == list(range(1, 21))
    assert sorted(provider.started) == list(range(20))
    assert {stage(redis_url, one["id"]) for one in said} == {Stage.AWAITED}
    assert "20 to submit: 20 of vendor/model" in told
    shown = cli.run("show", said[0]["id"], "--json").json
    assert shown["metadata"] == {"row": said[0]["line"] - 1}


def test_the_same_file_again_starts_nothing_and_under_another_name_all_of_it(
    cli: CommandLine, provider: Provider, tmp_path: Path
) -> None:
    """Two lines that say the same are two predictions; sorted otherwise the file is still the same."""
    entries = [*numbered(3), {"input": {"n": 0}, "metadata": {"row": 0}}]
    _, first, _ = submit(cli, provider, written(tmp_path, entries))
    code, again, _ = submit(cli, provider, written(tmp_path, reversed(entries)))
    assert (code, outcomes(again)) == (0, {"already": 4})
    assert {one["id"] for one in again} == {one["id"] for one in first}
    assert sorted(provider.started) == [0, 0, 1, 2]
    _, renamed, _ = submit(cli, provider, written(tmp_path, entries), "--batch", "monday")
    assert outcomes(renamed) == {"submitted": 4}


def test_what_money_would_mend_ends_the_batch_and_the_next_run_goes_on(
    cli: CommandLine, provider: Provider, tmp_path: Path
) -> None:
    file = written(tmp_path, numbered(8))
    provider.refuses = lambda asked, _: refusal(402, "insufficient balance") if asked > 3 else None
    code, said, told = submit(cli, provider, file, "--at-once", "1")
    assert (code, outcomes(said)) == (5, {"submitted": 3, "left": 5})
    assert "insufficient balance; the same command goes on where it was" in told
    assert provider.asked == 4
    provider.refuses = lambda _, __: None
    code, said, _ = submit(cli, provider, file)
    assert (code, outcomes(said)) == (0, {"already": 3, "submitted": 5})
    assert sorted(provider.started) == list(range(8))


def test_a_busy_provider_is_waited_for(cli: CommandLine, provider: Provider, tmp_path: Path) -> None:
    busy = {"Retry-After": "1"}
    provider.refuses = lambda asked, _: refusal(429, "concurrency limit", **busy) if asked == 3 else None
    code, said, _ = submit(cli, provider, written(tmp_path, numbered(6)), "--at-once", "2")
    assert (code, outcomes(said)) == (0, {"submitted": 6})
    assert (provider.asked, sorted(provider.started)) == (7, list(range(6)))


def test_a_line_that_is_refused_or_unknown_does_not_keep_the_others(
    cli: CommandLine, provider: Provider, tmp_path: Path
) -> None:
    bad = {1: refusal(1200, "content moderation"), 2: refusal(1401, "seed"), 4: refusal(500, "internal")}
    provider.refuses = lambda _, number: bad.get(number)
    file = written(tmp_path, numbered(6))
    code, said, _ = submit(cli, provider, file)
    assert (code, outcomes(said)) == (5, {"submitted": 3, "refused": 2, "unknown": 1})
    assert {one["reason"] for one in said if one["outcome"] == "refused"} == {"moderation", "invalid_input"}
    provider.refuses = lambda _, __: None
    _, said, _ = submit(cli, provider, file)
    # Of what may have started nothing is repeated.
    assert outcomes(said) == {"already": 3, "submitted": 2, "unknown": 1}
    assert 4 not in provider.started


def test_nothing_starts_when_none_can(cli: CommandLine, provider: Provider, tmp_path: Path) -> None:
    provider.refuses = lambda _, __: refusal(401, "unauthorized")
    code, said, told = submit(cli, provider, written(tmp_path, numbered(30)))
    assert (code, outcomes(said)) == (1, {"left": 30})
    assert "answered 401: unauthorized; the same command goes on" in told
    assert told.count("submit.without_callback") == 1
    assert provider.asked <= 8


def test_a_signal_ends_it_after_what_is_under_way(
    cli: CommandLine, provider: Provider, tmp_path: Path
) -> None:
    file = written(tmp_path, numbered(200))
    arguments = ("submit", MODEL, "--from", file, "--yes", "--at-once", "2")
    process = cli.start(*arguments, provider_url=provider.url, wavespeed_api_key="k")
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        # Not `communicate`: it reads past what came with the first line and waits in the buffer.
        rest, told = process.stdout.read(), process.stderr.read()
    said = [json.loads(line) for line in [first, *rest.splitlines()]]
    assert process.returncode == 5
    assert len(said) == 200
    assert outcomes(said)["submitted"] == len(provider.started) < 200
    assert "stopped by a signal" in told
    _, again, _ = submit(cli, provider, file)
    assert outcomes(again)["already"] == outcomes(said)["submitted"]
    assert sorted(provider.started) == list(range(200))


def test_it_asks_for_a_yes_and_a_dry_run_stops_there(
    cli: CommandLine, provider: Provider, tmp_path: Path
) -> None:
    file = written(tmp_path, numbered(2))
    ran = cli.run("submit", MODEL, "--from", file, provider_url=provider.url)
    assert (ran.code, ran.out) == (2, "")
    assert "add --yes" in ran.err
    ran = cli.run("submit", MODEL, "--from", file, "--dry-run", "--yes", provider_url=provider.url)
    assert (ran.code, ran.out) == (0, "")
    assert provider.asked == 0


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('{"input": {}}\nnonsense\n', "--from: line 2: line: is not JSON"),
        ("[]\n", "--from: line 1: line: is no JSON object"),
        ('{"input": []}\n', "--from: line 1: input: must be an object"),
        ('{"prompt": "a fox"}\n', "--from: line 1: prompt: is not known"),
        ('\n{"model": "../x"}\n', "--from: line 2: model: "),
        ('{"metadata": [1]}\n', "--from: line 1: metadata: must be an object"),
        ('{"key": "a b"}\n', "--from: line 1: Idempotency-Key: "),
        ('{"model": "wavespeed-ai/instant-character", "input": {}}\n', "--from: line 1: prompt: is required"),
    ],
)
def test_a_line_that_cannot_be_sent_is_found_before_any_is(
    text: str, hint: str, cli: CommandLine, provider: Provider, tmp_path: Path
) -> None:
    (tmp_path / "batch.jsonl").write_text(text)
    code, said, told = submit(cli, provider, "batch.jsonl")
    assert (code, said, provider.asked) == (2, [], 0)
    assert told.startswith(f"error: {hint}")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--from", "nowhere.jsonl"], "--from: nowhere.jsonl cannot be read"),
        (["--from", "x", "--key", "k"], "--key: says something of one prediction"),
        (["--from", "x", "--watch"], "--watch: says something of one prediction"),
        ([], "MODEL: is missing"),
    ],
)
def test_options_that_do_not_go_together_are_named(arguments: list[str], hint: str, cli: CommandLine) -> None:
    ran = cli.run("submit", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"error: {hint}")


def test_a_model_that_neither_line_nor_command_names_is_missed() -> None:
    with pytest.raises(InvalidInput, match="line 1: model: is missing"):
        list(batch_file.read(['{"input": {}}'], batch_file.Given()))


def test_a_line_or_the_command_may_name_another_account(
    cli: CommandLine, provider: Provider, tmp_path: Path
) -> None:
    (tmp_path / "catchlight.toml").write_text(
        f'[[sources]]\nname = "studio"\nkey = "k2"\nsecrets = "whsec_x"\nprovider_url = "{provider.url}"\n'
        '[[sources]]\nname = "keyless"\nsecrets = "whsec_y"\n'
    )
    file = written(tmp_path, [{"input": {"n": 1}}, {"input": {"n": 1}, "source": "wavespeed"}])
    code, said, _ = submit(cli, provider, file, "--source", "studio", "--at-once", "1")
    assert (code, outcomes(said)) == (0, {"submitted": 2})
    # The same words to another account are another prediction.
    assert len({one["key"] for one in said}) == 2
    code, said, told = submit(cli, provider, file, "--source", "keyless", "--at-once", "1")
    assert (code, outcomes(said)) == (5, {"left": 1, "already": 1}) or outcomes(said) == {"left": 2}
    assert "keyless has no key" in told
    code, said, told = submit(cli, provider, file, "--source", "nobody")
    assert (code, said) == (2, [])
    assert "there is no source nobody" in told


def test_a_pause_grows_while_nobody_gets_through_and_counts_a_crowd_once() -> None:
    pause = Pause(patience=1000)
    now, waits = 0.0, []
    for _ in range(9):
        # All but the first of these were sent before the first was answered.
        assert all(pause.longer(now, None, 0.5) for _ in range(5))
        waits.append(pause.until - now)
        now = pause.until
    assert waits[:3] == [FIRST_WAIT, 2 * FIRST_WAIT, 4 * FIRST_WAIT]
    assert waits[-1] == LONGEST_WAIT
    assert pause.longer(now, 90.0, 0.5)
    assert pause.until == now + 90.0
    pause.over()
    now = pause.until
    pause.longer(now, None, 0.5)
    assert pause.until - now == FIRST_WAIT


def test_a_pauses_patience_ends() -> None:
    pause = Pause(patience=10)
    assert pause.longer(100.0, None, 0.5)
    assert pause.longer(109.0, None, 0.5)
    assert not pause.longer(110.0, None, 0.5)
