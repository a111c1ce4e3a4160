"""The invariants, each a function from the account of a run to its violations."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from service import clock, keys
from service.prediction import Nsfw, Stage, Step
from tests.faults.account import Violation
from tests.faults.moves import illegal_moves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.account import Account
    from tests.faults.history import Line

TERMINAL_WITHIN = 120.0
OVERDUE_MOST = 30.0
ANSWER_503_WITHIN = 2.0
SCHEDULING = 0.5
"""Seconds by which a busy machine may measure an answer too late."""
DUPLICATES_UNDISTURBED = 0.001
CRASHES_MOST = 5
DESCRIPTORS_MORE = 1.1
POOLED = 80
"""Connections that a process may keep open for later: to Redis, the origin and the hooks."""
MANIFEST = "manifest.json"
TEMPORARY = ".tmp"
HELD = "held"

_FOR_EVER = re.findall(r"^\| (\S+) +\| \w+ +\| for ever", keys.__doc__ or "", re.MULTILINE)
LIVING_FOR_EVER = tuple(
    re.compile(re.sub("<[^>]*>", ".+", name)) for name in _FOR_EVER if "parked" not in name
)
"""Keys of ours without TTL, as their table says; all of it is bounded or trimmed. What a hook that is off has
parked is gone in the end.
"""


def nothing_is_lost(account: Account) -> Iterator[Violation]:
    """I1: all that was acknowledged, or that the provider knows, ends in the stage that it must."""
    for line in account.predictions:
        found = account.found(line["id"])
        if not found:
            yield Violation("I1 lost", line["id"], "the ledger does not have it")
        elif found["stage"] != line["expected_stage"]:
            said = f"is {found['stage']} ({found.get('reason')}), must be {line['expected_stage']}"
            yield Violation("I1 lost", line["id"], said)


def ends_once(account: Account) -> Iterator[Violation]:
    """I2: one terminal stage per completion, and no move outside the table."""
    for line in account.predictions:
        for said in illegal_moves(account.found(line["id"]).get("timeline", [])):
            yield Violation("I2 moves", line["id"], said)


def files_are_the_expected(account: Account) -> Iterator[Violation]:
    """I3: every output once, with the bytes that the provider served, where its flag allows it to be."""
    by_prediction: dict[str, list[Line]] = defaultdict(list)
    for line in account.by_what["file"]:
        parts = line["path"].split("/")
        if TEMPORARY in parts:
            yield Violation("I3 files", None, f"a temporary file is left: {line['path']}")
        else:
            by_prediction[parts[-2] if len(parts) > 1 else ""].append(line)
    for line in account.predictions:
        here = by_prediction.pop(line["id"], [])
        for said in _wrong_files(line, account.found(line["id"]), here):
            yield Violation("I3 files", line["id"], said)
    for strangers in by_prediction.values():
        for line in strangers:
            yield Violation("I3 files", None, f"belongs to no prediction: {line['path']}")


def _wrong_files(line: Line, found: Line, here: list[Line]) -> Iterator[str]:
    expected = Counter(line["files"].values()) if line["expected_stage"] == Stage.DONE else Counter()
    media = [one for one in here if not one["path"].endswith(MANIFEST)]
    stored = Counter(one["sha256"] for one in media)
    if stored != expected:
        yield f"has the files {sorted(one['path'] for one in here)}, not {len(line['files'])} as served"
    manifests = len(here) - len(media)
    if manifests > 1 or (expected and not manifests):
        yield f"has {manifests} manifests"
    by_path = {one["path"]: one["sha256"] for one in media}
    for output in found.get("outputs", []):
        if output["disposition"] in ("stored", "held") and output["uri"]:
            path = next((path for path in by_path if output["uri"].endswith(f"/{path}")), None)
            if path is None or by_path[path] != output["sha256"]:
                yield f"output {output['index']} is not what stands at {output['uri']}"


def hooks_are_told(account: Account) -> Iterator[Violation]:
    """I4: each event at least once per hook, under one id, with the same bytes, and well signed."""
    for line in account.predictions:
        told = [one for one in account.of[line["id"]] if one["what"] == "hook"]
        if any(not one["verified"] for one in told):
            yield Violation("I4 deliveries", line["id"], "an attempt's signature does not verify")
        found = account.found(line["id"])
        for hook in account.hooks if found else []:
            for said in _untold(found, [one for one in told if one["hook"] == hook], account.forgot):
                yield Violation("I4 deliveries", line["id"], f"{hook}: {said}")


def _untold(found: Line, told: list[Line], forgot: bool) -> Iterator[str]:
    bodies: dict[str, set[str]] = defaultdict(set)
    ids: dict[str, set[str]] = defaultdict(set)
    for one in told:
        bodies[one["event_id"]].add(one["body"])
        ids[one["type"]].add(one["event_id"])
    kind = {"done": "completed"}.get(found["stage"], found["stage"])
    held = sum(output["disposition"] == "held" for output in found["outputs"])
    for type_, number in ((f"prediction.{kind}", 1), ("output.held", held)):
        if len(ids[type_]) != number:
            yield f"{len(ids[type_])} events {type_}, not {number}"
    delivered = {one["event_id"] for one in told if _is_2xx(one["status"])}
    for event_id, seen in bodies.items():
        if event_id not in delivered:
            yield f"{event_id} was never taken"
        if len(seen) > 1 and not forgot:
            yield f"{event_id} came with {len(seen)} different bodies"


def _is_2xx(status: int | None) -> bool:
    return status is not None and 200 <= status < 300


def duplicates(account: Account) -> int:
    """Attempts that a hook took beyond the first of an event."""
    taken = Counter(
        (line["hook"], line["event_id"]) for line in account.by_what["hook"] if _is_2xx(line["status"])
    )
    return sum(taken.values()) - len(taken)


def duplicates_are_few(account: Account) -> Iterator[Violation]:
    disturbances = [*account.by_what["kill"], *account.by_what["fault"]]
    most = max((run["in_flight"] for run in account.by_what["run"]), default=0)
    taken = sum(_is_2xx(line["status"]) for line in account.by_what["hook"])
    allowed = int(taken * DUPLICATES_UNDISTURBED)
    allowed += sum(most if one["in_flight"] is None else one["in_flight"] for one in disturbances)
    if (count := duplicates(account)) > allowed:
        yield Violation("I4 duplicates", None, f"{count} duplicate deliveries, {allowed} allowed")


def nothing_is_stuck(account: Account) -> Iterator[Violation]:
    """I5: after the last fault all end within two minutes, and nothing waits for long beyond its time."""
    calm = account.calm_at
    for line in account.predictions:
        finished = clock.parse_rfc3339(account.found(line["id"]).get("finished_at"))
        late = finished - max(calm, line["ready"]) if finished else 0.0
        if late > TERMINAL_WITHIN:
            yield Violation("I5 stuck", line["id"], f"ended {late:.0f} s after it could have")
    for sample in account.by_what["sample"]:
        waited = min(sample["oldest_due_seconds"], sample["at"] - calm)
        if waited > OVERDUE_MOST:
            yield Violation("I5 stuck", None, f"something waits {waited:.0f} s beyond its time")
            return


def nothing_unclean_is_handed_on(account: Account) -> Iterator[Violation]:
    """I6, by the provider's truth and not by what we called it."""
    truth = {line["id"]: line["nsfw"] for line in account.predictions}
    for line in account.by_what["hook"]:
        classes = truth.get(line["prediction"], [])
        for output in line["outputs"]:
            index = output["index"]
            clean = index < len(classes) and classes[index] == Nsfw.CLEAN
            if not clean and (output.get("uri") or output.get("sha256")):
                yield Violation(
                    "I6 moderation", line["prediction"], f"{line['type']} hands on output {index}"
                )
    for line in account.by_what["file"]:
        id_, name = ("", *line["path"].split("/"))[-2:]
        index = name.partition(".")[0]
        classes = truth.get(id_, [])
        handed_on = index.isdigit() and not line["path"].startswith(f"{HELD}/")
        if handed_on and int(index) < len(classes) and classes[int(index)] != Nsfw.CLEAN:
            yield Violation("I6 moderation", id_, f"{line['path']} does not stand under {HELD}/")


def nothing_forbidden_is_connected_to(account: Account) -> Iterator[Violation]:
    """I7: a canary listens where no URL of a stranger may lead."""
    for line in account.by_what["canary"]:
        yield Violation("I7 addresses", None, f"{line['address']} accepted a connection")


def acknowledgements_are_durable(account: Account) -> Iterator[Violation]:
    """I8: a 2xx is in the ledger; what cannot be written is a 503 in time; nothing else is a 5xx."""
    answered = Counter(line["prediction"] for line in account.by_what["callback"] if _is_2xx(line["status"]))
    for id_, count in answered.items():
        # Found again by other ways it has a record all the same, but not these lines.
        steps = [line["step"] for line in account.found(id_).get("timeline", [])]
        written = steps.count(Step.CALLED_BACK)
        if not steps or (written < count and not account.forgot):
            yield Violation("I8 acknowledged", id_, f"{count} answered 2xx, {written} written down")
    for line in [*account.by_what["callback"], *account.by_what["answer"]]:
        status, seconds = int(line["status"] or 0), float(line["seconds"] or 0)
        if status >= 500 and status != 503:
            yield Violation("I8 answers", line.get("prediction"), f"answered {status}")
        if status == 503 and seconds > ANSWER_503_WITHIN + SCHEDULING:
            yield Violation("I8 answers", line.get("prediction"), f"503 after {seconds:.1f} s")


def nothing_leaks(account: Account) -> Iterator[Violation]:
    """I9, and F22: keys, descriptors and secrets."""
    for line in account.by_what["key"]:
        if line["ttl"] < 0 and not _lives_for_ever(line["name"]):
            yield Violation("I9 leaks", None, f"{line['name']} ({line['type']}) has no TTL")
    processes = account.by_what["process"]
    before: dict[str, int] = {p["role"]: p["descriptors"] for p in processes if p["moment"] == "baseline"}
    for line in processes:
        most = before.get(line["role"], 0) * DESCRIPTORS_MORE + POOLED
        if line["moment"] == "drained" and line["descriptors"] > most:
            yield Violation("I9 leaks", None, f"{line['role']} has {line['descriptors']} open files")
    for line in account.by_what["leak"]:
        yield Violation("F22 secrets", None, f"{line['canary']} stands in {line['place']}")


def _lives_for_ever(name: str) -> bool:
    space, _, rest = name.partition(":")
    if space == "rq":
        return not rest.startswith(("job:", "execution"))
    return any(known.fullmatch(rest) for known in LIVING_FOR_EVER)


def poison_stays_alone(account: Account) -> Iterator[Violation]:
    """I10: what kills workers is given up after five crashes; what was beside it is not."""
    for line in account.predictions:
        steps = [one["step"] for one in account.found(line["id"]).get("timeline", [])]
        if (crashes := steps.count("crashed")) > CRASHES_MOST and line.get("poison"):
            yield Violation("I10 poison", line["id"], f"crashed {crashes} times")
        if account.found(line["id"]).get("reason") == "crashes_exhausted" and not line.get("poison"):
            yield Violation("I10 poison", line["id"], "was given up for another's crashes")


INVARIANTS: tuple[Callable[[Account], Iterator[Violation]], ...] = (
    nothing_is_lost,
    ends_once,
    files_are_the_expected,
    hooks_are_told,
    duplicates_are_few,
    nothing_is_stuck,
    nothing_unclean_is_handed_on,
    nothing_forbidden_is_connected_to,
    acknowledgements_are_durable,
    nothing_leaks,
    poison_stays_alone,
)
