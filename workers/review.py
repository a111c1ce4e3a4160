"""A person's decision about one output, carried out: its file goes where it belongs now, once or again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service import clock
from service.errors import NotFound
from service.ledger import Note
from service.prediction import Disposition, Step
from service.review import Decision
from workers.keep import release, withdraw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.ledger import PredictionRecord
    from service.review import Review
    from workers.outputs import Output
    from workers.workshop import Workshop

    Notes = list[Note]

_MAKES = {Decision.APPROVE: Disposition.RELEASED, Decision.REJECT: Disposition.REJECTED}


def wanted(output: Output, review: Review) -> Disposition | None:
    """What the decision makes of the output as it is; None when nothing."""
    holds = review.holds(output.nsfw, output.sha256)
    match output.disposition:
        case Disposition.HELD:
            return _MAKES.get(review.decision) if holds else None
        case Disposition.RELEASED:
            return Disposition.HELD if review.decision is Decision.UNDO or not holds else None
        case Disposition.REJECTED:
            return Disposition.HELD if review.decision is Decision.UNDO else None
        case _:
            return None


def is_due(record: PredictionRecord, outputs: Sequence[Output]) -> bool:
    """Is a decision still to be carried out, or does one hold no longer?"""
    reviewed = [
        (output, record.reviews[output.index]) for output in outputs if output.index in record.reviews
    ]
    return any(wanted(output, review) for output, review in reviewed)


async def carry_out(shop: Workshop, record: PredictionRecord, output: Output, notes: Notes) -> None:
    """Nothing to do when it was done already, or nobody decided. Raises StorageError."""
    review = record.reviews.get(output.index)
    if review is None or output.key is None:
        return
    to = wanted(output, review)
    if to is Disposition.RELEASED:
        try:
            await release(shop, output, output.key, notes)
        except NotFound as error:
            # What the person saw is gone. A replay fetches it again, and finds the approval waiting for it.
            notes.append(Note(Step.REVIEWED, f"{output.index} could not be released: {error}"))
            return
    elif to is Disposition.REJECTED:
        await shop.vault.delete_derived(output.key, output.sha256, held=True)
        output.disposition, output.uri = to, None
        output.rejected_at = clock.rfc3339(clock.now())
    elif to is Disposition.HELD:
        await _hold_again(shop, output, output.key, review, notes)
    elif review.decision is Decision.APPROVE and review.number > output.decision:
        notes.append(Note(Step.HELD, f"{output.index} stays: {_why_held(output, review)}"))
    if to is not None:
        output.decision = review.number


async def _hold_again(shop: Workshop, output: Output, key: str, review: Review, notes: Notes) -> None:
    if output.disposition is Disposition.RELEASED:
        why = _why_held(output, review)
        try:
            await withdraw(shop, output, key, why, notes)
        except NotFound as error:
            # Nobody is led to it any more, which is what was asked for.
            notes.append(Note(Step.HELD, f"{output.index} {why}: {error}"))
        else:
            return
    output.disposition, output.uri = Disposition.HELD, shop.vault.uri(key, held=True)


def _why_held(output: Output, review: Review) -> str:
    if review.decision is Decision.UNDO:
        return "taken back"
    if output.sha256 != review.sha256:
        return "other bytes than were approved"
    return f"{output.nsfw}, stricter than when it was approved"
