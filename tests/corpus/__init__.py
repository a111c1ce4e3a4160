"""Hostile inputs written by hand, and their one reader: `rows(name)` reads `<name>.txt`, one case a line.

A line is what is expected, a space, and the input; `# …` says what the cases below it are about. In an input
`⏎` is CR LF, `«0d ff»` are bytes in hex, `«300*[»` is a repetition, `«word»` one of WORDS; all else stands
for itself, in UTF-8.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.serving import PATH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FOLDER = Path(__file__).parent
SMUGGLED = "smuggled_in"
"""The id that is tracked should a request be believed that only the body of another holds."""

_HEAD = f"POST {PATH} HTTP/1.1⏎Host: x⏎"
WORDS = {
    "head": _HEAD,
    "chunked": f"{_HEAD}Transfer-Encoding: chunked⏎",
    "get": "GET /livez HTTP/1.1⏎Host: x⏎",
    "smuggled": f"POST /api/v1/predictions/{SMUGGLED}/track HTTP/1.1⏎Host: 127.0.0.1⏎Content-Length: 0⏎⏎",
    "said": '"id":"pred_1","status":"completed"',
}
_MARK = re.compile(r"«([^«»]*)»")
_REPEATED = re.compile(r"(\d+)\*(.*)")
_HEX = re.compile(r"[0-9a-f]{2}(?: ?[0-9a-f]{2})*")


@dataclass(frozen=True, slots=True)
class Row:
    expected: str
    text: str
    """As it stands in the file: for a person, and short."""
    about: str

    @property
    def data(self) -> bytes:
        return unfold(self.text)


def rows(name: str) -> list[Row]:
    found, about = [], ""
    for line in (FOLDER / f"{name}.txt").read_text("utf-8").splitlines():
        if line.startswith("# "):
            about = line[2:]
        elif line:
            expected, _, text = line.partition(" ")
            found.append(Row(expected, text, about))
    return found


def parts(name: str) -> Mapping[str, Sequence[bytes]]:
    """Of a file that lists what inputs are put together from: kind → all of that kind."""
    found: dict[str, list[bytes]] = {}
    for row in rows(name):
        found.setdefault(row.expected, []).append(row.data)
    return found


def unfold(text: str) -> bytes:
    """Raises ValueError for a mark that means nothing."""
    pieces = _MARK.split(text)
    return b"".join(_marked(piece) if odd % 2 else _plain(piece) for odd, piece in enumerate(pieces))


def _plain(text: str) -> bytes:
    return text.replace("⏎", "\r\n").encode()


def _marked(inside: str) -> bytes:
    if repeated := _REPEATED.fullmatch(inside):
        return int(repeated[1]) * _plain(repeated[2])
    if _HEX.fullmatch(inside):
        return bytes.fromhex(inside)
    if inside in WORDS:
        return unfold(WORDS[inside])
    raise ValueError(f"«{inside}» is neither hex nor a repetition nor one of {', '.join(WORDS)}")
