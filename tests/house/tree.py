"""The source tree as a graph: files, their imports (those for types included), their functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

PACKAGES = ("gateway", "store", "protocol")
"""Folders at the top that are imported as `turnwire.…`."""

Graph = Mapping[str, frozenset[str]]
"""Module → which of our modules it imports."""


def source_files(root: Path) -> dict[str, Path]:
    """Return module name → file for all of `turnwire`. A package has its own name."""
    found = {}
    for folder in ("turnwire", *PACKAGES):
        for path in sorted((root / folder).rglob("*.py")):
            parts = path.relative_to(root).parts
            if parts[0] == "turnwire" and parts[1] in PACKAGES:
                continue  # a link to a folder that is visited under its own name
            names = parts if parts[0] == "turnwire" else ("turnwire", *parts)
            module = ".".join(names).removesuffix(".py").removesuffix(".__init__")
            found[module] = path
    return found


@cache
def imported(path: Path) -> frozenset[str]:
    """Return the full names of everything a file imports, anywhere in it, and of what it takes from a package."""
    return frozenset(_imports_in(path))


def _imports_in(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def import_graph(files: Mapping[str, Path]) -> dict[str, frozenset[str]]:
    graph = {}
    for module, path in files.items():
        reached = {name for name in imported(path) if name in files and name != module}
        # `from package import module` names the package too, which is only a way to the module.
        ways = {name for name in reached if any(other.startswith(name + ".") for other in reached)}
        graph[module] = frozenset(reached - {way for way in ways if files[way].name == "__init__.py"})
    return graph


def circles(graph: Graph) -> list[list[str]]:
    """Groups of modules that reach themselves by imports (Tarjan's strongly connected components)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in sorted(graph[module]):
            if other not in index:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            group = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(group) > 1:
                found.append(sorted(group))

    for module in sorted(graph):
        if module not in index:
            visit(module)
    return found


def levels(graph: Graph) -> dict[str, int]:
    """Return how many levels of imports each module has; 1 imports nothing of ours. The graph must have no circle."""
    known: dict[str, int] = {}

    def level(module: str) -> int:
        if module not in known:
            known[module] = 1 + max(map(level, graph[module]), default=0)
        return known[module]

    for module in graph:
        level(module)
    return known


def within(graph: Graph, package: str) -> dict[str, frozenset[str]]:
    """Return the part of the graph inside one package."""
    inside = {module for module in graph if module == package or module.startswith(package + ".")}
    return {module: graph[module] & inside for module in inside}


def room_of(module: str) -> str:
    """Return `gateway/live` for `turnwire.gateway.live.state`, and `gateway` for files in no room."""
    parts = module.split(".")[1:]
    if parts and parts[0] == "gateway" and len(parts) > 2:
        return "/".join(parts[:2])
    return parts[0] if parts and parts[0] in PACKAGES else "turnwire"


def rooms_of(graph: Graph) -> dict[str, frozenset[str]]:
    """Return the same graph with each room as one module."""
    rooms: dict[str, set[str]] = {}
    for module, others in graph.items():
        rooms.setdefault(room_of(module), set()).update(map(room_of, others))
    return {room: frozenset(others - {room}) for room, others in rooms.items()}


def function_lengths(path: Path) -> Iterator[int]:
    """Return the number of lines of each function's body, without its docstring."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body
            if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant) and len(body) > 1:
                body = body[1:]
            yield (body[-1].end_lineno or body[-1].lineno) - body[0].lineno + 1
