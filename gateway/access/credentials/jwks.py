"""Public keys to verify tokens of other issuers: a JWKS, from a file or an https URL."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, Protocol

import jwt
import msgspec
from jwt import PyJWK

from turnwire.gateway.access.credentials.fetching import MAX_BYTES
from turnwire.gateway.access.credentials.watched_file import WatchedFile

_log = logging.getLogger("turnwire.access")

_FRESH_SECONDS: Final = 600.0
_KEPT_SECONDS: Final = 86_400.0
_LEAST_PAUSE: Final = 60.0
"""Least number of seconds between two fetches of a key set."""
_PAUSE_WITHOUT_KEYS: Final = 5.0
"""The same while there are no keys, and no token can be judged: the provider may start later than the gateway."""
_MIN_RSA_BITS: Final = 2048
_ALGORITHMS: Final = {("RSA", None): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}

KeySet = dict[str | None, PyJWK]
"""Keys by `kid`; None for a key without one."""
Fetch = Callable[[str], Awaitable[bytes]]
"""Fetches the content of a URL: at most MAX_BYTES, without redirects, within 5 s. Raises OSError."""


class JwksError(Exception):
    """A key set that cannot be used."""


def read_key_set(text: bytes) -> KeySet:
    """Return the keys of a JWKS that may verify a token, each bound to its one algorithm.

    Other keys are ignored: secret ones (a set is public), those for other uses or algorithms, and RSA keys of less than
    2,048 bits. Of two keys with the same `kid`, the first counts. Raises JwksError if the text is no JWKS or has no
    usable key.
    """
    try:
        document = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise JwksError("it is not a JSON object") from None
    listed = document.get("keys")
    keys: KeySet = {}
    for entry in listed if isinstance(listed, list) else []:
        key = _usable(entry) if isinstance(entry, dict) else None
        if key is not None:
            keys.setdefault(entry.get("kid"), key)
    if not keys:
        raise JwksError("it has no key for RS256, ES256 or EdDSA")
    return keys


def _usable(entry: dict[str, Any]) -> PyJWK | None:
    algorithm = _algorithm_of(entry)
    if algorithm is None or not isinstance(entry.get("kid"), str | None):
        return None
    try:
        key = PyJWK(entry, algorithm)
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError, KeyError):
        return None
    return None if algorithm == "RS256" and key.key.key_size < _MIN_RSA_BITS else key


def _algorithm_of(entry: dict[str, Any]) -> str | None:
    """Return the one algorithm of a public key for signatures; None for any other key."""
    kind, curve, operations = entry.get("kty"), entry.get("crv"), entry.get("key_ops", ["verify"])
    if not isinstance(kind, str) or not isinstance(curve, str | None) or "d" in entry:
        return None
    algorithm = _ALGORITHMS.get((kind, None if kind == "RSA" else curve))
    stated = entry.get("alg", algorithm)
    meant = entry.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    return algorithm if meant and stated == algorithm else None


class KeySource(Protocol):
    """The source of the keys that tokens are verified with."""

    @property
    def generation(self) -> int:
        """Raised when the keys change. Tokens verified before that must be verified again."""

    async def find(self, kid: str | None) -> PyJWK | None:
        """Return the key with this `kid`, or without a `kid` the only key; None if there is no such key.

        Raises JwksError if no keys are available.
        """

    async def refresh(self, *, force: bool = False) -> None:
        """Renew the keys if that is due. Call this every few seconds."""


def _pick(keys: KeySet, kid: str | None) -> PyJWK | None:
    return next(iter(keys.values())) if kid is None and len(keys) == 1 else keys.get(kid)


class KeySetFile:
    """The keys in a file, read again when it changes."""

    def __init__(self, path: Path) -> None:
        """Raises JwksError if the file cannot be used."""
        self._file = WatchedFile(path, MAX_BYTES)
        self._keys = self._read()
        self.generation = 0
        self._reading = asyncio.Lock()

    def _read(self) -> KeySet:
        try:
            return read_key_set(self._file.read())
        except OSError as error:
            raise JwksError(f"{self._file.path} cannot be read: {error.strerror}") from None
        except JwksError as error:
            raise JwksError(f"{self._file.path} is not a key set: {error}") from None

    async def find(self, kid: str | None) -> PyJWK | None:
        return _pick(self._keys, kid)

    async def refresh(self, *, force: bool = False) -> None:
        if not force and not self._file.changed():
            return
        try:
            async with self._reading:  # so that the newest stays
                self._keys = await asyncio.to_thread(self._read)  # a hundred keys take 10 ms
        except JwksError as error:
            _log.error("keeping the previous keys of tokens: %s", error)
        else:
            self.generation += 1


class KeySetUrl:
    """The keys at a URL. Fetched every ten minutes; if the URL does not answer, kept for a day.

    Owned by the event loop's thread.
    """

    def __init__(self, url: str, fetch: Fetch, clock: Callable[[], float]) -> None:
        """`clock` is monotonic, in seconds."""
        self._url = url
        self._fetch = fetch
        self._clock = clock
        self._keys: KeySet = {}
        self.generation = 0
        self._fetched_at: float | None = None
        self._asked_at: float | None = None
        self._asking: asyncio.Task[None] | None = None

    async def find(self, kid: str | None) -> PyJWK | None:
        key = self._pick(kid)
        if key is None:
            await self._ask()
            key = self._pick(kid)
        if key is None and not self._keys:
            raise JwksError("the keys of tokens could not be fetched")
        return key

    def _pick(self, kid: str | None) -> PyJWK | None:
        self._drop_outdated()
        return _pick(self._keys, kid)

    def _drop_outdated(self) -> None:
        if self._keys and self._fetched_at is not None and self._clock() - self._fetched_at > _KEPT_SECONDS:
            self._replace({})

    def _replace(self, keys: KeySet) -> None:
        self._keys = keys
        self.generation += 1

    async def refresh(self, *, force: bool = False) -> None:
        if force or self._fetched_at is None or self._clock() - self._fetched_at >= _FRESH_SECONDS:
            await self._ask()
        self._drop_outdated()

    async def _ask(self) -> None:
        """Fetch the set, unless that was tried within the last minute. Concurrent calls wait for the same fetch."""
        if self._asking is None:
            now, pause = self._clock(), _LEAST_PAUSE if self._keys else _PAUSE_WITHOUT_KEYS
            if self._asked_at is not None and now - self._asked_at < pause:
                return
            self._asked_at = now
            self._asking = asyncio.create_task(self._fetch_set())
        await asyncio.shield(self._asking)  # a cancelled caller must not cancel the fetch for the others

    async def _fetch_set(self) -> None:
        try:
            self._replace(await asyncio.to_thread(read_key_set, await self._fetch(self._url)))
            self._fetched_at = self._clock()
        except (OSError, JwksError) as error:
            _log.error("the keys of tokens could not be fetched from %s: %s", self._url, error)
        finally:
            self._asking = None
