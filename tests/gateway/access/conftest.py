"""A guarded and an unguarded gateway's access, without a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.credentials import Clock
from tests.support.doors import start
from tests.support.revocation_log import MemoryLog
from turnwire.gateway.access.access import Access, build_access
from turnwire.gateway.config import Config


@pytest.fixture
async def guarded(tmp_path: Path) -> Access:
    """The access of a gateway with an API key and a secret for tokens."""
    return await start(tmp_path)


@pytest.fixture
def unguarded() -> Access:
    """The access of a gateway without keys, on loopback."""
    return build_access(Config(), MemoryLog(), Clock())
