"""The checker passes a run that went well, and catches each invariant when exactly that one is broken."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest

from tests.faults.a_good_run import START, at, file, found, key, one, output, process, step, told, well
from tests.faults.account import Account
from tests.faults.checker import check, main, report
from tests.faults.history import History, read

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.history import Line


def forgotten(lines: list[Line]) -> None:
    one(lines, "ledger")["found"] = None
    lines.remove(one(lines, "callback"))


def given_up(lines: list[Line]) -> None:
    found(lines)["stage"] = "dead"
    lines[:] = [line for line in lines if line["what"] != "hook"]
    lines.append(told("prediction.dead", "evt_3"))
    lines.append(told("output.held", "evt_2"))


def committed_twice(lines: list[Line]) -> None:
    found(lines)["timeline"].append(step(4, "committed", "done"))


def leased_after_its_end(lines: list[Line]) -> None:
    found(lines)["timeline"].append(step(4, "leased"))


def ended_without_a_lease(lines: list[Line]) -> None:
    del found(lines)["timeline"][2]


def file_missing(lines: list[Line]) -> None:
    lines.remove(one(lines, "file"))


def other_bytes(lines: list[Line]) -> None:
    one(lines, "file")["sha256"] = "something else"


def stored_twice(lines: list[Line]) -> None:
    lines.append(file("painter/2026/01/01/one/0.12345678.png", "sha0"))


def temporary_left(lines: list[Line]) -> None:
    lines.append(file(".tmp/abc", "half"))


def strange_file(lines: list[Line]) -> None:
    lines.append(file("painter/2026/01/01/two/0.png", "sha0"))


def no_manifest(lines: list[Line]) -> None:
    lines.remove(one(lines, "file", 1))


def never_told(lines: list[Line]) -> None:
    one(lines, "hook")["status"] = 500


def held_not_told(lines: list[Line]) -> None:
    lines.remove(one(lines, "hook", 1))


def told_under_two_ids(lines: list[Line]) -> None:
    lines.append(one(lines, "hook") | {"event_id": "evt_9", "body": "another"})


def told_with_two_bodies(lines: list[Line]) -> None:
    lines.append(one(lines, "hook") | {"status": 500, "body": "another"})


def badly_signed(lines: list[Line]) -> None:
    one(lines, "hook")["verified"] = False


def told_twice(lines: list[Line]) -> None:
    lines.append(copy.deepcopy(one(lines, "hook")))


def ended_late(lines: list[Line]) -> None:
    found(lines)["finished_at"] = at(5 + 121)


def waits_too_long(lines: list[Line]) -> None:
    one(lines, "sample").update(at=START + 60, oldest_due_seconds=50)


def flagged_handed_on(lines: list[Line]) -> None:
    one(lines, "hook", 1)["outputs"][0]["uri"] = "file:///store/held/1.png"


def flagged_called_clean(lines: list[Line]) -> None:
    """The ledger and the files agree with one another; the provider said otherwise."""
    one(lines, "file", 2)["path"] = "painter/2026/01/01/one/1.png"
    found(lines)["outputs"][1] = output(1, "clean", "stored")
    lines.remove(one(lines, "hook", 1))
    one(lines, "hook")["outputs"][1] = output(1, "clean", "stored")


def canary_connected_to(lines: list[Line]) -> None:
    lines.append({"at": START, "what": "canary", "address": "('::1', 80)"})


def acknowledged_without_record(lines: list[Line]) -> None:
    lines.append(one(lines, "callback") | {"prediction": "never-heard-of"})


def acknowledged_before_it_was_written(lines: list[Line]) -> None:
    """A poll has found it in the end."""
    found(lines)["timeline"][0]["step"] = "polled"


def server_error(lines: list[Line]) -> None:
    one(lines, "callback")["status"] = 500


def slow_refusal(lines: list[Line]) -> None:
    one(lines, "callback").update(status=503, seconds=4.0)


def key_for_ever(lines: list[Line]) -> None:
    lines.append(key("rq:job:p-1", -1))


def ledger_key_for_ever(lines: list[Line]) -> None:
    lines.append(key("catchlight:prediction:source:two", -1))


def descriptors_leak(lines: list[Line]) -> None:
    lines.append(process("drained", 900))


def secret_found(lines: list[Line]) -> None:
    lines.append({"at": START, "what": "leak", "canary": "api key", "place": "work.log"})


def innocent_condemned(lines: list[Line]) -> None:
    given_up(lines)
    found(lines)["reason"] = "crashes_exhausted"
    one(lines, "prediction")["expected_stage"] = "dead"
    one(lines, "prediction")["files"] = {}
    lines[:] = [line for line in lines if line["what"] != "file"]
    found(lines)["outputs"][0].update(disposition="lost", uri=None)
    found(lines)["outputs"][1].update(uri=None)


def poison_not_given_up(lines: list[Line]) -> None:
    one(lines, "prediction")["poison"] = True
    again = [step(2, "crashed"), step(2, "leased")]
    found(lines)["timeline"][3:3] = again * 6


BROKEN: list[tuple[str, Callable[[list[Line]], None]]] = [
    *(("I1 lost", how) for how in (forgotten,)),
    *(("I2 moves", how) for how in (committed_twice, leased_after_its_end, ended_without_a_lease)),
    *(
        ("I3 files", how)
        for how in (file_missing, other_bytes, stored_twice, temporary_left, strange_file, no_manifest)
    ),
    *(
        ("I4 deliveries", how)
        for how in (never_told, held_not_told, told_under_two_ids, told_with_two_bodies, badly_signed)
    ),
    ("I4 duplicates", told_twice),
    *(("I5 stuck", how) for how in (ended_late, waits_too_long)),
    *(("I6 moderation", how) for how in (flagged_handed_on, flagged_called_clean)),
    ("I7 addresses", canary_connected_to),
    *(("I8 acknowledged", how) for how in (acknowledged_without_record, acknowledged_before_it_was_written)),
    *(("I8 answers", how) for how in (server_error, slow_refusal)),
    *(("I9 leaks", how) for how in (key_for_ever, ledger_key_for_ever, descriptors_leak)),
    ("F22 secrets", secret_found),
    *(("I10 poison", how) for how in (innocent_condemned, poison_not_given_up)),
]


def broken(lines: list[Line]) -> set[str]:
    return {violation.invariant for violation in check(Account.load(lines))}


def test_a_run_that_went_well_breaks_nothing() -> None:
    assert check(Account.load(well())) == []


@pytest.mark.parametrize(("invariant", "how"), BROKEN, ids=lambda value: getattr(value, "__name__", value))
def test_what_is_broken_is_caught(invariant: str, how: Callable[[list[Line]], None]) -> None:
    lines = well()
    how(lines)
    side_effects = {"I1 lost", "I3 files"} if how is forgotten else {invariant}
    assert invariant in broken(lines)
    assert broken(lines) <= side_effects | {invariant}


def test_the_wrong_end_is_a_loss() -> None:
    lines = well()
    given_up(lines)
    assert "I1 lost" in broken(lines)


def test_a_kill_allows_as_many_duplicates_as_deliveries_were_under_way() -> None:
    kill = {"at": START + 2, "what": "kill", "target": "work", "in_flight": 1}
    lines = [*well(), kill]
    told_twice(lines)
    assert broken(lines) == set()
    told_twice(lines)
    assert broken(lines) == {"I4 duplicates"}


def test_a_retry_a_crash_and_a_replay_are_legal() -> None:
    lines = well()
    again = [step(2, "crashed"), step(2, "leased"), step(2, "leased")]
    found(lines)["timeline"][3:3] = again
    found(lines)["timeline"] += [step(5, "replayed"), step(5, "leased"), step(6, "committed", "done")]
    assert broken(lines) == set()


def test_what_waits_since_the_fault_has_its_time_from_the_end_of_the_fault() -> None:
    lines = well()
    one(lines, "sample").update(at=START + 20, oldest_due_seconds=300)
    assert broken(lines) == set()


def test_a_report_shows_the_whole_history_of_the_first_broken_prediction() -> None:
    lines = well()
    other_bytes(lines)
    account = Account.load(lines)
    text = report(check(account), account, seed=7)
    assert "seed 7" in text
    for part in ("I3 files", '"what": "callback"', '"what": "hook"', "leased", "sha0"):
        assert part in text


def test_a_history_is_read_back_and_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "history.jsonl"
    with History(path) as history:
        for line in well():
            fields = {name: value for name, value in line.items() if name not in ("at", "what")}
            history.write(line["what"], at=line["at"], **fields)
    with path.open("a") as unfinished:
        unfinished.write('{"at": 1, "what": "unfin')
    assert list(read(path)) == well()
    assert main([str(path)]) == 0
    assert "1 predictions, 0 violations" in capsys.readouterr().out
