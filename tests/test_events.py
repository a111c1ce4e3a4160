from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from service import clock, events
from service.events import Kind
from service.prediction import Disposition, Ref, Stage
from tests.builders import NOON, hook, output, ref

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.hooks import Hook

PREDICTION: dict[str, Any] = {
    "id": "p1",
    "source": "main",
    "model": "acme/painter",
    "status": "completed",
    "stage": "done",
    "reason": None,
    "received_via": "poll",
    "created_at": "2023-11-14T22:13:19.500Z",
    "received_at": "2023-11-14T22:13:20.000Z",
    "finished_at": "2023-11-14T22:13:21.000Z",
    "attempts": 1,
    "metadata": {"order": 7},
    "timeline": [{"at": "", "step": "accepted", "detail": ""}],
    "deliveries": [],
}


def told(
    *outputs: dict[str, Any],
    generation: int = 1,
    at: float = NOON,
    hooks: Iterable[Hook] = (),
    **changed: Any,
) -> list[events.Event]:
    return events.of_prediction(
        ref(), generation, PREDICTION | {"outputs": list(outputs)} | changed, hooks, at
    )


@pytest.mark.parametrize(
    ("stage", "kind"),
    [
        (Stage.DONE, "prediction.completed"),
        (Stage.FAILED, "prediction.failed"),
        (Stage.EXPIRED, "prediction.expired"),
        (Stage.DEAD, "prediction.dead"),
    ],
)
def test_every_end_is_told_by_exactly_one_event(stage: Stage, kind: str) -> None:
    assert [event.kind for event in told(stage=stage)] == [kind]


@pytest.mark.parametrize("stage", sorted(set(Stage) - set(events.OF_STAGE)))
def test_what_has_not_ended_is_not_told(stage: Stage) -> None:
    with pytest.raises(KeyError):
        told(stage=stage)


def test_the_body_carries_the_contracts_fields_and_no_others() -> None:
    (event,) = told(output(0))
    body = json.loads(event.body)
    assert body["type"] == "prediction.completed"
    assert body["timestamp"] == clock.rfc3339(NOON)
    carried = set(PREDICTION) - {"received_at", "attempts", "timeline", "deliveries"}
    assert {name: body["data"][name] for name in carried} == {name: PREDICTION[name] for name in carried}
    assert set(body["data"]) == carried | {"outputs"}
    assert body["data"]["outputs"] == [output(0)]


def test_every_held_output_has_an_event_of_its_own_with_just_that_output() -> None:
    all_of_them = [output(0), output(1, Disposition.HELD), output(2, Disposition.HELD)]
    completed, *held = told(*all_of_them)
    assert completed.kind == Kind.COMPLETED
    assert [event.kind for event in held] == [Kind.HELD, Kind.HELD]
    assert [
        [one["index"] for one in json.loads(event.body)["data"]["outputs"]] for event in (completed, *held)
    ] == [[0, 1, 2], [1], [2]]


@pytest.mark.parametrize("disposition", [one for one in Disposition if one is not Disposition.SKIPPED])
def test_nothing_in_an_event_leads_to_what_nobody_cleared(disposition: Disposition) -> None:
    cleared = disposition in (Disposition.STORED, Disposition.RELEASED)
    for event in told(output(0, disposition)):
        (shown,) = json.loads(event.body)["data"]["outputs"]
        assert (shown["uri"] is not None) == (shown["sha256"] is not None) == cleared


def test_what_is_no_file_is_never_told_of() -> None:
    (event,) = told(output(0, Disposition.SKIPPED), output(1))
    assert [one["index"] for one in json.loads(event.body)["data"]["outputs"]] == [1]


def test_an_events_id_is_a_function_of_what_it_tells() -> None:
    def ids(**changed: Any) -> set[str]:
        return {
            event.id for event in told(output(0, Disposition.HELD), output(1, Disposition.HELD), **changed)
        }

    first = ids()
    assert len(first) == 3
    assert ids(at=NOON + 99, hooks=[hook()], metadata={}) == first, "and of nothing else"
    assert not ids(generation=2) & first
    assert (
        not {e.id for e in events.of_prediction(Ref("other", "p1"), 1, PREDICTION | {"outputs": []}, (), 0)}
        & first
    )


@pytest.mark.parametrize(
    ("disposition", "kind"),
    [
        (Disposition.HELD, Kind.HELD),
        (Disposition.RELEASED, Kind.RELEASED),
        (Disposition.REJECTED, Kind.REJECTED),
    ],
)
def test_each_decision_about_an_output_is_an_occasion_of_its_own(
    disposition: Disposition, kind: Kind
) -> None:
    def events_of(decided: dict[int, int] | None) -> list[events.Event]:
        prediction = PREDICTION | {"outputs": [output(0, disposition), output(1)]}
        return events.of_prediction(ref(), 1, prediction, (), NOON, decided=decided)

    ends, ours = zip(*(events_of(decided) for decided in (None, {0: 1}, {0: 2})), strict=True)
    assert {event.kind for event in ours} == {kind}
    assert len({event.id for event in ours}) == 3
    assert len({event.id for event in ends}) == 1, "the prediction has completed but once"
    assert events_of({0: 0})[1].id == ours[0].id


def test_hooks_get_what_their_globs_ask_for() -> None:
    hooks = [
        hook("all"),
        hook("ends", events="prediction.*"),
        hook("held", events=["output.held"]),
        hook("theirs", models="other/*"),
    ]
    completed, held = told(output(0, Disposition.HELD), hooks=iter(hooks))
    assert (completed.hooks, held.hooks) == (("all", "ends"), ("all", "held"))


def test_a_delivery_is_named_by_its_event_and_hook() -> None:
    (event,) = told(hooks=[hook("crm"), hook("mail")])
    first, second = event.deliveries()
    assert first == {"id": events.delivery_id(event.id, "crm"), "hook": "crm"}
    assert first["id"] != second["id"]
    assert first["id"].startswith("dlv_")


def test_text_stays_readable_in_the_body() -> None:
    (event,) = told(metadata={"name": "Zoë 🙂"})
    assert "Zoë 🙂" in event.body
