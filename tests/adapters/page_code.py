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
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


async def run_page(page: str, **names: Any) -> dict[str, Any]:
    """Run the first block of a page with these names defined. Returns all names after it.

    `gateway` replaces the URL that the pages show.
    """
    block, *_ = blocks_of(page)
    code = compile(
        block.replace("http://localhost:3000", str(names.pop("gateway", "http://localhost:3000"))),
        f"{page}.md",
        "exec",
        ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
    )
    result = eval(code, names)
    if inspect.isawaitable(result):
        await result
    return names
