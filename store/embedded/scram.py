"""The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), for the few commands that are sent without a driver."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode
from functools import lru_cache
from typing import Final

from msgspec import Struct

MECHANISM: Final = "SCRAM-SHA-256"
_WITHOUT_BINDING: Final = "biws"
"""`n,,` in base64."""
_FEWEST_ROUNDS: Final = 4096


class DatabaseUser(Struct, frozen=True):
    """A user of the database. Both texts consist of letters and digits, so they need no quoting anywhere."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials({self.user!r}, …)"


def new_credentials() -> DatabaseUser:
    return DatabaseUser(f"turnwire{secrets.token_hex(4)}", secrets.token_hex(32))


class ScramExchange:
    """One authentication: `first`, then `final` with the server's answer, then `confirm`.

    `final` and `confirm` raise ValueError for an answer that shows that the server does not know the password.
    """

    def __init__(self, credentials: DatabaseUser) -> None:
        self._credentials = credentials
        self._nonce = secrets.token_urlsafe(24)
        self._bare = f"n={credentials.user},r={self._nonce}"
        self._expected = b""

    def first(self) -> bytes:
        return f"n,,{self._bare}".encode()

    def final(self, answer: bytes) -> bytes:
        said = _fields(answer)
        nonce, rounds = said["r"], int(said["i"])
        if not nonce.startswith(self._nonce) or rounds < _FEWEST_ROUNDS:
            raise ValueError("the answer does not belong to the question")
        proofless = f"c={_WITHOUT_BINDING},r={nonce}"
        signed = ",".join((self._bare, answer.decode(), proofless)).encode()
        salted = _salted(self._credentials.password, b64decode(said["s"]), rounds)
        client_key = _hmac(salted, b"Client Key")
        signature = _hmac(hashlib.sha256(client_key).digest(), signed)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        self._expected = _hmac(_hmac(salted, b"Server Key"), signed)
        return f"{proofless},p={b64encode(proof).decode()}".encode()

    def confirm(self, answer: bytes) -> None:
        if not hmac.compare_digest(b64decode(_fields(answer).get("v", "")), self._expected):
            raise ValueError("the server that answers does not know the password")


@lru_cache(maxsize=4)
def _salted(password: str, salt: bytes, rounds: int) -> bytes:
    """Derive the salted password. This takes some milliseconds by design, so the result is cached."""
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _fields(message: bytes) -> dict[str, str]:
    """Parse `r=…,s=…,i=…` into a dict. Raises ValueError."""
    parts = [part.partition("=") for part in message.decode().split(",")]
    return {name: value for name, _, value in parts}
