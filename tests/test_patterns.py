"""Regular expressions mean the same on every Python that we support."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator

import pytest

import turnwire

WRONG_BEFORE_3_11_5 = re.compile(r"(?<!\\)[*+?}]\+|\(\?>")
"""Possessive quantifiers and atomic groups: around what can backtrack, they match wrongly there."""


def patterns() -> Iterator[tuple[str, re.Pattern[str] | re.Pattern[bytes]]]:
    """All compiled patterns of our modules, each with its name."""
    for found in pkgutil.walk_packages(turnwire.__path__, "turnwire."):
        if not found.name.endswith("__main__"):
            module = importlib.import_module(found.name)
            yield from ((f"{found.name}.{name}", it) for name, it in vars(module).items() if isinstance(it, re.Pattern))


def is_portable(pattern: str | bytes) -> bool:
    text = pattern.decode("latin-1") if isinstance(pattern, bytes) else pattern
    return WRONG_BEFORE_3_11_5.search(text) is None


def test_no_pattern_is_possessive_or_atomic() -> None:
    found = dict(patterns())
    assert "turnwire.protocol.salvage._SURROGATES" in found
    assert [name for name, pattern in found.items() if not is_portable(pattern.pattern)] == []


@pytest.mark.parametrize("pattern", [r"(?:a|b)*+c", rb"a++", r"a?+", r"a{2}+", r"(?>ab)c"])
def test_such_patterns_are_found(pattern: str | bytes) -> None:
    assert not is_portable(pattern)


@pytest.mark.parametrize("pattern", [r"a*b+c?", r"\++", rb"[+*]", r"(?:a+)+", r"(?=a)"])
def test_others_are_not(pattern: str | bytes) -> None:
    assert is_portable(pattern)
