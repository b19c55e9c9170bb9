"""The bus on Redis or Valkey: publish and subscribe, nothing is stored."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from turnwire.gateway.peers.bus import BusAway
from turnwire.gateway.peers.redis_url import redis_of


class RedisBus:
    """A bus with two connections, one to publish and one to subscribe. In a cluster, any node will do."""

    def __init__(self, url: str, prefix: str) -> None:
        """`url` as `redis_of` takes it. `prefix` begins the name of every channel. Raises ValueError for a URL that
        cannot be read."""
        self._prefix = prefix
        self._redis = redis_of(url)
        self._heard: PubSub | None = None

    async def connect(self, topics: Iterable[str]) -> None:
        await self.close()
        heard = self._heard = self._redis.pubsub(ignore_subscribe_messages=True)
        try:
            await heard.subscribe(*(self._prefix + topic for topic in topics))
        except (RedisError, OSError) as error:
            raise BusAway(_brief(error)) from None

    async def receive(self) -> bytes:
        assert self._heard is not None, "not connected"
        try:
            while (message := await self._heard.get_message(timeout=None)) is None:
                pass
        except (RedisError, OSError) as error:
            raise BusAway(_brief(error)) from None
        data: bytes = message["data"]
        return data

    async def publish(self, letters: Iterable[tuple[str, bytes]]) -> None:
        parts: list[Any] = [(self._prefix + topic, data) for topic, data in letters]
        try:
            if len(parts) == 1:
                await self._redis.publish(*parts[0])
                return
            async with self._redis.pipeline(transaction=False) as pipeline:
                for channel, data in parts:
                    pipeline.publish(channel, data)
                await pipeline.execute()
        except (RedisError, OSError) as error:
            raise BusAway(_brief(error)) from None

    async def close(self) -> None:
        heard, self._heard = self._heard, None
        with suppress(RedisError, OSError):
            if heard is not None:
                await heard.aclose()  # type: ignore[no-untyped-call]
        with suppress(RedisError, OSError):
            await self._redis.connection_pool.disconnect()


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".split("\n", 1)[0][:200]
