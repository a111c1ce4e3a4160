"""`catchlight capacity` beside a running installation: what bounds it, and whether more would help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service.ledger import Arrival
from service.prediction import Nsfw, Ref, Report, Step, Verdict, Via
from service.simulator.simulator import SimulatorConfig
from tests.commandline import SOURCE, CommandLine, accept
from tests.stories.house import House
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

MANY = 6000
"""More than any worker does before it has told of itself once."""


def text(id_: str) -> Arrival:
    """Of an output that is no file: nothing is waited for but our own work."""
    said = ("a fox",)
    report = Report(
        id_, "completed", Verdict.COMPLETED, outputs=said, nsfw=(Nsfw.CLEAN,), payload={"outputs": said}
    )
    return Arrival(Ref(SOURCE, id_), Via.CALLBACK, Step.CALLED_BACK, report)


class Asked:
    """What `capacity` answers beside a house."""

    def __init__(self, house: House, folder: Path) -> None:
        self._environment = house.environment
        self._cli = CommandLine(folder, None)
        self.found: dict[str, Any] = {}

    def anew(self) -> dict[str, Any]:
        ran = self._cli.run_in(self._environment, "capacity", "--over", "0.3", "--json")
        assert ran.code == 0, ran.err
        self.found = ran.json
        verdict: dict[str, Any] = self.found["verdict"]
        return verdict

    def bound(self) -> dict[str, Any]:
        """Its verdict as soon as something is."""
        wait_until(lambda: self.anew()["bound"] != "nothing", 60, "something bounds it")
        found: dict[str, Any] = self.found["verdict"]
        return found

    def shown(self) -> str:
        return self._cli.run_in(self._environment, "capacity", "--over", "0.3").out

    def process(self, role: str) -> dict[str, Any]:
        [one] = [one for one in self.found["processes"] if one["role"] == role]
        assert isinstance(one, dict)
        return one


def test_idle_it_says_so_and_behind_a_slow_origin_that_more_places_would_help(tmp_path: Path) -> None:
    slow = SimulatorConfig(delay=(0.0, 0.0), stall=3.0)
    with House(tmp_path, {"concurrency": "2"}, slow) as house:
        asked = Asked(house, tmp_path)
        idle = asked.anew()
        assert (idle["bound"], idle["process"], idle["machine"]) == ("nothing", False, False)
        assert idle["why"].startswith("idle")

        for _ in range(20):
            house.submit("slow")
        verdict = asked.bound()
        assert verdict["bound"] == "concurrency", asked.found
        assert verdict["process"]
        assert "wait for the origin" in verdict["why"]
        assert verdict["step"].startswith("raise CATCHLIGHT_CONCURRENCY from 2 to ")
        worker = asked.process("work")
        assert worker["slots"] == 2
        assert worker["effort"]["means"]["origin"] > 0.8
        assert worker["effort"]["busy"] < 0.8
        assert asked.shown().startswith("bound by  concurrency: all 2 places are taken")


def test_a_worker_that_computes_all_the_time_is_said_to_do_so(tmp_path: Path) -> None:
    with House(tmp_path, {"reconcile_every": "0"}) as house:
        house.end("work")
        # Nobody is told: this story's hooks live in one thread, and would be what is waited for.
        (tmp_path / "catchlight.toml").write_text("")
        for begin in range(0, MANY, 500):
            texts = [text(f"text{n}") for n in range(begin, begin + 500)]
            accept(house.environment["CATCHLIGHT_REDIS_URL"], *texts)
        house.start("work")
        asked = Asked(house, tmp_path)
        verdict = asked.bound()
        assert verdict["bound"] == "worker_cpu", asked.found
        assert verdict["machine"]
        assert asked.process("work")["effort"]["busy"] > 0.4
        assert asked.found["waiting"]["backlog"] > 100
        assert asked.found["redis"]["scripts_per_second"] > 0
        house.end("work")
        assert asked.anew()["bound"] == "no_worker"
