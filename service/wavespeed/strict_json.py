"""JSON of a stranger, read strictly: bounded before anything is built, one meaning for every reader."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from service import errors

MAX_DEPTH = 32
MAX_NODES = 200_000
MAX_DIGITS = 400
"""Characters of one number; the interpreter takes quadratic time over long ones."""

_STRING = re.compile(rb'"[^"]*"?')
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")


def loads(body: bytes, *, max_depth: int = MAX_DEPTH, max_nodes: int = MAX_NODES) -> Any:
    """The decoded value; raises Unparseable for all that is not plain, bounded, unambiguous JSON in UTF-8."""
    _check_bounds(body, max_depth, max_nodes)
    try:
        value = _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise errors.Unparseable("not UTF-8") from None
    except json.JSONDecodeError as error:
        raise errors.Unparseable(f"not JSON: {error.msg} at character {error.pos}") from None
    if b"\\ud" in body or b"\\uD" in body:
        _check_surrogates(value)
    return value


def _check_bounds(body: bytes, max_depth: int, max_nodes: int) -> None:
    """Counted on the bare structure: each value follows a comma or a bracket, each string has two quotes.

    What is no JSON at all may be counted wrongly, but not before the place where the decoder stops.
    """
    if body.count(b"[") + body.count(b"{") <= max_depth and len(body) <= max_nodes:
        # As nearly all are: with so few brackets and bytes it can be neither too deep nor too much.
        return
    unescaped = body.replace(rb"\\", b"").replace(rb"\"", b"")
    if unescaped.count(b'"') > 4 * max_nodes:
        raise errors.Unparseable(f"more than {max_nodes} values")
    skeleton = _STRING.sub(b"", unescaped)
    brackets = skeleton.translate(None, _NOT_BRACKETS)
    opening = brackets.count(b"[") + brackets.count(b"{")
    if skeleton.count(b",") + opening > max_nodes or len(brackets) > 2 * max_nodes:
        raise errors.Unparseable(f"more than {max_nodes} values")
    depth = 0
    for bracket in brackets:
        depth += 1 if bracket in b"[{" else -1
        if depth > max_depth:
            raise errors.Unparseable(f"nested deeper than {max_depth}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise errors.Unparseable("a key stands twice in one object")
    return result


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise errors.Unparseable(f"a number of more than {MAX_DIGITS} digits")
    return int(text)


def _float(text: str) -> float:
    if len(text) > MAX_DIGITS:
        raise errors.Unparseable(f"a number of more than {MAX_DIGITS} digits")
    if not math.isfinite(value := float(text)):
        # 1e999 is legal JSON, but we would write it on as Infinity, which is not.
        raise errors.Unparseable("a number too large for a double")
    return value


def _constant(name: str) -> NoReturn:
    raise errors.Unparseable(f"{name} is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
)
"""Made once: `json.loads` would make one for every callback."""


def _check_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise errors.Unparseable("half of a surrogate pair") from None
