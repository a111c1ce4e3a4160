"""Follows a prediction's timeline through the table of legal moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service.prediction import LEGAL_MOVES, TERMINAL, Stage, Step

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


def illegal_moves(timeline: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """One sentence per move that the table does not have. An empty timeline says nothing.

    A round that ends in another try, and a hand-back at a stop, leave no line of their own: the next lease
    is their proof.
    """
    stage = Stage.AWAITED
    for number, line in enumerate(timeline):
        entered = _entered(stage, line)
        if entered is None:
            continue
        if line["step"] == Step.LEASED and stage is Stage.WORKING:
            continue
        if entered not in LEGAL_MOVES[stage] and entered is not stage:
            yield f"line {number} ({line['step']} {line['detail']}): {stage} → {entered} is no move"
        elif entered is stage and line["step"] == Step.COMMITTED:
            yield f"line {number}: committed as {stage} a second time"
        stage = entered


def _entered(stage: Stage, line: Mapping[str, Any]) -> Stage | None:
    match line["step"]:
        case Step.ACCEPTED | Step.CRASHED:
            return Stage.ACCEPTED
        case Step.LEASED:
            return Stage.WORKING
        case Step.COMMITTED:
            return Stage(line["detail"])
        case Step.REPLAYED | Step.JUDGED | Step.REVIEWED if stage in TERMINAL:
            # A replay, a duplicate whose flags are stricter, or a person's decision opens what was closed.
            return Stage.ACCEPTED
        case _:
            return None
