"""Regular expressions mean the same on every Python that we support."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import turnwire

WRONG_BEFORE_3_11_5 = re.compile(r"(?<!\\)[*+?}]\+|\(\?>")
"""Possessive quantifiers and atomic groups. On Python before 3.11.5 they match wrongly around what can backtrack."""
ADAPTERS = "turnwire.adapters"
CALLS_OF_RE = {
    f"re.{name}" for name in ("compile", "match", "fullmatch", "search", "sub", "findall", "finditer", "split")
}


def patterns() -> Iterator[tuple[str, re.Pattern[str] | re.Pattern[bytes]]]:
    """Return all compiled patterns of our modules, each with its name."""
    for found in pkgutil.walk_packages(turnwire.__path__, "turnwire."):
        if not found.name.endswith("__main__") and not found.name.startswith(f"{ADAPTERS}."):
            module = importlib.import_module(found.name)
            yield from ((f"{found.name}.{name}", it) for name, it in vars(module).items() if isinstance(it, re.Pattern))


def patterns_of_adapters() -> Iterator[tuple[str, str | bytes]]:
    """Return the patterns that adapter modules compile, read from their text, because the frameworks they import may be
    absent.
    """
    for path in sorted((Path(turnwire.__path__[0]) / "adapters").rglob("*.py")):
        yield from ((f"{path.name}:{line}", text) for line, text in patterns_in(path.read_text("utf-8")))


def patterns_in(source: str) -> Iterator[tuple[int, str | bytes]]:
    """Return the first argument of every call of a function of `re`, with its line. Raises ValueError for one that is
    not a literal.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in CALLS_OF_RE and node.args:
            yield node.lineno, ast.literal_eval(node.args[0])


def is_portable(pattern: str | bytes) -> bool:
    text = pattern.decode("latin-1") if isinstance(pattern, bytes) else pattern
    return WRONG_BEFORE_3_11_5.search(text) is None


def test_no_regular_expression_is_possessive_or_atomic() -> None:
    found = dict(patterns())
    assert "turnwire.protocol.salvage._SURROGATES" in found
    assert [name for name, pattern in found.items() if not is_portable(pattern.pattern)] == []


def test_no_regular_expression_of_an_adapter_is_possessive_or_atomic() -> None:
    assert [name for name, pattern in patterns_of_adapters() if not is_portable(pattern)] == []


def test_regular_expressions_are_found_in_source_text() -> None:
    assert list(patterns_in('import re\nA = re.compile(r"a++")\nre.sub(rb"b", b"", x)')) == [(2, "a++"), (3, b"b")]


@pytest.mark.parametrize("pattern", [r"(?:a|b)*+c", rb"a++", r"a?+", r"a{2}+", r"(?>ab)c"])
def test_possessive_and_atomic_patterns_are_detected(pattern: str | bytes) -> None:
    assert not is_portable(pattern)


@pytest.mark.parametrize("pattern", [r"a*b+c?", r"\++", rb"[+*]", r"(?:a+)+", r"(?=a)"])
def test_patterns_without_possessive_or_atomic_parts_are_not_detected(pattern: str | bytes) -> None:
    assert is_portable(pattern)
