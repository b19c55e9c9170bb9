"""docs/asvs.md names tests that exist, and leaves no requirement of its chapters out."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.support.processes import ROOT

PAGE = (ROOT / "docs" / "asvs.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (\d+\.\d+)\.(\d+)(?:-(\d+))? \| (.+?) \| (.+?) \|$", re.MULTILINE)
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
PLACE = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
LEVEL_2: dict[str, tuple[int, ...]] = {
    "1": (2, 9, 11, 3, 2),
    "2": (3, 3, 4, 1),
    "3": (0, 2, 4, 6, 5, 0, 2),
    "4": (3, 1, 2, 4),
    "6": (3, 12, 4, 4, 5, 3, 0, 4),
    "7": (3, 4, 2, 5, 2, 2),
    "8": (2, 3, 1, 1),
    "9": (3, 4),
    "10": (0, 0, 4),
    "11": (2, 3, 3, 4, 1, 1),
    "12": (3, 2, 4),
    "13": (1, 5, 2, 5),
    "14": (2, 4, 3),
    "15": (3, 3, 7),
    "16": (1, 5, 4, 3, 3),
}
"""Chapter → how many requirements each of its sections has at levels 1 and 2, in ASVS 5.0."""


@cache
def names_in(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


def rows() -> Iterator[tuple[str, str]]:
    """Each requirement, and how it stands; a row may speak for several in succession."""
    for section, first, last, verdict, shown in ROW.findall(PAGE):
        for number in range(int(first), int(last or first) + 1):
            yield f"{section}.{number}", f"{verdict} {shown}"


def test_every_requirement_of_the_chapters_has_one_row() -> None:
    numbers = [number for number, _ in rows()]
    assert [number for number, count in Counter(numbers).items() if count > 1] == []
    found = Counter(number.rpartition(".")[0] for number in numbers)
    expected = {
        f"{chapter}.{section}": count
        for chapter, counts in LEVEL_2.items()
        for section, count in enumerate(counts, start=1)
        if count
    }
    assert dict(found) == expected


def test_every_row_of_the_asvs_page_has_a_status() -> None:
    verdicts = ("met ", "partly ", "yours ", "not applicable ")
    assert [number for number, row in rows() if not row.startswith(verdicts)] == []


def test_every_test_that_the_asvs_page_names_exists() -> None:
    missing = [
        f"{path}::{name}"
        for path, name in TEST.findall(PAGE)
        if not (ROOT / path).is_file() or name not in names_in(ROOT / path)
    ]
    assert missing == []
    assert len(TEST.findall(PAGE)) > 80


def test_each_requirement_that_is_met_names_a_test_or_a_place() -> None:
    bare = [
        number
        for number, row in rows()
        if row.startswith(("met", "partly")) and not TEST.search(row) and not PLACE.search(row)
    ]
    assert bare == []
