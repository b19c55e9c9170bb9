"""Gateways in the test's own process and event loop, on a real database and real sockets, and a client for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self, cast
from uuid import uuid4

import aiohttp
from aiohttp import web
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource
from yarl import URL

from turnwire.gateway.config import Config
from turnwire.gateway.connections.connection import Connection
from turnwire.gateway.live.live_session import LiveSession
from turnwire.gateway.rest.streams import HttpStream
from turnwire.gateway.running import app as application
from turnwire.gateway.running.sessions import SessionParts
from turnwire.store.mongo import Store

Json = Any


class GivenConfig(Config):
    """Settings as the test gives them, whatever the environment says."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


class Gateway:
    """A gateway that serves, and a client for it."""

    def __init__(self, url: str, gateway: application.Gateway, runner: web.AppRunner, store: Store) -> None:
        self.url = url
        """Such as `http://127.0.0.1:34567`."""
        self.gateway = gateway
        self.app = gateway.app
        self.runner = runner
        self.store = store
        self.client = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        self.sockets: list[aiohttp.ClientWebSocketResponse[Any]] = []
        """WebSockets of the client that are closed when it stops."""
        self._stopped = False

    @classmethod
    async def start(cls, **settings: Any) -> Self:
        """Start a gateway with these settings of Config, on a free port. It is ready when this returns."""
        config = GivenConfig(**{"port": 0, **settings})
        assert config.mongodb_uri is not None
        store = Store.connect(config.mongodb_uri, config.mongodb_database)
        served = application.Gateway(config, store)
        runner = served.make_runner()
        await runner.setup()
        await web.TCPSite(runner, config.host, config.port).start()
        gateway = cls(f"http://{config.host}:{runner.addresses[0][1]}", served, runner, store)
        try:
            async with asyncio.timeout(20):
                await gateway.parts.sessions.prepared.wait()
        except BaseException:
            await gateway.stop()
            raise
        return gateway

    async def hang_up(self) -> None:
        """Close the client's WebSockets. Nobody reads them any more, so none would answer a close."""
        await asyncio.gather(*(socket.close() for socket in self.sockets))

    async def stop(self) -> None:
        """Drain and stop, as on SIGTERM. May be called twice."""
        if not self._stopped:
            self._stopped = True
            await self.gateway.drain()
            await self.hang_up()
            await self.client.close()
            await self.runner.cleanup()
            await self.store.close()

    @property
    def parts(self) -> SessionParts:
        return self.gateway.parts

    @property
    def connections(self) -> set[Connection]:
        return cast("set[Connection]", self.gateway.connections.connections)

    @property
    def followers(self) -> set[HttpStream]:
        return cast("set[HttpStream]", self.gateway.connections.followers)

    def publishes(self, session_id: str) -> bool:
        """Return whether a publisher of the session is connected here."""
        live = self.live.get(session_id)
        return live is not None and live.state.publisher is not None

    @property
    def live(self) -> dict[str, LiveSession]:
        """The sessions in memory."""
        return self.parts.sessions.live

    @property
    def port(self) -> int:
        port = URL(self.url).port
        assert port is not None
        return port

    @property
    def ws_url(self) -> str:
        """Such as `ws://127.0.0.1:34567`."""
        return self.url.replace("http", "ws", 1)

    def request(self, method: str, path: str, **arguments: Any) -> aiohttp.client._RequestContextManager:
        """Send a request to `path`, which must be percent-encoded."""
        return self.client.request(method, URL(self.url + path, encoded=True), **arguments)

    async def ask(self, method: str, path: str, *, status: int = 200, **arguments: Any) -> Json:
        """Return the JSON of the answer, which must have this status."""
        async with self.request(method, path, **arguments) as response:
            assert response.status == status, await response.text()
            return await response.json()

    async def get(self, path: str, **arguments: Any) -> Json:
        return await self.ask("GET", path, **arguments)

    async def post(self, path: str, body: Json, **arguments: Any) -> Json:
        return await self.ask("POST", path, json=body, **arguments)

    async def refused(self, method: str, path: str, status: int, **arguments: Any) -> Json:
        """Return the envelope of an error answer, which must have this status and all fields."""
        async with self.request(method, path, **arguments) as response:
            assert response.status == status, await response.text()
            envelope = await response.json()
            check_envelope(envelope, status, response.headers)
            assert envelope["method"] == method
            assert envelope["path"] == path.partition("?")[0]
            return envelope

    async def create(self, session_id: str | None = None, **fields: Json) -> str:
        """Create a session. Return its id."""
        session_id = session_id or new_id("s")
        session = await self.post("/sessions", {"sessionId": session_id, "language": "en", **fields})
        assert session["sessionId"] == session_id
        return session_id

    async def fill(self, session_id: str, count: int) -> list[Json]:
        """Append the events e1, e2, … to an empty session. Return them as stored."""
        stored: list[Json] = []
        for first in range(1, count + 1, 500):
            events = [new_event(f"e{n}", {"n": n}) for n in range(first, min(first + 500, count + 1))]
            answer = await self.post(f"/sessions/{session_id}/events", {"events": events}, status=201)
            stored += answer["events"]
        return stored

    async def send_raw(self, data: bytes, *, end: bool = False) -> bytes:
        """Send these bytes on a new connection. Return the answer up to its end, which the gateway must make. `end`
        closes our direction after the bytes.
        """
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            if end:
                writer.write_eof()
            async with asyncio.timeout(20):
                return await reader.read()
        finally:
            writer.close()


def new_id(prefix: str) -> str:
    """Return an id that no other test uses."""
    return f"{prefix}-{uuid4().hex[:12]}"


def new_event(event_id: str, payload: Json = None, **fields: Json) -> Json:
    """Return an event as a client sends it."""
    return {"eventId": event_id, "type": "user_speech", "payload": {} if payload is None else payload, **fields}


def check_envelope(envelope: Json, status: int, headers: Mapping[str, str]) -> None:
    """Check that it has all fields of the protocol's error envelope, and reveals no internals."""
    assert set(envelope) == {"statusCode", "timestamp", "path", "method", "error", "message", "code"}
    assert envelope["statusCode"] == status
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert ("Retry-After" in headers) == (status in (429, 503))
    texts = envelope["message"] if isinstance(envelope["message"], list) else [envelope["message"]]
    assert texts
    assert all(isinstance(text, str) and text for text in texts)
    for trace in ("Traceback", "Error(", "site-packages", "object at 0x"):
        assert all(trace not in text for text in texts), texts


StartGateway = Callable[..., Awaitable[Gateway]]


@asynccontextmanager
async def gateways_on(database_uri: str, database_name: str) -> AsyncIterator[StartGateway]:
    """Start gateways with these settings, on this database unless they name another. They stop with the block."""
    started: list[Gateway] = []

    async def start(**settings: Any) -> Gateway:
        settings = {"mongodb_uri": database_uri, "mongodb_database": database_name, **settings}
        started.append(await Gateway.start(**settings))
        return started[-1]

    yield start
    for gateway in reversed(started):
        await gateway.hang_up()
        await gateway.stop()
