"""Bodies of callbacks: those seen and those of the corpus, changed as JSON and then, some, as bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.corpus import parts, rows
from tests.faults.fuzz.mutations import mutated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

_PAYLOADS = Path(__file__).parents[2] / "payloads"
_SHORT = 5_000
"""Bytes: a longer seed is a bomb, and sent as it is by the corpus' own tests."""


class Pairs(list[tuple[str, Any]]):
    """An object that may say a key twice."""


class Raw(bytes):
    """Written as it is, be it JSON or not."""


def bodies(rng: Random) -> Iterator[bytes]:
    """For ever."""
    seeds = [file.read_bytes() for file in sorted(_PAYLOADS.glob("*.json"))]
    seeds += [row.data for row in rows("bodies") if len(row.data) < _SHORT]
    trees = [tree for tree in map(_decoded, seeds) if isinstance(tree, Pairs)]
    pieces = parts("body_parts")["piece"]
    changes = _Changes(rng, trees)
    while True:
        if rng.random() < 0.1:
            yield mutated(rng, rng.choice(seeds), pieces)
            continue
        tree: Any = rng.choice(trees)
        for _ in range(rng.choice((0, 1, 1, 1, 2, 4))):
            tree = changes.changed(tree)
        body = written(rng, tree)
        yield mutated(rng, body, pieces) if rng.random() < 0.2 else body


def _decoded(data: bytes) -> object:
    try:
        return json.loads(data, object_pairs_hook=Pairs)
    except (ValueError, RecursionError):
        return None


class _Changes:
    def __init__(self, rng: Random, trees: list[Pairs]) -> None:
        found = parts("body_parts")
        self._rng = rng
        self._trees = trees
        self._fields = [field.decode() for field in found["field"]]
        self._statuses = [status.decode() for status in found["status"]]
        self._values = [Raw(value) for value in found["value"]]
        self._odd = [Raw(value) for value in found["odd"]]
        self._names = [row.data.decode() for row in rows("ids") if len(row.data) < _SHORT]

    def changed(self, node: Any) -> Any:
        """A copy of which one place differs."""
        rng = self._rng
        if isinstance(node, Pairs) and node and rng.random() < 0.8:
            return self._object(node)
        if isinstance(node, list) and not isinstance(node, Pairs) and node and rng.random() < 0.5:
            at = rng.randrange(len(node))
            return [*node[:at], self.changed(node[at]), *node[at + rng.choice((0, 1)) :]]
        if rng.random() < 0.1:
            return rng.choice(([node], Pairs([("data", node)]), Pairs([("code", 200), ("data", node)])))
        return Pairs([*node, self._pair()]) if isinstance(node, Pairs) else self._value()

    def _object(self, node: Pairs) -> Pairs:
        rng, pairs = self._rng, Pairs(node)
        at = rng.randrange(len(pairs))
        name, inner = pairs[at]
        match rng.choice(("inside", "inside", "value", "field", "field", "name", "drop", "twice")):
            case "inside":
                pairs[at] = (name, self.changed(inner))
            case "value":
                pairs[at] = (name, self._value())
            case "field":
                new = self._pair()
                pairs[:] = [pair for pair in pairs if pair[0] != new[0]]
                pairs.insert(at, new)
            case "name":
                pairs[at] = (rng.choice(self._fields), inner)
            case "drop":
                del pairs[at]
            case _:
                pairs.append((name, rng.choice((inner, self._value()))))
        return pairs

    def _pair(self) -> tuple[str, Any]:
        name = self._rng.choice(self._fields)
        of_its_kind = {"id": self._names, "status": self._statuses}.get(name.strip().lower())
        return name, self._rng.choice(of_its_kind) if of_its_kind else self._value()

    def _value(self) -> Any:
        return self._rng.choice(
            self._rng.choice((self._values, self._values, self._values, self._trees, self._odd))
        )


def written(rng: Random, value: Any) -> bytes:
    """As JSON, with white space here and there, and escapes in one of two manners."""
    gap = rng.choice((b"", b"", b" ", b"\r\n\t"))
    ascii_only = rng.random() < 0.5

    def text(value: Any) -> bytes:
        match value:
            case Raw():
                return bytes(value)
            case Pairs():
                return b"{" + b",".join(gap + text(name) + b":" + text(inner) for name, inner in value) + b"}"
            case list():
                return b"[" + b",".join(gap + text(inner) for inner in value) + b"]"
            case _:
                return json.dumps(value, ensure_ascii=ascii_only).encode(errors="surrogatepass")

    return text(value)
