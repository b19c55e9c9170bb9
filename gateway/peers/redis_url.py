"""A Redis server by its URL: a single one, or the present master of several that Sentinel watches."""

from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from redis.asyncio import Redis
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelManagedSSLConnection
from redis.backoff import NoBackoff

_SENTINEL = "+sentinel"
_SENTINEL_PORT = 26379
_CONNECT_SECONDS = 1.0
_ANSWER_SECONDS = 1.5
"""Seconds after which a command has failed."""


def redis_of(url: str) -> Redis:
    """Return a client for `redis://`, `rediss://` and `unix://` URLs as redis-py takes them, or for
    `redis+sentinel://[user:password@]host[:port][,host…]/service`. The credentials there are those of Redis; those of
    Sentinel itself are the options `sentinel_username` and `sentinel_password`.

    Raises ValueError for a URL that cannot be read.
    """
    parts = urlsplit(url)
    client = _watched(parts) if parts.scheme.endswith(_SENTINEL) else Redis.from_url(url, **_options())
    try:
        client.connection_pool.make_connection()  # type: ignore[no-untyped-call]
    except TypeError as error:
        raise ValueError(str(error)) from None
    return client


def _options() -> dict[str, Any]:
    return {
        "socket_connect_timeout": _CONNECT_SECONDS,
        "socket_timeout": _ANSWER_SECONDS,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),  # the caller knows better when to try again
    }


def _watched(parts: SplitResult) -> Redis:
    user, _, hosts = parts.netloc.rpartition("@")
    service = unquote(parts.path.strip("/"))
    if not service or not hosts:
        raise ValueError("a Sentinel URL names its servers and the service: redis+sentinel://host:26379/service")
    plain = parts.scheme.removesuffix(_SENTINEL)
    given: dict[str, Any] = dict(parse_url(f"{plain}://{f'{user}@' if user else ''}localhost?{parts.query}"))
    tls = given.pop("connection_class", None) is SSLConnection
    del given["host"]
    own = {"username": given.pop("sentinel_username", None), "password": given.pop("sentinel_password", None)}
    secured = {name: value for name, value in given.items() if name.startswith("ssl_")} | ({"ssl": True} if tls else {})
    addresses = [_address(host) for host in hosts.split(",")]
    sentinel = Sentinel(addresses, sentinel_kwargs=_options() | own | secured)  # type: ignore[no-untyped-call]
    options = _options() | given | ({"connection_class": SentinelManagedSSLConnection} if tls else {})
    client: Redis = sentinel.master_for(service, **options)
    return client


def _address(host: str) -> tuple[str, int]:
    parts = urlsplit(f"//{host}")
    if not parts.hostname:
        raise ValueError(f"{host!r} is not the address of a Sentinel")
    return parts.hostname, parts.port or _SENTINEL_PORT
