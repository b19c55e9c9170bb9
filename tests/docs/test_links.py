"""Links between the documents lead somewhere, and every page can be found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES
from tests.support.processes import ROOT


def linked_files(page: Path) -> list[Path]:
    """Return the files that a page links to, existing or not."""
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8"))
    return [(page.parent / link).resolve() for link in links if "://" not in link]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_in_the_documents_lead_to_existing_files(page: Path) -> None:
    assert [file for file in linked_files(page) if not file.exists()] == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    left = [ROOT / "README.md"]
    while left:
        page = left.pop()
        if page.suffix == ".md" and page not in reached:
            reached.add(page)
            left += linked_files(page)
    assert set(PAGES) - reached == set()
