"""One reviewer has an output at a time, while their page says so; and who has looked is on record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service import keys
from service.ledger.reviewers import LEASE
from tests.builders import ref

if TYPE_CHECKING:
    from service.ledger import Ledger

pytestmark = pytest.mark.anyio


async def test_an_output_is_with_one_reviewer(ledger: Ledger) -> None:
    assert await ledger.reviewers.take(ref(), 0, "ada") == "ada"
    assert await ledger.reviewers.take(ref(), 0, "bob") == "ada"
    assert await ledger.reviewers.take(ref(), 0, "ada") == "ada"
    assert await ledger.reviewers.take(ref(), 1, "bob") == "bob"
    assert await ledger.reviewers.holders([(ref(), 0), (ref(), 1), (ref(), 2)]) == ["ada", "bob", None]
    assert 0 < await ledger.redis.ttl(f"{keys.REVIEWER}{ref()}:0") <= LEASE
    await ledger.reviewers.leave([(ref(), 0), (ref(), 1)])
    assert await ledger.reviewers.take(ref(), 0, "bob") == "bob"
    assert await ledger.reviewers.holders([]) == []


async def test_who_has_looked_is_kept_newest_first_and_not_for_ever(ledger: Ledger) -> None:
    for index in range(502):
        await ledger.reviewers.saw(ref(), index, "ada")
    looks = await ledger.reviewers.looks()
    assert len(looks) == 500
    assert (looks[0]["index"], looks[0]["by"], looks[0]["id"]) == (501, "ada", ref().id)
    assert await ledger.redis.ttl(keys.LOOKS) > 0
