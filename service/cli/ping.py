"""`catchlight hooks test`: one signed ping, and what its answer means."""

from __future__ import annotations

import asyncio

import typer

from service.cli import errands, screen
from service.cli.hooks import AsJson, Name, known
from service.hooks import mask_url
from service.settings import load

START_MARGIN = 30.0
"""Seconds that a process of the workers may take beyond the hook's own time-out."""

_MEANINGS = {
    401: "It does not accept our signature: compare the secret, and how it verifies, with ours.",
    403: "It does not accept our signature: compare the secret, and how it verifies, with ours.",
    404: "There is no such endpoint: correct the url in catchlight.toml.",
    405: "It takes no POST there: correct the url in catchlight.toml.",
    410: "It says that it is gone: an event would be dead, and the hook disabled.",
    429: "It is busy: an event would wait for the schedule, or longer if it sends Retry-After.",
    503: "It is busy: an event would wait for the schedule, or longer if it sends Retry-After.",
}
_OF_CLASS = {
    2: "It takes events.",
    3: "Redirects are not followed: put the final address as url in catchlight.toml.",
}
_AGAIN = "An event would be tried again by CATCHLIGHT_HOOK_SCHEDULE, and then be dead."
_REFUSED = "No connection was made: events for this hook are dead at once until that is changed."


def command(name: Name, as_json: AsJson = False) -> None:
    """Send a hook one signed `hook.ping`, and explain its answer. Exit code 1 unless it is a 2xx.

    It is no delivery: nothing is retried, and it goes out to a disabled hook too.
    """
    hook = known(load(), name)
    answer = asyncio.run(errands.run("ping", name, patience=hook.timeout + START_MARGIN))
    explained = explain(answer["status"], refused=answer["refused"])
    if as_json:
        screen.data({"hook": name, **answer, "explained": explained})
    else:
        said = f"answered {answer['status']}" if answer["status"] else answer["error"]
        screen.line(f"{mask_url(hook.url)}: {said}, after {answer['ms']} ms")
        screen.say(explained)
    if not answer["taken"]:
        raise typer.Exit(1)


def explain(status: int | None, *, refused: bool) -> str:
    """What such an answer would mean for an event; `status` None is no answer."""
    if status is None:
        return _REFUSED if refused else _AGAIN
    return _MEANINGS.get(status) or _OF_CLASS.get(status // 100, _AGAIN)
