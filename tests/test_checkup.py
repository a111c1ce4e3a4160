"""The workers' part of `doctor`: how much room the disks have, and what to do when it is not enough."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from service.settings import load
from service.storage.disk import look_at
from tests.disks import small_disk
from workers.errands import check

if TYPE_CHECKING:
    from pathlib import Path


def checked(capsys: pytest.CaptureFixture[str], **settings: str) -> dict[str, Any]:
    """The findings by their names."""
    assert check(load({f"CATCHLIGHT_{name.upper()}": value for name, value in settings.items()}), []) == 0
    return {finding["name"]: finding for finding in json.loads(capsys.readouterr().out)}


@pytest.mark.parametrize(
    ("share", "state", "says"),
    [(2, "fail", "nothing is fetched"), (0.75, "warn", "soon"), (0.1, "ok", "MiB")],
)
def test_every_disk_is_told_of_before_it_is_short(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], share: float, state: str, says: str
) -> None:
    """`share`: of what is free, so much is to stay free."""
    found = checked(
        capsys,
        disk_free=str(int(look_at(tmp_path).free_bytes * share)),
        storage_url=f"file://{tmp_path}/outputs",
        held_storage_url=f"file://{tmp_path}/held",
    )
    assert found.pop("storage")["state"] == "ok"
    assert {name: disk["state"] for name, disk in found.items()} == {"disk": state, "disk.held": state}
    assert says in found["disk"]["detail"]
    assert ("CATCHLIGHT_DISK_FREE" in found["disk"]["fix"]) is (state != "ok")


def test_held_files_on_the_same_store_are_no_second_disk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert set(checked(capsys, storage_url=f"file://{tmp_path}/outputs")) == {"storage", "disk"}


def test_a_full_disk_needs_room_and_not_other_rights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        (disk / "filler").write_bytes(bytes(64 * 1024))
        found = checked(capsys, storage_url=disk.as_uri())
    assert (found["storage"]["state"], found["storage"]["fix"]) == ("fail", "free some room on it")
    assert found["disk"]["state"] == "fail"
