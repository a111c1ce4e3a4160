"""Is all well? A judgement of what the ledger says, worst first, each problem with what ends it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from service import comparing
from service.ledger.durability import Finding, State
from service.telling.spans import span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROLES = {"serve": "receiver", "work": "worker", "sweep": "sweeper"}
FORGED_MANY = 20
LATE_AFTER = 30.0
"""Seconds beyond its due time after which waiting is a sign that something is wrong or too small."""


@dataclass(frozen=True, slots=True)
class Facts:
    roles: Sequence[Mapping[str, Any]]
    """`{role, instance, beat_at}` of every process that beats."""
    stages: Mapping[str, int]
    scaling: Mapping[str, Any]
    tally: Mapping[str, int]
    disabled: Mapping[str, str] = field(default_factory=dict)
    """Hook → why it is disabled."""
    forged: int = 0
    """Of the last refused callbacks those of the last hour whose signature did not hold."""
    urgent_within: float = 86_400.0
    """Seconds to a deletion at the provider, below which it is worth a warning."""
    drifts: Sequence[Mapping[str, Any]] = ()
    """The last reconciliation of each source."""
    secrets: Sequence[Mapping[str, Any]] = ()
    """The last comparison of each source's secret with the provider's."""
    warnings: Sequence[str] = ()
    """Of the settings."""


def missing(facts: Facts) -> list[str]:
    alive = {one["role"] for one in facts.roles}
    return [role for role in ROLES if role not in alive]


def judge(facts: Facts) -> list[Finding]:
    """Problems only; one that fails makes the whole unhealthy."""
    waits = bool(facts.scaling["backlog"] or facts.scaling["awaited"])
    problems = [_missing(role, waits=waits) for role in missing(facts)]
    if (late := facts.scaling["oldest_due_seconds"]) > LATE_AFTER:
        detail = f"the oldest thing due has waited for {span(late)} beyond its time"
        problems.append(Finding("late", State.WARN, detail, "catchlight work --processes 2"))
    nearest = facts.scaling.get("nearest_deletion_seconds")
    if nearest is not None and nearest < facts.urgent_within:
        detail = f"the provider deletes outputs that still wait here in {span(nearest)}"
        problems.append(Finding("deletion", State.WARN, detail, "catchlight work --processes 2"))
    problems += [
        Finding("secret", State.WARN, one["detail"], comparing.remedy(one["source"]))
        for one in facts.secrets
        if one["state"] == comparing.State.DRIFTED
    ]
    for hook, why in facts.disabled.items():
        detail = f"the hook {hook} is disabled ({why}); what is for it waits"
        problems.append(Finding("hooks", State.WARN, detail, f"catchlight hooks enable {hook}"))
    if dead := facts.stages.get("dead", 0):
        detail = f"{dead} prediction{'s are' if dead > 1 else ' is'} dead"
        problems.append(Finding("dead", State.WARN, detail, "catchlight replay stage:dead --dry-run"))
    if facts.forged >= FORGED_MANY:
        detail = f"the signature of at least {facts.forged} callbacks did not hold in the last hour"
        problems.append(Finding("refused", State.WARN, detail, "catchlight refused"))
    problems += [
        Finding("settings", State.WARN, warning, "catchlight config show") for warning in facts.warnings
    ]
    return sorted(problems, key=lambda one: one.state is not State.FAIL)


def _missing(role: str, *, waits: bool) -> Finding:
    detail = f"no {ROLES[role]} is alive" + (" while work waits" if waits else "")
    return Finding(f"role.{role}", State.FAIL if waits else State.WARN, detail, f"catchlight {role}")
