"""`catchlight hooks test`: one signed ping, and what its answer means."""

from __future__ import annotations

import asyncio

import typer

from service.cli import errands, screen
from service.cli.context import for_children
from service.cli.hooks import AsJson, Name, known, target
from service.hooks.explained import IN_STREAM, explain
from service.settings import load

START_MARGIN = 30.0
"""Seconds that a process of the workers may take beyond the hook's own time-out."""


def command(name: Name, as_json: AsJson = False) -> None:
    """Send a hook one signed `hook.ping`, and explain its answer. Exit code 1 unless it is a 2xx.

    It is no delivery: nothing is retried, and it goes out to a disabled hook too.
    """
    settings = load()
    hook = known(settings, name)
    environment = for_children(settings) if hook.is_stream else None
    answer = asyncio.run(
        errands.run("ping", name, patience=hook.timeout + START_MARGIN, environment=environment)
    )
    explained = (
        IN_STREAM
        if hook.is_stream
        else explain(answer["status"], answer["error"] or "", refused=answer["refused"])
    )
    if as_json:
        screen.data({"hook": name, **answer, "explained": explained})
    else:
        said = f"answered {answer['status']}" if answer["status"] else answer["error"] or "written"
        screen.line(f"{target(hook)}: {said}, after {answer['ms']} ms")
        screen.say(explained)
    if not answer["taken"]:
        raise typer.Exit(1)
