"""`catchlight connect`: an account from its key to a verified test callback, with what is left to do."""

from __future__ import annotations

import asyncio
import re
import sys
from enum import StrEnum
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from service import wavespeed
from service.cli import screen
from service.cli.exits import PARTLY, UNHEALTHY
from service.cli.proof import Answered, Result, call_back
from service.cli.secret_files import given, write_new
from service.cli.trigger import receiver_of
from service.errors import ConfigError, ProviderDown, ProviderRefused
from service.operator import DEFAULT_SOURCE
from service.settings import load
from service.sources import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.settings import Settings

_NAME = re.compile(r"[a-z0-9_-]{1,64}")


class Known(StrEnum):
    """What we have of the provider's secret."""

    CONFIGURED = "configured"
    DIFFERS = "differs"
    UNSET = "unset"


def command(
    source: Annotated[str, typer.Option(help="The account: declared in [[sources]], or a new name.")] = (
        DEFAULT_SOURCE
    ),
    key_file: Annotated[
        Path | None, typer.Option(help="Its API key is in this file; - reads it from stdin.")
    ] = None,
    secret_file: Annotated[
        Path | None, typer.Option(help="The webhook secret too; else the provider is asked for it.")
    ] = None,
    write: Annotated[
        Path | None, typer.Option(help="Write a secret that is not set here yet to this new file, mode 0600.")
    ] = None,
    to: Annotated[str | None, typer.Option(help="Send the test callback there, and not to us.")] = None,
    *,
    no_test: Annotated[bool, typer.Option("--no-test", help="Send no test callback.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as one JSON object.")] = False,
) -> None:
    """Check the key, compare the secret with the provider's, send a signed test callback, say what is to do.

    The callback names no prediction, so that it leaves only a line in `catchlight refused`. No secret is ever
    printed. Exit code 5: something is left to do; 4: the test callback did not get through.
    """
    settings = load()
    account = _account(settings, source)
    key = given("--key-file", key_file) or account.key or _asked("API key", "--key-file")
    secret = given("--secret-file", secret_file)
    found, theirs = asyncio.run(_connect(settings, account, key, secret, to=to, test=not no_test))
    if write is not None and found["secret"] is not Known.CONFIGURED:
        write_new(write, theirs)
        found["written"] = str(write)
    found["steps"] = list(_steps(settings, account, found, key_file))
    if as_json:
        screen.data(found)
    else:
        _show(found)
    if found["test"]["result"] in (Result.REFUSED, Result.UNREACHED):
        raise typer.Exit(UNHEALTHY)
    if found["steps"]:
        raise typer.Exit(PARTLY)


def _account(settings: Settings, name: str) -> Source:
    """The declared one, or one as it would be."""
    if name in settings.source_names:
        return settings.account(name)
    if not _NAME.fullmatch(name):
        raise ConfigError("--source: must be 1 to 64 of a-z, 0-9, _ and -")
    return Source(name, f"/webhooks/{name}", settings.provider_url, settings.poll_rate)


def _asked(what: str, option: str) -> str:
    if not sys.stdin.isatty():
        raise ConfigError(f"the {what} is not set: give it with {option}")
    return str(typer.prompt(what, hide_input=True, err=True)).strip()


async def _connect(
    settings: Settings, account: Source, key: str, secret: str | None, *, to: str | None, test: bool
) -> tuple[dict[str, Any], str]:
    """What was found, and the secret, which stands nowhere in it."""
    async with wavespeed.open_http() as http:
        client = wavespeed.Client(account.provider_url, key, http)
        balance = await client.balance()
        try:
            secret = secret or await client.secret()
        except (ProviderRefused, ProviderDown) as error:
            screen.say(f"the provider does not tell the secret: {error}")
            secret = _asked("webhook secret", "--secret-file")
        known = _known(secret, account)
        answered = Answered(None, Result.SKIPPED, "" if known is Known.CONFIGURED else "first set the secret")
        if known is Known.CONFIGURED and test:
            answered = await call_back(to or _receiver(settings, account), secret)
    url = settings.public_url and f"{settings.public_url}{account.path}"
    return {
        "source": account.name,
        "balance": balance,
        "secret": known,
        "written": None,
        "test": answered._asdict(),
        "callback_url": url,
        "submit": url and f"{account.provider_url}/MODEL?webhook={quote(url, safe='')}",
    }, secret


def _known(secret: str, account: Source) -> Known:
    if wavespeed.is_among(secret, account.secrets):
        return Known.CONFIGURED
    return Known.DIFFERS if account.secrets else Known.UNSET


def _receiver(settings: Settings, account: Source) -> str:
    if settings.public_url:
        return f"{settings.public_url}{account.path}"
    return receiver_of(settings, account)


def _steps(
    settings: Settings, account: Source, found: dict[str, Any], key_file: Path | None
) -> Iterator[str]:
    """What is left to do, in order."""
    default, file = account.name == DEFAULT_SOURCE, found["written"]
    if found["secret"] is not Known.CONFIGURED:
        if file is None:
            yield "run this again with --write FILE: the secret of the provider goes there, and nowhere else"
        elif default:
            before = "the old ones, a comma and " if account.secrets else ""
            yield f"set CATCHLIGHT_WEBHOOK_SECRETS to {before}what stands in {file}, and restart `serve`"
        else:
            yield f"{_table(settings, account, file, key_file)}, and restart all roles"
        if file is not None:
            yield "run this again: it sends a test callback then"
    if default and account.key is None:
        yield "set WAVESPEED_API_KEY, and restart `serve` and `sweep`"
    if found["callback_url"] is None:
        yield "set CATCHLIGHT_PUBLIC_URL to where the provider reaches us"


def _table(settings: Settings, account: Source, file: str, key_file: Path | None) -> str:
    if account.name in settings.source_names:
        return f'put {{ file = "{file}" }} beside the secrets of [[sources]] "{account.name}"'
    key = "…" if key_file is None or str(key_file) == "-" else str(key_file)
    return (
        f'add to catchlight.toml: [[sources]], name = "{account.name}", key = {{ file = "{key}" }}, '
        f'secrets = [{{ file = "{file}" }}]'
    )


def _show(found: dict[str, Any]) -> None:
    screen.line(f"key       works; balance {found['balance']:.2f} USD")
    words = {
        Known.CONFIGURED: "the one that is set here is the provider's",
        Known.DIFFERS: "the provider has another one than is set here",
        Known.UNSET: "none is set here for this account",
    }
    screen.line(f"secret    {words[found['secret']]}")
    if found["written"]:
        screen.line(f"written   {found['written']}")
    test = found["test"]
    where = f" by {test['to']}" if test["to"] else ""
    detail = f": {test['detail']}" if test["detail"] else ""
    screen.line(f"callback  {test['result']}{where}{detail}")
    for number, step in enumerate(found["steps"], 1):
        screen.line(f"to do {number}   {step}")
    if found["submit"]:
        screen.line(f"submit    {found['submit']}")
