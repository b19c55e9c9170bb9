"""How the database is, as its answers tell: well, away, or refusing for a reason that somebody must mend."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable
from typing import Any, Final, TypeVar

from msgspec import Struct
from pymongo.errors import ConfigurationError, OperationFailure, PyMongoError

from turnwire.protocol.errors import StorageRefused, StorageUnavailable

_REPEAT_SECONDS: Final = 60.0
AWAY: Final = "the database does not answer"


_CREDENTIALS: Final = "it does not accept the credentials of MONGODB_URI: correct them, and authSource"
_INDEX: Final = "an index of this collection is in the way: compare them with those in docs/operations.md, and drop it"
_MISSING: Final = "it lacks a command that is needed: use MongoDB 4.4 or later, or what answers in full as it does"
_REASONS: Final = {
    11: _CREDENTIALS,
    18: _CREDENTIALS,
    334: _CREDENTIALS,
    391: _CREDENTIALS,
    13: "the user of MONGODB_URI lacks the right: grant it the role readWrite on this database",
    59: _MISSING,
    115: _MISSING,
    238: _MISSING,
    303: _MISSING,
    67: _INDEX,
    85: _INDEX,
    86: _INDEX,
    79: "it knows no write concern majority: use a replica set, or set its default write concern right",
    166: "the collection is a view: rename it, so that a collection can be made",
    291: "it does not allow queries without an index: allow them (notablescan)",
    371: "writes of users are blocked: unblock them (setUserWriteBlockMode)",
    8000: "its provider blocks the command: look at the quota and the network access of the cluster",
    13297: "a database of the same name in other letters exists: write MONGODB_DATABASE as it is written there",
}
"""What to do, by the code of the server's error."""

T = TypeVar("T")
_log = logging.getLogger("turnwire.store")


class StorageState(Struct, frozen=True):
    """Whether the storage can be used; if not, why, in words without secrets that an operator can act on."""

    up: bool
    reason: str | None = None

    @property
    def refusal(self) -> str | None:
        """The reason, if somebody must mend it: it does not pass by itself."""
        return None if self.reason == AWAY else self.reason


class DatabaseCondition:
    """What the answers to the store's operations say of the database.

    `troubles` rises with every trouble there has been, heartbeats and lost connections included: who knew something of
    the log before it rose makes sure of that before it relies on it. A refusal stays in `refusals` until the same
    operation succeeds.
    """

    def __init__(self) -> None:
        self.troubles = 0
        self.refusals: dict[str, str] = {}
        """Operation → why the database refuses it."""
        self._told: dict[str, float] = {}

    async def ask(self, operation: str, answer: Awaitable[T]) -> T:
        """The answer. Raises StorageUnavailable instead of PyMongoError, StorageRefused for what will not pass."""
        try:
            result = await answer
        except PyMongoError as error:
            raise self.trouble(operation, error) from error
        if self.refusals:
            self.well(operation)
        return result

    def trouble(self, operation: str, error: BaseException) -> StorageUnavailable:
        """Note a failure. Returns what the caller is to raise."""
        self.troubles += 1
        reason = refusal_of(error)
        return StorageUnavailable() if reason is None else self.refused(operation, reason)

    def refused(self, operation: str, reason: str) -> StorageRefused:
        """Note that the database refuses, and say so in the log: at once, and each minute that it lasts."""
        self.refusals[operation] = reason
        now = time.monotonic()
        if now - self._told.get(reason, -_REPEAT_SECONDS) >= _REPEAT_SECONDS:
            self._told[reason] = now
            _log.error("the database refuses to %s: %s", operation, reason)
        return StorageRefused(f"cannot {operation}: {reason}")

    def well(self, operation: str) -> None:
        """The operation has succeeded."""
        reason = self.refusals.pop(operation, None)
        if reason is not None and reason not in self.refusals.values():
            self._told.pop(reason, None)
            _log.warning("the database no longer refuses to %s", operation)

    def state(self) -> StorageState:
        """Of a database that answers."""
        for operation, reason in self.refusals.items():
            return StorageState(False, f"cannot {operation}: {reason}")
        return StorageState(True)


def refusal_of(error: BaseException) -> str | None:
    """Why the database refuses, and what to do. None for what may pass by itself."""
    if isinstance(error, ConfigurationError):  # the driver's own judgement, of a server that is too old for it
        return "the server is too old: MongoDB 4.4 or later is needed"
    if isinstance(error, OperationFailure) and error.code is not None:
        known = _REASONS.get(error.code)
        return None if known is None else f"{known} ({code_name(error.details)} {error.code})"
    return None


def reason_of(error: BaseException) -> str:
    """Why the database cannot be used, in words that hold no secret."""
    return refusal_of(error) or AWAY


def code_name(details: Any) -> str:
    return str((details or {}).get("codeName", "code"))
