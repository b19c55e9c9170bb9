"""`turnwire reindex`: requests a rebuild, or says what is wrong."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from turnwire.cli import app
from turnwire.store.search.catalog import Catalog
from turnwire.store.search.tables import FILE_NAME


def test_reindex_requests_a_rebuild(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / FILE_NAME)
    assert not catalog.rebuild_wanted()
    result = CliRunner().invoke(app, ["reindex", "--data-dir", str(tmp_path)])
    assert (result.exit_code, "rebuilt" in result.output) == (0, True)
    assert catalog.rebuild_wanted()
    catalog.close()


def test_reindex_without_a_search_index_says_so(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["reindex", "--data-dir", str(tmp_path)])
    assert result.exit_code == 1
    assert not (tmp_path / FILE_NAME).exists()


def test_reindex_reports_a_search_index_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    assert CliRunner().invoke(app, ["reindex", "--data-dir", str(tmp_path)]).exit_code == 1
