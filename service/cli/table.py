"""Every command in the order of `catchlight --help`: its function, what it does, and one example."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    path: str
    """One word, or a group and a word."""
    target: str
    """`module:function` in this package, the function with typer's annotations."""
    summary: str
    example: str
    """The arguments of a command line that a person would type."""


GROUPS = {
    "hooks": "The downstream endpoints that we notify.",
    "review": "What is held, and a person's decision about it.",
    "deliveries": "What was sent to hooks.",
    "runs": "Replays and retries of many.",
    "config": "The effective settings.",
}
ROWS = (
    Row("up", "up:command", "Run everything on this machine.", "up"),
    Row("demo", "demo:command", "Watch it work against a simulated provider.", "demo --events 50 --once"),
    Row("serve", "serve:command", "Receive callbacks and answer the API.", "serve --port 8080"),
    Row("work", "roles:work", "Fetch, check, store and notify.", "work --processes 2"),
    Row("sweep", "roles:sweep", "Poll, retry and reconcile what is due.", "sweep"),
    Row("connect", "connect:command", "Check an account, from its key to a test callback.", "connect"),
    Row("submit", "submit:submit", "Start a prediction.", "submit vendor/model -i prompt='a fox' --watch"),
    Row("track", "submit:track", "Adopt predictions that others submitted.", "track pred_abc123"),
    Row("ls", "predictions:ls", "List predictions, newest first.", "ls stage:failed since:2h"),
    Row("show", "predictions:show", "Show one prediction.", "show pred_abc123 --json"),
    Row("explain", "predictions:explain", "Tell the story of one prediction.", "explain pred_abc123"),
    Row("status", "status:command", "One screen of health.", "status"),
    Row("shards", "shards:command", "Which source is on which Redis, and how each does.", "shards --json"),
    Row("top", "top:command", "Watch what is wrong and what comes through.", "top --every 5"),
    Row("capacity", "capacity:command", "What bounds it, and would more help?", "capacity --minutes 15"),
    Row("replay", "replay:command", "Do it again from a step.", "replay stage:dead since:1d --dry-run"),
    Row("reconcile", "reconcile:command", "Find what nobody told us of.", "reconcile --since 24h"),
    Row("reindex", "reindex:command", "Rebuild the ledger from storage.", "reindex --from storage --dry-run"),
    Row("prune", "prune:command", "Let go what is past its retention.", "prune --dry-run"),
    Row("backup", "backup:backup", "Write the ledger to a file.", "backup ledger.backup"),
    Row("restore", "backup:restore", "Fill an empty ledger from a file.", "restore ledger.backup --dry-run"),
    Row("review ls", "review:ls", "List held outputs, newest first.", "review ls nsfw:unknown"),
    Row("review approve", "review:approve", "Release a held output.", "review approve pred_abc123 0"),
    Row("review reject", "review:reject", "Let it stay held for good.", "review reject pred_abc123 0"),
    Row("review undo", "review:undo", "Take the last decision back.", "review undo pred_abc123 0"),
    Row("hooks ls", "hooks:ls", "List the hooks and whether each is enabled.", "hooks ls"),
    Row("hooks test", "ping:command", "Send a signed ping, explain the answer.", "hooks test crm"),
    Row("hooks enable", "hooks:enable", "Enable a hook, send what waited for it.", "hooks enable crm"),
    Row("hooks disable", "hooks:disable", "Let a hook's deliveries wait.", "hooks disable crm --why moving"),
    Row("deliveries ls", "deliveries:ls", "List deliveries, newest first.", "deliveries ls --state dead"),
    Row("deliveries show", "deliveries:show", "Show one delivery.", "deliveries show dlv_0123 --json"),
    Row("deliveries retry", "deliveries:retry", "Send deliveries again.", "deliveries retry dlv_0123"),
    Row("runs ls", "runs:ls", "List bulk runs, newest first.", "runs ls"),
    Row("runs show", "runs:show", "Show one run and what became of it.", "runs show run_0123 --json"),
    Row("runs resume", "runs:resume", "Carry a run on from where it is.", "runs resume run_0123"),
    Row("runs again", "runs:again", "Run again over a run's failures.", "runs again run_0123 --yes"),
    Row("refused", "refused:command", "List the callbacks that we turned away, and why.", "refused"),
    Row("simulate", "simulate:command", "Run the stand-in provider alone.", "simulate --port 8090 --seed 7"),
    Row("trigger", "trigger:command", "Send one signed callback to any URL.", "trigger flagged"),
    Row("doctor", "doctor:command", "Test every assumption, each failure with its fix.", "doctor --json"),
    Row("config show", "config:show", "Show every setting with its origin.", "config show"),
    Row("config check", "config:check", "Check the settings.", "config check"),
)
