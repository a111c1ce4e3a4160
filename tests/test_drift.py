"""Drift: which numbers a listed prediction counts in, from what both sides say of it."""

from __future__ import annotations

from itertools import product

import pytest

from service.drift import NUMBERS, QUERIES, Drift, Standing, summed
from service.prediction import Stage, Verdict, Via

ENDED, RUNS = Verdict.COMPLETED, Verdict.PENDING


def counted(verdict: Verdict, standing: Standing | None) -> set[str]:
    drift = Drift("main", 0.0, 0.0)
    drift.note(verdict, standing)
    assert drift.counts["listed"] == 1
    return {name for name, n in drift.counts.items() if n} - {"listed"}


@pytest.mark.parametrize(
    ("verdict", "standing", "numbers"),
    [
        (RUNS, None, {"missing"}),
        (ENDED, None, {"missing", "never_called_back"}),
        (RUNS, Standing(Stage.AWAITED, None), {"seen"}),
        (ENDED, Standing(Stage.AWAITED, None), {"late"}),
        (Verdict.FAILED, Standing(Stage.AWAITED, None), {"late"}),
        (ENDED, Standing(Stage.DONE, Via.CALLBACK), {"seen"}),
        (ENDED, Standing(Stage.WORKING, Via.POLL), {"seen", "never_called_back"}),
        (ENDED, Standing(Stage.DONE, Via.RECONCILE), {"seen", "never_called_back"}),
        (ENDED, Standing(Stage.EXPIRED, Via.CALLBACK), {"seen", "output_expired"}),
        (ENDED, Standing("a stage of tomorrow", "by pigeon"), {"seen"}),
    ],
)
def test_what_a_listed_prediction_counts_in(
    verdict: Verdict, standing: Standing | None, numbers: set[str]
) -> None:
    assert counted(verdict, standing) == numbers


def test_every_listed_prediction_is_seen_missing_or_late_and_only_one_of_them() -> None:
    standings = [None, *(Standing(stage, via) for stage, via in product(Stage, (None, *Via)))]
    for verdict, standing in product(Verdict, standings):
        assert len(counted(verdict, standing) & {"seen", "missing", "late"}) == 1


def test_several_sources_are_summed_since_the_earliest_instant() -> None:
    left, right = Drift("left", 1000.0, 5000.0), Drift("right", 2000.0, 5000.0)
    left.note(ENDED, None)
    right.note(RUNS, Standing(Stage.AWAITED, None))
    both = summed([left.public(), right.public()])
    assert both["since"] == left.public()["since"]
    assert (both["listed"], both["missing"], both["adopted"], both["seen"]) == (2, 1, 1, 1)


def test_every_number_is_explained_and_every_query_belongs_to_one() -> None:
    assert set(QUERIES) < set(NUMBERS)
    assert all(NUMBERS.values())
