"""The REST client for programs without an event loop: the blocking form of `turnwire.Client`.

from turnwire.sync import Client
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from turnwire import client
from turnwire.protocol.bodies import CommandAnswer, EventPage, MintedToken, SessionList, SessionSums
from turnwire.protocol.figures import SessionStats
from turnwire.protocol.messages import Event, EventIn, FinalStatus, InitialStatus, JsonObject, Session
from turnwire.rest.session_filter import SessionFilter
from turnwire.rest.shapes import GroupBy, Order, SessionPage

T = TypeVar("T")


class Client:
    """REST calls to one gateway, from any thread. Use it as a context manager, or call `close`.

    The calls raise the same errors as those of `turnwire.Client`. They run on an event loop in a separate thread, so
    they work beside other loops. From a coroutine, they would block its loop. `token` is a string, or a plain function
    that returns one.
    """

    def __init__(self, url: str, *, token: str | Callable[[], str] | None = None, timeout: float = 30.0) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="turnwire", daemon=True)
        self._thread.start()
        try:
            self._client = self._done(_made(url, token, timeout))
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect and stop the thread. Safe to repeat."""
        if not self._loop.is_closed():
            try:
                self._done(self._client.close())
            finally:
                self._end()

    def check(self) -> None:
        """Return if a gateway answers and can serve; raise otherwise."""
        self._done(self._client.check())

    # One session

    def create(
        self,
        session_id: str | None = None,
        language: str = "en",
        *,
        metadata: JsonObject | None = None,
        status: InitialStatus = "initiated",
    ) -> Session:
        return self._done(self._client.create(session_id, language, metadata=metadata, status=status))

    def get(self, session_id: str) -> Session:
        return self._done(self._client.get(session_id))

    def history(
        self,
        session_id: str,
        *,
        page: int | None = None,
        limit: int | None = None,
        offset: int | None = None,
        order: Order = "asc",
    ) -> SessionPage:
        return self._done(self._client.history(session_id, page=page, limit=limit, offset=offset, order=order))

    def append(self, session_id: str, events: EventIn | Sequence[EventIn]) -> list[Event]:
        return self._done(self._client.append(session_id, events))

    def complete(self, session_id: str, status: FinalStatus = "completed", reason: str | None = None) -> Session:
        return self._done(self._client.complete(session_id, status, reason))

    def patch(self, session_id: str, *, metadata: JsonObject | None = None, language: str | None = None) -> Session:
        return self._done(self._client.patch(session_id, metadata=metadata, language=language))

    def delete(self, session_id: str, *, force: bool = False) -> None:
        self._done(self._client.delete(session_id, force=force))

    def stats(self, session_id: str) -> SessionStats:
        return self._done(self._client.stats(session_id))

    def events(self, session_id: str, *, after_seq: int = 0, limit: int = 100) -> EventPage:
        return self._done(self._client.events(session_id, after_seq=after_seq, limit=limit))

    def export(self, session_id: str, *, after_seq: int = 0) -> Iterator[Event]:
        return self._each(self._client.export(session_id, after_seq=after_seq))

    def command(
        self,
        session_id: str,
        command: str,
        payload: JsonObject | None = None,
        *,
        command_id: str,
        by: str | None = None,
        ttl_ms: int | None = None,
    ) -> CommandAnswer:
        call = self._client.command(session_id, command, payload, command_id=command_id, by=by, ttl_ms=ttl_ms)
        return self._done(call)

    # All sessions

    def list(self, *, limit: int | None = None, **filter: Unpack[SessionFilter]) -> Iterator[Session]:
        return self._each(self._client.list(limit=limit, **filter))

    def list_page(self, *, limit: int = 20, cursor: str | None = None, **filter: Unpack[SessionFilter]) -> SessionList:
        return self._done(self._client.list_page(limit=limit, cursor=cursor, **filter))

    def call_stats(
        self, *, started_after: str, started_before: str | None = None, group_by: GroupBy | None = None
    ) -> SessionSums:
        stats = self._client.call_stats(started_after=started_after, started_before=started_before, group_by=group_by)
        return self._done(stats)

    def mint_token(self, sub: str, *, scope: str, sessions: Sequence[str], ttl: int = 600) -> MintedToken:
        return self._done(self._client.mint_token(sub, scope=scope, sessions=sessions, ttl=ttl))

    # Inside

    def _done(self, call: Coroutine[Any, Any, T]) -> T:
        if self._loop.is_closed():
            call.close()
            raise RuntimeError("the client has been closed")
        future = asyncio.run_coroutine_threadsafe(call, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # in case the wait itself was interrupted, as by Ctrl-C
            raise

    def _each(self, items: AsyncGenerator[T, None]) -> Iterator[T]:
        try:
            while True:
                try:
                    item = self._done(_next(items))
                except StopAsyncIteration:
                    return
                yield item
        finally:
            if not self._loop.is_closed():
                self._done(_close(items))

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _made(url: str, token: str | Callable[[], str] | None, timeout: float) -> client.Client:
    return client.Client(url, token=token, timeout=timeout)


async def _next(items: AsyncGenerator[T, None]) -> T:
    return await anext(items)


async def _close(items: AsyncGenerator[Any, None]) -> None:
    await items.aclose()
