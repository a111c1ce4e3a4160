"""What a release is made of: a wheel that lacks nothing, and a bill of materials that names no registry."""

from __future__ import annotations

import json
import re
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests import release

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return release.wheel(tmp_path_factory.mktemp("dist"))


def test_the_wheel_has_every_file_of_both_packages_and_none_of_the_tests(built: Path) -> None:
    assert release.lacking(built) == []
    with zipfile.ZipFile(built) as archive:
        names = archive.namelist()
        entry = archive.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    assert {"service/py.typed", "workers/py.typed"} <= set(names)
    assert [name for name in names if name.startswith(("tests/", "deploy/"))] == []
    assert "catchlight = service.cli:main" in entry


def test_the_bill_of_materials_has_what_the_lock_has_and_no_address(tmp_path: Path) -> None:
    target = tmp_path / "sbom.json"
    assert release.bill(target) > 20
    text = target.read_text()
    locked = re.findall(r"^([a-z0-9-]+)==", release.LOCK.read_text(), re.MULTILINE)
    named = {one["name"] for one in json.loads(text)["components"]}
    assert set(locked) <= named
    assert not re.search(r"https?://(?!cyclonedx)", text)


def test_there_is_a_python_to_try_it_with() -> None:
    assert release.pythons()
