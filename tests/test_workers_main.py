"""`python -m workers`: a wrong call or setting is one sentence, and the check for `doctor` is one list."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from workers.__main__ import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CATCHLIGHT_REDIS_URL", "redis://127.0.0.1:1/0")


@pytest.mark.parametrize(
    ("arguments", "says"), [([], "usage: "), (["dance"], "usage: "), (["alone", "main"], "SOURCE ID TOKEN")]
)
def test_a_wrong_call_is_exit_code_2(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert says in capsys.readouterr().err


def test_a_wrong_setting_is_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CATCHLIGHT_LEASE", "soon")
    assert main(["work"]) == 2
    assert capsys.readouterr().err.startswith("error: CATCHLIGHT_LEASE")


@pytest.mark.parametrize(
    ("url", "state"),
    [("file://{}/outputs", "ok"), ("file://{}/blocked/outputs", "fail"), ("file:///", "fail")],
)
def test_the_check_for_doctor_says_what_is_wrong_and_how_to_mend_it(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    url: str,
    state: str,
) -> None:
    (tmp_path / "blocked").write_text("a file where a folder belongs")
    monkeypatch.setenv("CATCHLIGHT_STORAGE_URL", url.format(tmp_path))
    assert main(["check"]) == 0
    check, *disks = json.loads(capsys.readouterr().out)
    assert [disk["name"] for disk in disks] == (["disk"] if url.startswith("file://{}/o") else [])
    assert (check["name"], check["state"], bool(check["fix"])) == ("storage", state, state == "fail")
    assert ("CATCHLIGHT_STORAGE_URL" in check["detail"]) is (state == "fail")
