"""The sources of the house, read for the tests of its rules."""

from __future__ import annotations

import ast
import io
import tokenize
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Source:
    path: str
    text: str

    @cached_property
    def module(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @cached_property
    def room(self) -> str:
        return self.module.removeprefix("service.").partition(".")[0]

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @cached_property
    def strings(self) -> list[tuple[int, str]]:
        """Every string constant, docstrings and the parts of f-strings included."""
        return [
            (node.lineno, node.value)
            for node in self.nodes
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]

    @cached_property
    def functions(self) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
        return [node for node in self.nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]

    @cached_property
    def comments(self) -> list[tuple[int, str]]:
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return [(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT]

    @cached_property
    def imports(self) -> list[tuple[int, str]]:
        """Dotted names: `from a import b` is `a.b`, be b a module or not; typing-only imports count."""
        found: list[tuple[int, str]] = []
        for node in self.nodes:
            if isinstance(node, ast.Import):
                found += [(node.lineno, alias.name) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                found += [(node.lineno, f"{self._origin(node)}.{alias.name}") for alias in node.names]
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
                found += [(node.lineno, str(arg.value)) for arg in node.args if isinstance(arg, ast.Constant)]
        return found

    def _origin(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = self.module.split(".")
        above = package[: len(package) - node.level + self.path.endswith("/__init__.py")]
        return ".".join([*above, *([node.module] if node.module else [])])

    def among(self, patterns: Sequence[str]) -> bool:
        return any(PurePath(self.path).match(pattern) for pattern in patterns)


@cache
def sources(*folders: str) -> list[Source]:
    files = sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))
    return [Source(file.relative_to(ROOT).as_posix(), file.read_text("utf-8")) for file in files]


def own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(function):
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield child
            yield from own_nodes(child)


def catches_everything(node: ast.AST) -> bool:
    caught: list[ast.expr | None] = []
    if isinstance(node, ast.ExceptHandler):
        caught = [node.type]
    elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("suppress", "contextlib.suppress"):
        caught = list(node.args)
    every = [one for part in caught for one in (part.elts if isinstance(part, ast.Tuple) else [part])]
    return any(one is None or ast.unparse(one) in ("Exception", "BaseException") for one in every)


def module_graph(sources: Iterable[Source]) -> dict[str, set[str]]:
    """Who imports whom; `from a.b import c` is an import of a.b.c where that is a module, else of a.b."""
    by_module = {source.module: source for source in sources}
    return {
        module: {target for _, name in source.imports if (target := _module_of(name, by_module)) is not None}
        for module, source in by_module.items()
    }


def _module_of(name: str, modules: Mapping[str, Source]) -> str | None:
    return next((known for known in (name, name.rpartition(".")[0]) if known in modules), None)


def cycles(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """For every module that leads back to itself one shortest way round."""
    return [way for module in sorted(graph) if (way := _way_back(module, graph))]


def _way_back(start: str, graph: Mapping[str, Iterable[str]]) -> list[str]:
    ways, seen = [[start]], {start}
    for way in ways:
        for target in sorted(graph.get(way[-1], ())):
            if target == start:
                return [*way, start]
            if target not in seen:
                seen.add(target)
                ways.append([*way, target])
    return []
