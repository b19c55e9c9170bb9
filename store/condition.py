"""The condition of the database, judged by its answers: it is well, it is away, or it refuses and needs an operator."""

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


_CREDENTIALS: Final = "it rejects the credentials of MONGODB_URI: correct them, or authSource"
_INDEX: Final = "an index of this collection conflicts: compare with docs/operations.md, and drop the extra one"
_MISSING: Final = "it lacks a command that is needed: use MongoDB 4.4 or later, or a fully compatible server"
_REASONS: Final = {
    11: _CREDENTIALS,
    18: _CREDENTIALS,
    334: _CREDENTIALS,
    391: _CREDENTIALS,
    13: "the user of MONGODB_URI lacks permission: grant it the role readWrite on this database",
    59: _MISSING,
    115: _MISSING,
    238: _MISSING,
    303: _MISSING,
    67: _INDEX,
    85: _INDEX,
    86: _INDEX,
    79: "it does not know the write concern majority: use a replica set, or correct its default write concern",
    166: "the collection is a view: rename it, so that a collection can be created",
    291: "it does not allow queries without an index: allow them (notablescan)",
    371: "user writes are blocked: unblock them (setUserWriteBlockMode)",
    8000: "its provider blocks the command: check the quota and the network access of the cluster",
    13297: "a database exists whose name differs in case only: spell MONGODB_DATABASE the same way",
}
"""Why the server refuses, and what to do, by its error code."""

T = TypeVar("T")
_log = logging.getLogger("turnwire.store")


class StorageState(Struct, frozen=True):
    """Whether the storage can be used. `reason` says why not, as text without secrets for the operator."""

    up: bool
    reason: str | None = None

    @property
    def refusal(self) -> str | None:
        """The reason, if it needs an operator; None if it may pass by itself."""
        return None if self.reason == AWAY else self.reason


class DatabaseCondition:
    """The condition of the database, judged by the results of the store's operations.

    `troubles` counts every trouble, lost connections and failed heartbeats included. Knowledge of the log from before
    the count rose must be verified before use. A refusal stays in `refusals` until the same operation succeeds.
    """

    def __init__(self) -> None:
        self.troubles = 0
        self.answered = 0
        """Counts the operations that have succeeded."""
        self.refusals: dict[str, str] = {}
        """Operation → why the database refuses it."""
        self._told: dict[str, float] = {}

    async def ask(self, operation: str, answer: Awaitable[T]) -> T:
        """Await an operation's answer. Raises StorageUnavailable, or StorageRefused if it needs an operator."""
        try:
            result = await answer
        except PyMongoError as error:
            raise self.trouble(operation, error) from error
        self.answered += 1
        if self.refusals:
            self.well(operation)
        return result

    def lost_connection(self) -> None:
        """Count the end of a connection that no operation has noticed: the database may have been away."""
        self.troubles += 1

    def trouble(self, operation: str, error: BaseException) -> StorageUnavailable:
        """Count a failure, and return the error for the caller to raise."""
        self.troubles += 1
        reason = refusal_of(error)
        return StorageUnavailable() if reason is None else self.refused(operation, reason)

    def refused(self, operation: str, reason: str) -> StorageRefused:
        """Record a refusal. Log it at once, and then every minute while it lasts. Return the error to raise."""
        self.refusals[operation] = reason
        now = time.monotonic()
        if now - self._told.get(reason, -_REPEAT_SECONDS) >= _REPEAT_SECONDS:
            self._told[reason] = now
            _log.error("the database refuses to %s: %s", operation, reason)
        return StorageRefused(f"cannot {operation}: {reason}")

    def well(self, operation: str) -> None:
        """Record that an operation has succeeded."""
        reason = self.refusals.pop(operation, None)
        if reason is not None and reason not in self.refusals.values():
            self._told.pop(reason, None)
            _log.warning("the database no longer refuses to %s", operation)

    def silence(self) -> str:
        """Return why a ping gets no answer, as text without secrets.

        While the server rejects the credentials, the driver contacts it only once after each heartbeat, so most pings
        fail as if the database were away.
        """
        return next((reason for reason in self.refusals.values() if reason.startswith(_CREDENTIALS)), AWAY)

    def state(self) -> StorageState:
        """Return the state of a database that answers."""
        for operation, reason in self.refusals.items():
            return StorageState(False, f"cannot {operation}: {reason}")
        return StorageState(True)


def refusal_of(error: BaseException) -> str | None:
    """Return why the database refuses, and what to do; None for an error that may pass by itself."""
    if isinstance(error, ConfigurationError):  # the driver itself found the server too old
        return "the server is too old: MongoDB 4.4 or later is needed"
    if isinstance(error, OperationFailure) and error.code is not None:
        known = _REASONS.get(error.code)
        return None if known is None else f"{known} ({code_name(error.details)} {error.code})"
    return None


def code_name(details: Any) -> str:
    return str((details or {}).get("codeName", "code"))
