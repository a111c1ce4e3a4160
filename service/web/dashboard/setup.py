"""Set-up: a checklist that turns green while the operator works it off, and the address to submit with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from service import troubles
from service.ledger.query import Query
from service.prediction import Disposition, Stage
from service.web.dashboard import checklist
from service.web.dashboard.checklist import State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from service.web.dashboard.desk import Desk

LOOKED_AT = 20
"""Predictions that are done, for one with a file."""
_WITH_A_FILE = (Disposition.STORED, Disposition.HELD, Disposition.RELEASED, Disposition.REJECTED)


def routes(desk: Desk) -> Sequence[Route]:
    return (Route("/setup", _Page(desk).shown, methods=["GET"]),)


class _Page:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def shown(self, request: Request) -> Response:
        settings, ledger = self._desk.settings, self._desk.ledger
        facts = await troubles.gather(ledger, settings)
        latest, _ = await ledger.reading.page(Query(stage=Stage.DONE), LOOKED_AT, None)
        storage = next(row.value for row in settings.describe() if row.name == "storage_url")
        steps = checklist.steps(
            facts,
            settings,
            storage=storage.replace("`", ""),
            stored=any(map(_has_a_file, latest)),
            texts=_are_texts(latest),
        )
        return self._desk.look.page(
            request,
            "setup.html",
            steps=steps,
            done=sum(step.state is State.DONE for step in steps),
            left=sum(step.state is State.TO_DO for step in steps),
            addresses=list(checklist.addresses(settings)),
            paths=[source.path for source in settings.accounts],
        )


def _has_a_file(prediction: Mapping[str, Any]) -> bool:
    return any(output["disposition"] in _WITH_A_FILE for output in prediction["outputs"])


def _are_texts(predictions: Sequence[Mapping[str, Any]]) -> bool:
    outputs = [output for one in predictions for output in one["outputs"]]
    return bool(outputs) and all(output["disposition"] == Disposition.SKIPPED for output in outputs)
