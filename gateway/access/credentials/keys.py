"""API keys: a file of keys, read again when it changes."""

from __future__ import annotations

import hmac
import logging
import re
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec

from turnwire.gateway.access.credentials.watched_file import WatchedFile
from turnwire.gateway.access.principals import Principal
from turnwire.gateway.access.refusals import unauthenticated
from turnwire.protocol.rights import KeyLine, check_key_id, check_patterns, parse_key, parse_scope, secret_digest
from turnwire.protocol.times import parse_time
from turnwire.protocol.values import in_words

_log = logging.getLogger("turnwire.access")
_MAX_FILE_BYTES = 4 * 1024 * 1024
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NOBODY = "0" * 64
_decoder = msgspec.json.Decoder(KeyLine)


class KeysError(Exception):
    """A key file that cannot be used. The text is for people and repeats no secret."""


class ApiKeys:
    """The API keys in a file. Owned by the event loop's thread, except for `refresh`, which is to be called every few
    seconds in any thread, but never twice at a time. It replaces all keys at once."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        """`clock` returns seconds since 1970. Raises KeysError if the file is missing, invalid, or open to others."""
        self._clock = clock
        self._file = WatchedFile(path, _MAX_FILE_BYTES)
        self._keys: dict[str, list[Principal]] = {}
        try:
            text = self._file.read()
        except OSError as error:
            raise KeysError(f"{path} cannot be read: {error.strerror}") from None
        self._keys = _parse(path, text, self._file.mode)

    def authenticate(self, text: str) -> Principal:
        """Return the principal of `tw_<id>_<secret>`. Raises Refusal (401)."""
        key = parse_key(text)
        digest = secret_digest("" if key is None else key.secret)
        known = [] if key is None else self._keys.get(key.id, [])
        found = [each for each in known if hmac.compare_digest(digest, each.fingerprint)]
        if not known:
            hmac.compare_digest(digest, _NOBODY)  # an unknown id takes as long as a known one
        if not found:
            raise unauthenticated("unknown_key", "this API key is not known")
        return self._unexpired(found[0])

    def current(self, principal: Principal) -> Principal:
        """Return the key as the file has it now: its rights may have changed, and it may have expired. Raises Refusal
        (401) if gone.
        """
        for key in self._keys.get(principal.id.removeprefix("key:"), []):
            if key.fingerprint == principal.fingerprint:
                return key
        raise unauthenticated("key_gone", "this API key is no longer valid")

    def has(self, key_id: str) -> bool:
        """Return whether there is a key with this id. The tokens that a key has minted are valid only as long as the
        key exists.
        """
        return key_id in self._keys

    def refresh(self, *, force: bool = False) -> bool:
        """Read the file again if it has changed, or with `force`. Return whether the keys have changed.

        If the file cannot be used, that is logged once, and the previous keys stay in force.
        """
        if not force and not self._file.changed():
            return False
        try:
            keys = _parse(self._file.path, self._file.read(), self._file.mode)
        except (OSError, KeysError) as error:
            _log.error("keeping the previous API keys: %s", error)
            return False
        changed = keys != self._keys
        self._keys = keys
        return changed

    def _unexpired(self, principal: Principal) -> Principal:
        if principal.expires_at is not None and principal.expires_at <= self._clock():
            raise unauthenticated("key_expired", "this API key has expired")
        return principal


def _parse(path: Path, text: bytes, mode: int) -> dict[str, list[Principal]]:
    if mode & (stat.S_IWGRP | stat.S_IWOTH | stat.S_IROTH):
        raise KeysError(
            f"{path} may be read or written by others (mode {stat.S_IMODE(mode):04o}); run: chmod 600 {path}"
        )
    keys: dict[str, list[Principal]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                principal = _principal(_decoder.decode(line))
            except (ValueError, msgspec.MsgspecError, RecursionError) as error:
                raise KeysError(f"{path}, line {number}: {in_words(str(error))}") from None
            keys.setdefault(principal.id.removeprefix("key:"), []).append(principal)
    return keys


def _principal(line: KeyLine) -> Principal:
    check_key_id(line.id)
    check_patterns(line.sessions)
    digest = line.sha256.lower()
    if not _DIGEST.fullmatch(digest) or digest == _NOBODY:
        raise ValueError("sha256 must be 64 hex digits: the digest of the secret")
    return Principal(
        id=f"key:{line.id}",
        scopes=parse_scope(line.scope),
        sessions=tuple(line.sessions),
        expires_at=None if line.expires_at is None else parse_time(line.expires_at).timestamp(),
        kind="key",
        marks=(f"key:{line.id}",),
        fingerprint=digest,
    )
