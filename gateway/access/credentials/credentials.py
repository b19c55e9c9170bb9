"""Checks a request's credential: an API key or a token, and that it is not revoked."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from turnwire.gateway.access.credentials.keys import ApiKeys
from turnwire.gateway.access.credentials.revocations import Revocations
from turnwire.gateway.access.principals import Principal
from turnwire.gateway.access.refusals import forbidden, unauthenticated
from turnwire.protocol.errors import StorageUnavailable

if TYPE_CHECKING:  # jwt takes 40 ms to import
    from turnwire.gateway.access.credentials.jwks import KeySource
    from turnwire.gateway.access.credentials.tokens import Tokens

_log = logging.getLogger("turnwire.access")
_KEY_PREFIX: Final = "tw_"
_MAX_REMEMBERED: Final = 10_000


class Credentials:
    """Everything that credentials are checked by. Owned by the event loop's thread.

    Verified tokens are remembered by their digest, because verifying a signature costs more than a request.
    """

    def __init__(
        self,
        keys: ApiKeys | None,
        tokens: Tokens | None,
        source: KeySource | None,
        revocations: Revocations,
        clock: Callable[[], float],
    ) -> None:
        """`clock` returns seconds since 1970."""
        self._keys = keys
        self._tokens = tokens
        self._source = source
        self._revocations = revocations
        self._clock = clock
        self._reading = asyncio.Lock()
        self._verified: OrderedDict[bytes, Principal] = OrderedDict()
        self._verified_by = 0
        """The generation of the key set that these were verified with."""
        self.generation = 0
        """Raised when keys or revocations change: `current` may then differ for open connections."""

    async def authenticate(self, credential: str) -> Principal:
        """Return the principal of a credential.

        Raises Refusal: 401, or 503 if it cannot be checked now; StorageUnavailable until revocations are known.
        """
        if credential.startswith(_KEY_PREFIX):
            if self._keys is None:
                raise unauthenticated("unknown_key", "this API key is not known")
            principal = self._keys.authenticate(credential)
        else:
            principal = await self._token(credential)
        self._check(principal)
        return principal

    def is_cheap(self, credential: str) -> bool:
        """Return whether checking it costs next to nothing: an API key, or a token that was verified before."""
        return credential.startswith(_KEY_PREFIX) or self._verified_before(_digest(credential)) is not None

    async def renew(self, principal: Principal, token: str) -> Principal:
        """Return the principal of a newer token, for an open connection of `principal`.

        Raises Refusal: 401 as `authenticate`, 403 for another subject.
        """
        renewed = await self.authenticate(token)
        if renewed.id != principal.id:
            raise forbidden("other_sub", "the new token must have the same sub")
        return renewed

    def current(self, principal: Principal) -> Principal:
        """Return an open connection's principal with its current rights: those of an API key may have changed.

        Call this when `generation` has changed; does no I/O. Raises Refusal (401) if the credential is gone or
        revoked. Expiry is not checked here: see `expires_at`.
        """
        if principal.kind == "anonymous":
            return principal
        if principal.kind == "key" and self._keys is not None:
            principal = self._keys.current(principal)
        self._check(principal)
        return principal

    async def refresh(self, *, force: bool = False) -> bool:
        """Read API keys and revocations if they have changed, with `force` the keys in any case.

        Return whether the keys have changed.
        """
        changed = self._keys is not None and await self._refresh_keys(self._keys, force=force)
        with suppress(StorageUnavailable):  # reported elsewhere; the known revocations stay in force
            if await self._revocations.refresh():
                self.generation += 1
        self.generation += changed
        return changed

    async def _refresh_keys(self, keys: ApiKeys, *, force: bool) -> bool:
        """Read API keys in a thread: a large file takes a tenth of a second. One at a time, so the newest stays."""
        async with self._reading:
            return await asyncio.to_thread(keys.refresh, force=force)

    async def refresh_key_set(self, *, force: bool = False) -> None:
        """Renew the key set of tokens if it is due."""
        if self._source is not None:
            await self._source.refresh(force=force)

    async def _token(self, token: str) -> Principal:
        if self._tokens is None:
            raise unauthenticated("no_tokens", "this gateway accepts API keys only")
        digest = _digest(token)
        known = self._verified_before(digest)
        if known is not None and known.expires_at is not None and known.expires_at > self._clock():
            return known
        principal = await self._tokens.authenticate(token)
        self._forget_former_keys()  # it may have waited for a new set
        self._verified[digest] = principal
        if len(self._verified) > _MAX_REMEMBERED:
            self._verified.popitem(last=False)
        return principal

    def _verified_before(self, digest: bytes) -> Principal | None:
        """Return the principal of a token that was verified with the present keys; None for any other."""
        self._forget_former_keys()
        return self._verified.get(digest)

    def _forget_former_keys(self) -> None:
        if self._source is not None and self._source.generation != self._verified_by:
            self._verified_by = self._source.generation
            self._verified.clear()

    def _check(self, principal: Principal) -> None:
        self._revocations.check(principal)
        if self._keys is not None:
            for mark in principal.marks:
                if mark.startswith("key:") and not self._keys.has(mark.removeprefix("key:")):
                    raise unauthenticated("key_gone", "the API key that minted this token is no longer valid")


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "replace")).digest()
