"""The documents say what the code does; `uv run python -m tests.test_docs` rewrites the tables."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

from service import embedded
from service.cli.table import ROWS
from service.drift import NUMBERS
from service.hooks import Hook
from service.ledger.query import WORDS
from service.metrics.catalogue import METRICS
from service.settings import load
from service.wavespeed import signature
from service.web import body
from service.web.server import CONNECTIONS_MOST, DeadlineProtocol
from tests.house import sources
from workers import doorbell, send

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
RUNBOOK = ROOT / "deploy" / "README.md"
_TABLE = re.compile(r"(<!-- settings:[^\n]*-->\n)(.*?)(<!-- /settings -->)", re.DOTALL)
_METRICS = re.compile(r"(<!-- metrics:[^\n]*-->\n)(.*?)(<!-- /metrics -->)", re.DOTALL)
_WORDS = re.compile(r"(<!-- words:[^\n]*-->\n)(.*?)(<!-- /words -->)", re.DOTALL)


def settings_table() -> str:
    rows = load({}, None).describe()
    lines = ["| Setting | Default | Meaning |", "|---|---|---|"]
    for row in rows:
        name = f"`{row.variable}`" if row.variable else f"`[[{row.name}]]`"
        default = row.default if "`" in row.default or row.default == "none" else f"`{row.default}`"
        lines.append(f"| {name} | {default} | {row.meaning} |")
    return "\n".join(lines) + "\n"


def words_table() -> str:
    lines = ["| Word | Of | Finds those |", "|---|---|---|"]
    for word in WORDS:
        lists = ["predictions"] * word.predictions + ["deliveries"] * word.deliveries
        lines.append(f"| `{word.example}` | {', '.join(lists)} | {word.meaning} |")
    return "\n".join(lines) + "\n"


def metrics_table() -> str:
    lines = ["| Metric | Labels | Is |", "|---|---|---|"]
    for metric in METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        lines.append(f"| `{metric.name}` | {labels} | {metric.meaning} ({metric.kind}) |")
    return "\n".join(lines) + "\n"


def blocks(text: str) -> list[str]:
    return re.findall(r"```sh\n(.*?)```", text, re.DOTALL)


def test_the_runbooks_table_has_every_setting_with_its_default_and_meaning() -> None:
    found = _TABLE.search(RUNBOOK.read_text())
    assert found
    assert found[2] == settings_table(), "run: uv run python -m tests.test_docs"


def test_the_runbook_has_every_metric_with_its_labels() -> None:
    found = _METRICS.search(RUNBOOK.read_text())
    assert found
    assert found[2] == metrics_table(), "run: uv run python -m tests.test_docs"


def test_the_runbook_has_every_key_of_a_hook() -> None:
    named = [str(field.validation_alias or name) for name, field in Hook.model_fields.items()]
    assert re.findall(r"^\| `(\w+)` \|", RUNBOOK.read_text(), re.MULTILINE)[: len(named)] == named


def test_the_runbook_has_every_number_of_a_reconciliation() -> None:
    assert [name for name in NUMBERS if f"\n| {name} | " not in RUNBOOK.read_text()] == []


def test_the_readme_has_every_word_of_the_query_language() -> None:
    found = _WORDS.search(README.read_text())
    assert found
    assert found[2] == words_table(), "run: uv run python -m tests.test_docs"


def test_the_readme_is_short_and_runnable_early() -> None:
    lines = README.read_text().splitlines()
    assert len(lines) <= 150
    assert any("uv run catchlight demo" in line for line in lines[:30])
    assert not re.search("[\U0001f000-\U0001faff\u2600-\u27bf]", README.read_text())


def test_every_command_is_in_a_document() -> None:
    told = README.read_text() + RUNBOOK.read_text()
    missing = [row.path for row in ROWS if not re.search(rf"\b{row.path}\b", told)]
    assert missing == []


def test_every_file_that_the_runbook_or_a_message_names_exists() -> None:
    text = RUNBOOK.read_text()
    told = text + "\n".join(
        string for source in sources("service", "workers") for _, string in source.strings
    )
    named = re.findall(r"(?<![\w/.-])(?:service|workers|tests|deploy)/[\w/-]+(?:\.\w+)?", told)
    beside = re.findall(r"\]\((?!https?:|#)([^)#]+)", text) + re.findall(
        r"(?<![\w/.-])[a-z]+\.(?:conf|acl|lock)\b", text
    )
    wanted = {ROOT / name for name in named} | {RUNBOOK.parent / name for name in beside}
    assert {ROOT / "service" / "keys.py", ROOT / "deploy" / "redis.conf"} <= wanted, "it finds what is named"
    assert [str(path) for path in sorted(wanted) if not path.exists()] == []


def test_the_runbooks_figures_are_those_of_the_code() -> None:
    told = " ".join(RUNBOOK.read_text().split())
    figures = (
        f"Headers have {DeadlineProtocol.header_deadline:g} s and {DeadlineProtocol.header_most // 1024} KiB",
        f"a body {body.DEADLINE:g} s, a process {CONNECTIONS_MOST:,} connections",
        f"in constant time, within {signature.TOLERANCE} s",
        f"no redirects, {send.ANSWER_MOST // 1024} KiB of its answer",
        f"texts of at most {doorbell.DATA_MOST // 1024} KiB",
    )
    assert [figure for figure in figures if figure not in told] == []


def test_the_readmes_signed_callback_is_answered_as_it_says(tmp_path: Path) -> None:
    """Exactly the README's two blocks, in a shell, against `catchlight up`."""
    script = next(block for block in blocks(README.read_text()) if "openssl" in block)
    after = next(block for block in blocks(README.read_text()) if "catchlight show" in block)
    uv = shutil.which("uv")
    assert uv, "the README's commands need uv"
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("CATCHLIGHT_", "REDIS_URL"))
    } | {"UV_PROJECT": str(ROOT), "UV_NO_SYNC": "1", "PORT": str(embedded.free_port())}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{script}\necho\n{after}\nwait %1"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"id"')]
    assert answers == [{"id": "pred_readme", "outcome": "new"}]
    assert "A fox in snow." not in done.stderr
    assert "done" in done.stdout


def main() -> None:
    text = README.read_text()
    README.write_text(_WORDS.sub(lambda found: found[1] + words_table() + found[3], text))
    text = RUNBOOK.read_text()
    text = _TABLE.sub(lambda found: found[1] + settings_table() + found[3], text)
    RUNBOOK.write_text(_METRICS.sub(lambda found: found[1] + metrics_table() + found[3], text))


if __name__ == "__main__":
    main()
