"""The six drills: how each thing breaks, and what those do who mend it outside of Catchlight."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from service import embedded
from service.prediction import TERMINAL
from service.simulator.simulator import DEMO_SECRET
from tests.faults import proxy
from tests.faults.gameday.drill import Drill
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.faults.gameday.scene import Scene

CHANGED_SECRET = "whsec_c29tZWJvZHktY2hhbmdlZC1pdC1hdC10aGUtcHJvdmlkZXI="
DISK, KEPT_FREE = "64m", "16m"
_MIB = 1 << 20


def redis_dies(scene: Scene) -> None:
    scene.family.processes.slots["redis"].wanted = False
    scene.family.kill("redis")


def redis_is_started(scene: Scene) -> None:
    scene.family.processes.slots["redis"].wanted = True
    embedded.wait_ready(scene.family.redis.get_connection_kwargs()["port"], 30)


def the_disk_fills(scene: Scene) -> None:
    found = os.statvfs(scene.family.storage)
    free = found.f_bavail * found.f_frsize
    with (scene.family.storage / "ballast").open("wb") as file:
        file.write(bytes(free - 4 * _MIB))


def the_disk_is_freed(scene: Scene) -> None:
    (scene.family.storage / "ballast").unlink()


def the_secret_is_changed(scene: Scene) -> None:
    simulator = scene.family.simulator

    def change() -> None:
        simulator.config = replace(simulator.config, secrets=(CHANGED_SECRET,))

    scene.family.backstage.call(change)


def both_secrets_are_set(scene: Scene) -> None:
    fetched = (scene.folder / "secret").read_text().strip()
    both = {"CATCHLIGHT_WEBHOOK_SECRETS": f"{DEMO_SECRET},{fetched}"}
    scene.family.environment |= both
    scene.family.processes.slots["serve"].environment |= both
    scene.family.restart("serve")


def the_cdn_forbids(scene: Scene) -> None:
    scene.family.fault("origin", proxy.answer(403))


def the_cdn_is_mended(scene: Scene) -> None:
    """And whatever was asked of it before has been answered: the next step is for what has ended."""
    scene.family.fault("origin", proxy.PASS)
    before = list(scene.load.ids)
    wait_until(lambda: all(scene.family.stage(id_) in TERMINAL for id_ in before), 60, "all of before end")


def the_hook_answers_500(scene: Scene) -> None:
    scene.family.fault("hook", proxy.answer(500))


def the_hook_is_mended(scene: Scene) -> None:
    scene.family.fault("hook", proxy.PASS)


def all_workers_stop(scene: Scene) -> None:
    for name in ("work-1", "work-2"):
        scene.family.processes.retire(name)


DRILLS = (
    Drill(
        "hook-500",
        "the hook answers 500 to everything",
        "CatchlightHookFails",
        "hooks.failing",
        the_hook_answers_500,
        outside="Have the endpoint mended by its owner",
        mends=the_hook_is_mended,
        codes={"catchlight hooks test NAME": 1},
        names={"NAME": "sample"},
        changes={"hook_schedule": "1s,2s,5s,10s" + ",20s" * 10, "breaker_probe": "2s"},
        ways=("hook",),
    ),
    Drill(
        "cdn-403",
        "the CDN answers 403 to everything",
        "CatchlightFetchesFail",
        "fetches",
        the_cdn_forbids,
        outside="Mend that (the CDN's owner does, or the setting)",
        mends=the_cdn_is_mended,
        ways=("origin",),
    ),
    Drill(
        "redis-down",
        "Redis is killed and stays away",
        "CatchlightRedisDown",
        "redis",
        redis_dies,
        outside="Start it (`systemctl start redis-server`)",
        mends=redis_is_started,
        codes={"catchlight doctor": 4},
    ),
    Drill(
        "wrong-secret",
        "somebody changes the webhook secret at the provider",
        "CatchlightSecretDrifted",
        "secret",
        the_secret_is_changed,
        outside="Set the old and the new one and restart `serve`",
        mends=both_secrets_are_set,
        codes={"catchlight connect": 5, "catchlight connect --source NAME --write FILE": 5},
        names={"NAME": "wavespeed", "FILE": "{folder}/secret"},
    ),
    Drill(
        "disk-full",
        "the disk of the outputs is full",
        "CatchlightStorageTroubled",
        "storage",
        the_disk_fills,
        outside="Free the disk",
        mends=the_disk_is_freed,
        codes={"catchlight doctor": 4},
        changes={"disk_free": str(16 * _MIB)},
        disk=DISK,
    ),
    Drill(
        "no-workers",
        "all workers are stopped",
        "CatchlightNoWorker",
        "role.work",
        all_workers_stop,
    ),
)
"""The longest first: they run side by side."""
