"""The operator over an opened desk, for the commands that ask the provider or change what it made."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from service import logs, tracing, wavespeed
from service.cli.context import Desk, opened
from service.intake import Intake
from service.operator import Operator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_PATIENCE = 1.0
"""Seconds for the spans of a command."""


@asynccontextmanager
async def operating(
    id_: str | None = None, source: str | None = None
) -> AsyncIterator[tuple[Desk, Operator]]:
    """As `opened`."""
    async with opened(id_, source) as desk, wavespeed.open_http() as http:
        # The command itself says what it did; of the log only what went wrong is news.
        logs.configure("warning", desk.settings.log_format)
        clients = wavespeed.clients(desk.settings.accounts, http)
        with tracing.opened("command"):
            yield desk, Operator(desk.settings, desk.ledger, Intake(desk.ledger), clients)
            # Nobody at a terminal waits for a collector that is away.
            tracing.stopping(_PATIENCE)
