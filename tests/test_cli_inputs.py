"""`-i k=v`: what is sent as a number and what as text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from service.cli.inputs import parse
from service.errors import InvalidInput

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ("-1", -1),
        ("0.5", 0.5),
        ("1e3", 1000.0),
        ("true", True),
        ("false", False),
        ("[1, 2]", [1, 2]),
        ('{"a": 1}', {"a": 1}),
        ("a fox", "a fox"),
        ("1024*1024", "1024*1024"),
        ("007", "007"),
        ("null", "null"),
        ('"quoted"', '"quoted"'),
        ("", ""),
        ("a=b", "a=b"),
        ("True", "True"),
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
        ("1e999", "1e999"),
        ("[", "["),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_a_value_is_json_where_that_is_meant(text: str, value: Any) -> None:
    parsed = parse("-i", [f"name={text}"])["name"]
    assert parsed == value
    assert type(parsed) is type(value)


def test_a_file_is_merged_and_what_comes_later_wins(tmp_path: Path) -> None:
    file = tmp_path / "inputs.json"
    file.write_text(json.dumps({"prompt": "a fox", "seed": 1}))
    assert parse("-i", ["prompt=a hare", f"@{file}", "seed=2"]) == {"prompt": "a fox", "seed": 2}


@pytest.mark.parametrize("word", ["prompt", "=7", ""])
def test_what_is_no_pair_is_refused_by_its_option(word: str) -> None:
    with pytest.raises(InvalidInput, match=r"^--metadata: .* is not name=value"):
        parse("--metadata", [word])


@pytest.mark.parametrize(
    ("text", "why"), [("[1]", "must hold a JSON object"), ("{", "is not JSON"), ("\udcff", "is not JSON")]
)
def test_a_file_that_is_no_object_is_refused(text: str, why: str, tmp_path: Path) -> None:
    file = tmp_path / "inputs.json"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InvalidInput, match=why):
        parse("-i", [f"@{file}"])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"nothing\.json cannot be read: No such file"):
        parse("-i", [f"@{tmp_path / 'nothing.json'}"])
