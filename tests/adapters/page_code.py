"""The Python of a page in docs/adapters, to be compiled or run."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

PAGES = Path(__file__).resolve().parents[2] / "docs/adapters"


def blocks_of(page: str) -> list[str]:
    """The Python blocks of a page, by its name without `.md`."""
    return _blocks(page, "python")


def _blocks(page: str, language: str) -> list[str]:
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


async def run_page(page: str, *, block: int = 0, **names: Any) -> dict[str, Any]:
    """Run a block of a page with these names defined. Return all names after it.

    `gateway` replaces the URL that the pages show.
    """
    code = compile(
        blocks_of(page)[block].replace("http://localhost:3000", str(names.pop("gateway", "http://localhost:3000"))),
        f"{page}.md",
        "exec",
        ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
    )
    result = eval(code, names)
    if inspect.isawaitable(result):
        await result
    return names


def shell_line_of(page: str) -> str:
    """The one command line of a page."""
    (line,) = _blocks(page, "sh")
    return line.strip()
