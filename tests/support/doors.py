"""Doors of gateways, and requests to them, without a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.credentials import Clock, key_line, write_keys, write_secret
from tests.support.revocation_log import MemoryLog
from turnwire.gateway.access.access import Access, build_access
from turnwire.gateway.access.asked import Asked
from turnwire.gateway.access.refusals import Refusal
from turnwire.gateway.config import Config

KEY = f"tw_bot_{'k' * 43}"
HOST = "127.0.0.1:3000"
OWN = "http://127.0.0.1:3000"
"""The origin of the gateway's own pages."""


async def start(tmp_path: Path, **settings: Any) -> Access:
    """Return an access with the API key KEY and a secret for tokens."""
    keys = write_keys(tmp_path / "keys", key_line(KEY, "session:read"))
    secret = write_secret(tmp_path / "secret")
    access = build_access(Config(api_keys_file=keys, jwt_secret_file=secret, **settings), MemoryLog(), Clock())
    await access.refresh()
    return access


def ask(path: str = "/sessions", method: str = "GET", **fields: Any) -> Asked:
    return Asked(**{"method": method, "path": path, "hosts": [HOST], "peer": "192.0.2.1", **fields})


def with_key(path: str = "/sessions", method: str = "GET", **fields: Any) -> Asked:
    return ask(path, method, **{"authorizations": [f"Bearer {KEY}"], **fields})


async def refused(access: Access, asked: Asked) -> Refusal:
    """Return the refusal of the door, which must not admit this request."""
    with pytest.raises(Refusal) as told:
        await access.door.admit(asked)
    return told.value
