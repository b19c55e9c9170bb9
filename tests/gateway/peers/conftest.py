"""Gateways on one database that reach each other over a real Redis."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateways import Gateway, StartGateway
from tests.support.redis import RedisServer
from tests.support.sockets import until

StartPeers = Callable[..., Awaitable[list[Gateway]]]
POLLS_NEVER = {"poll_interval": 60}
"""So long that events which arrive have come over Redis."""


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A key and a self-signed certificate for localhost."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return key, certificate


def is_up(gateway: Gateway) -> bool:
    peers = gateway.parts.peers
    return peers is not None and peers.is_up()


@pytest.fixture
def start_peers(start_gateway: StartGateway, redis: RedisServer) -> StartPeers:
    """Start this many gateways that reach each other."""

    async def start(count: int, **settings: Any) -> list[Gateway]:
        settings = {"redis_url": redis.url, **POLLS_NEVER, **settings}
        gateways = list(await asyncio.gather(*(start_gateway(**settings) for _ in range(count))))
        await until(lambda: all(map(is_up, gateways)), "the bus")
        await until(lambda: all(knows(gateway, count - 1) for gateway in gateways), "that they know each other")
        return gateways

    return start


def knows(gateway: Gateway, count: int) -> bool:
    peers = gateway.parts.peers
    return peers is not None and len(peers.names) == count


async def watched_elsewhere(gateway: Gateway, session_id: str) -> None:
    """Wait until the gateway knows that another one watches the session."""
    peers = gateway.parts.peers
    assert peers is not None
    await until(lambda: peers.is_watched(session_id), "that it is watched elsewhere")
