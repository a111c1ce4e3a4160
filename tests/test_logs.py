"""Logs: one short line per event, for machines or for people, and no secret in any."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from service import logs

PREAMBLE = """
import logging, structlog
from service import logs
logs.configure({level!r}, {format_!r})
log = structlog.get_logger("room")
"""


def said(code: str, format_: str = "json", level: str = "info") -> str:
    """What a process of its own, configured so, says on stderr; it says nothing on stdout."""
    program = PREAMBLE.format(level=level, format_=format_) + code
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True, timeout=30
    )
    assert done.stdout == ""
    return done.stderr


def lines(code: str, **more: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said(code, **more).splitlines()]


def tidied(**values: Any) -> dict[str, Any]:
    return dict(logs.tidy(None, "info", values))


def test_a_line_is_json_with_time_level_and_room() -> None:
    (line,) = lines("log.info('callback', prediction='a:b', n=7, none=None, fine=True)")
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "callback", "level": "info", "logger": "room", "prediction": "a:b",
        "n": 7, "none": None, "fine": True,
    }  # fmt: skip


def test_a_librarys_line_takes_the_same_way() -> None:
    (line,) = lines("logging.getLogger('lib').warning('went %s', 'wrong')")
    assert (line["event"], line["level"], line["logger"]) == ("went wrong", "warning", "lib")


def test_the_level_holds_for_both_and_noisy_libraries_are_quiet() -> None:
    code = "log.info('a'); log.warning('b'); logging.getLogger('lib').info('c')"
    assert [line["event"] for line in lines(code, level="warning")] == ["b"]
    code = "logging.getLogger('httpx').info('GET https://x'); log.debug('d')"
    assert [line["event"] for line in lines(code, level="debug")] == ["d"]


@pytest.mark.parametrize("format_", ["json", "console"])
def test_whatever_is_logged_is_one_line(format_: str) -> None:
    nasty = "one\\ntwo\\r\\nthree\\x1b[2J\\u2028four\\x85five\\x00"
    code = f"log.info('{nasty}', value='{nasty}'); logging.getLogger('lib').warning('{nasty}')"
    assert len(said(code, format_).splitlines()) == 2
    assert "\x1b[2J" not in said(code, format_)


def test_a_traceback_is_one_line_of_json_and_keeps_its_lines() -> None:
    (line,) = lines("try:\n    1/0\nexcept ZeroDivisionError:\n    log.exception('bug')")
    assert line["exception"].splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert "exc_info" not in line


def test_a_traceback_for_people_shows_no_local_variable() -> None:
    code = "def f(password):\n    1/0\n"
    code += "try:\n    f('hunt' + 'er2')\nexcept ZeroDivisionError:\n    log.exception('bug')"
    shown = said(code, "console")
    assert "ZeroDivisionError: division by zero" in shown
    assert "hunter2" not in shown


def test_auto_is_json_off_a_terminal() -> None:
    assert json.loads(said("log.info('x')", "auto"))["event"] == "x"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://cdn.example/a.png?token=abc&x=1", "https://cdn.example/a.png?…"),
        ("GET https://h/p?k=v failed, see http://h2?z", "GET https://h/p?… failed, see http://h2?…"),
        ("redis://user:pass@host:6379/0", "redis://…@host:6379/0"),
        ("rediss://:pass@host", "rediss://…@host"),
        ('"https://h/p?k=v"', '"https://h/p?…"'),
        ("why? because://", "why? because://"),
        ("https://h/p", "https://h/p"),
    ],
)
def test_urls_lose_their_queries_and_credentials(text: str, expected: str) -> None:
    assert tidied(url=text, event=text, exception=text) == dict.fromkeys(
        ("url", "event", "exception"), expected
    )


def test_values_are_cut_short_and_events_later() -> None:
    long = "x" * 5_000_000
    found = tidied(value=long, event=long, exception=long)
    assert [len(found[name]) for name in ("value", "event", "exception")] == [201, 1001, 20_001]
    assert found["value"].endswith("x…")


def test_what_is_no_text_is_shown_as_text_and_cut_too() -> None:
    assert tidied(value=["a", 1], error=ValueError("no\nway")) == {"value": "['a', 1]", "error": "no\\nway"}
    assert len(tidied(value=list(range(1000)))["value"]) == 201


def test_what_can_be_printed_stays_as_it_is() -> None:
    text = "Ritter 騎士 größer ✓"
    assert tidied(event=text, n=1, x=1.5, yes=True, nothing=None) == {
        "event": text, "n": 1, "x": 1.5, "yes": True, "nothing": None,
    }  # fmt: skip
