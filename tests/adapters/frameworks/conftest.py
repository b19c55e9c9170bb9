"""A gateway for the tests that need one."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.adapters.frameworks.gateway import Gateway


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway for all tests of a module. A test that freezes it thaws it; a test that kills it restarts it."""
    with Gateway(tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture
def session_id() -> str:
    """The id of a session that only this test uses."""
    return f"call-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def nowhere() -> str:
    """A URL where nothing listens."""
    return "http://127.0.0.1:9"
