"""A worker killed in the middle of a download loses nothing and doubles nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from service.simulator.simulator import SimulatorConfig
from service.telling.waterfall import Kind, waterfall
from tests.stories.house import House
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path


def lines(house: House, role: str, id_: str) -> list[dict[str, Any]]:
    """Of what it logged since it was started."""
    logged = [json.loads(line) for line in house.log(role).splitlines() if line.startswith("{")]
    return [line for line in logged if line.get("prediction") == f"wavespeed:{id_}"]


def test_a_killed_worker_starts_again_and_finishes_with_one_file_and_one_event(tmp_path: Path) -> None:
    slow = SimulatorConfig(delay=(0.1, 0.2), stall=8.0, callback_retry_base=0.2)
    with House(tmp_path, config=slow) as house:
        id_ = house.submit("slow")
        wait_until(lambda: house.show(id_).get("stage") == "working", what="the download began")
        house.kill("work")
        assert house.show(id_)["stage"] == "working"
        house.start("work")

        prediction = house.ended(id_, timeout=30)
        assert prediction["stage"] == "done"
        assert "crashed" in [line["step"] for line in prediction["timeline"]]
        worked = [span for span in waterfall(prediction) if span.kind is Kind.WORKING]
        assert [(span.failed, "died" in span.label) for span in worked] == [(True, True), (False, False)]
        files = [path for path in (tmp_path / "outputs").rglob("*") if path.is_file()]
        assert len([path for path in files if path.parent.name == id_]) == 2, "the image and its manifest"
        assert not list((tmp_path / "outputs" / ".tmp").glob("*"))
        assert len(house.heard(id_)) == 1
        said = [(role, line["event"]) for role in ("work", "sweep") for line in lines(house, role, id_)]
        steps = [
            ("work", "prediction.committed"),
            ("work", "delivery.attempted"),
            ("sweep", "prediction.crashed"),
        ]
        assert said == steps, "each lease has one line, whatever its end was"


def test_a_worker_asked_to_stop_hands_back_at_once_and_it_is_no_crash(tmp_path: Path) -> None:
    slow = SimulatorConfig(delay=(0.1, 0.2), stall=8.0, callback_retry_base=0.2)
    with House(tmp_path, {"grace": "500ms", "lease": "60s"}, config=slow) as house:
        id_ = house.submit("slow")
        wait_until(lambda: house.show(id_).get("stage") == "working", what="the download began")
        assert house.end("work") == 0
        assert house.show(id_)["stage"] == "accepted"
        house.start("work")

        prediction = house.ended(id_, timeout=30)
        assert prediction["stage"] == "done"
        assert "crashed" not in [line["step"] for line in prediction["timeline"]]
