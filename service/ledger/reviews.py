"""Decisions about held outputs, written down for a worker to carry out."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from service.errors import Conflict, NotFound
from service.ledger.compacting import restore

if TYPE_CHECKING:
    from service.ledger.scripts import Scripts
    from service.prediction import Ref
    from service.review import Decision

_DECIDED_FROM = {
    "approve": "only a held output can be approved",
    "reject": "only a held output can be rejected",
    "undo": "only a released or rejected output has a decision to undo",
}


class Reviews:
    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def decide(self, ref: Ref, index: int, decision: Decision, by: str, reason: str) -> int:
        """The decision's number, from 1 on for each output; durable on return, and work is rung.

        Another one may follow, and an undo, before a worker has begun to carry it out.

        Raises NotFound for an unknown prediction or index; Conflict while the prediction is on its way, or
        when the output is nothing that can be decided so.
        """
        arguments = (str(ref), index, decision, by, reason, uuid.uuid4().hex)
        while (answer := await self._scripts.run("review", *arguments)) == ["compact"]:
            await restore(self._scripts, str(ref))
        if answer is None:
            raise NotFound(f"no prediction {ref.id}")
        match answer:
            case ["decided", number]:
                return int(number)
            case ["stage", stage]:
                raise Conflict(f"{ref.id} is {stage}: its outputs can be reviewed once it has ended")
            case ["disposition", disposition]:
                raise Conflict(f"output {index} of {ref.id} is {disposition}: {_DECIDED_FROM[decision]}")
            case _:
                raise NotFound(f"{ref.id} has no output {index}")
