"""The secret that HS256 tokens are signed with."""

from __future__ import annotations

import logging
import stat
from pathlib import Path
from typing import Final

from msgspec import Struct

_log = logging.getLogger("turnwire.access")
_MIN_BYTES: Final = 32
_MAX_BYTES: Final = 4096


class SecretError(Exception):
    """A secret that cannot be used. The text is for people and does not repeat the secret."""


class JwtSecret(Struct, frozen=True):
    """A secret of at least 32 bytes. Its repr does not show them."""

    value: bytes

    def __repr__(self) -> str:
        return "Secret(…)"


def read_secret(path: Path) -> JwtSecret:
    """Return the bytes of the file without a final newline. Raises SecretError."""
    from jwt import InvalidKeyError  # noqa: PLC0415 -- takes 40 ms; most gateways have no secret
    from jwt.algorithms import HMACAlgorithm  # noqa: PLC0415 -- the same

    try:
        with path.open("rb") as file:
            value = file.read(_MAX_BYTES + 2)
        mode = path.stat().st_mode
    except OSError as error:
        raise SecretError(f"{path} cannot be read: {error.strerror}") from None
    value = value.removesuffix(b"\n").removesuffix(b"\r")
    if not _MIN_BYTES <= len(value) <= _MAX_BYTES:
        raise SecretError(
            f"{path} must hold {_MIN_BYTES} to {_MAX_BYTES} bytes without a final newline; it holds {len(value)}; "
            f"make one with: openssl rand -hex 32 > {path}"
        )
    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(value)
    except InvalidKeyError:
        raise SecretError(f"{path} must hold a random secret; it holds a key of another kind") from None
    if mode & (stat.S_IWGRP | stat.S_IWOTH | stat.S_IROTH):
        _log.warning("%s may be read or written by others; run: chmod 600 %s", path, path)
    return JwtSecret(value)
