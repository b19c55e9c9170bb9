"""The code blocks of the documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.support.processes import ROOT

PAGES: Final = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "tests" / "README.md"])
_BLOCK: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A code block: its place (such as `README.md:40`), its language ("" if none is given) and its text."""

    place: str
    language: str
    text: str

    def __str__(self) -> str:
        return self.place


def blocks(*languages: str) -> Iterator[Block]:
    """All blocks of these languages."""
    for page in PAGES:
        text = page.read_text("utf-8")
        for found in _BLOCK.finditer(text):
            if found[1] in languages:
                line = text.count("\n", 0, found.start()) + 2
                yield Block(f"{page.relative_to(ROOT)}:{line}", found[1], found[2])
