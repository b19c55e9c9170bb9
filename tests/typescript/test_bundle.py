"""What a page downloads."""

from __future__ import annotations

import gzip
from pathlib import Path

from tests.typescript import vendored
from tests.typescript.node import bundled

MAX_BYTES = 15_000


def test_the_bundled_typescript_client_is_small(tmp_path: Path) -> None:
    assert len(gzip.compress(bundled(tmp_path).read_bytes(), 9)) < MAX_BYTES


def test_the_dashboard_has_the_client_as_it_is_built() -> None:
    assert vendored.FILE.read_bytes() == vendored.make(), "run: python -m tests.typescript.vendored"
