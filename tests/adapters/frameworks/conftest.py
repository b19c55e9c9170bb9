"""A gateway for the tests that need one."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.adapters.frameworks.gateway import Gateway


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One for all tests of a module. Who freezes it thaws it again, who kills it starts it again."""
    with Gateway(tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture
def session_id() -> str:
    """A session of this test alone."""
    return f"call-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def nowhere() -> str:
    """A URL where nobody listens."""
    return "http://127.0.0.1:9"
