"""Classifying write errors: whether the document is at fault, or the database."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

from pymongo.errors import OperationFailure

from turnwire.store.condition import refusal_of

_DUPLICATE_KEY: Final = 11000
_DOCUMENT: Final = frozenset({2, 9, 14, 15, 22, 52, 57, 121, 10334, 17280})
"""Codes for which the document is at fault: BadValue, FailedToParse, TypeMismatch, Overflow, InvalidBSON,
DollarPrefixedFieldName, NotSingleValueField, DocumentValidationFailure, BSONObjectTooLarge, KeyTooLong."""
_TROUBLE: Final = frozenset(
    {1, 6, 7, 8, 24, 46, 50, 63, 64, 70, 89, 91, 100, 107, 112, 117, 125, 133, 134, 150, 175, 189, 202, 262, 279, 462}
    | {9001, 10058, 10107, 11600, 11601, 11602, 13388, 13435, 13436, 14031}
)
"""Codes for which the server is at fault: elections, shutdowns, shards that are away or have moved, time limits, locks,
a full disk, …"""
_WHOLE_COMMAND: Final = frozenset({15, 22, 10334})
"""Codes by which a server refuses a command because of one of its documents: too deep, malformed, too large."""

Document = dict[str, Any]


class Fault(Enum):
    """Why a document was not written."""

    TAKEN = "its _id exists already"
    REFUSED = "the database will never accept it"
    TROUBLE = "the database cannot accept it now"
    UNKNOWN = "the code may mean either"


def fault_of(error: Document) -> Fault:
    """Classify an element of `writeErrors`."""
    code = error.get("code")
    if code == _DUPLICATE_KEY:
        return Fault.TAKEN if _is_of_id(error) else Fault.REFUSED
    if code in _DOCUMENT:
        return Fault.REFUSED
    if code in _TROUBLE or refusal_of(as_failure(error)) is not None:
        return Fault.TROUBLE
    return Fault.UNKNOWN


def blames_document(error: OperationFailure) -> bool:
    """Return whether a whole command failed because of one of its documents."""
    return error.code in _WHOLE_COMMAND


def reason_in(error: Document) -> str:
    """Return the reason, in the database's words."""
    return f"{error.get('errmsg') or 'refused'} (code {error.get('code')})"


def brief(error: Exception) -> str:
    """Return the kind and the first line of an exception, for a log line."""
    return f"{type(error).__name__}: {error}".split("\n", 1)[0][:300]


def as_failure(error: Document) -> OperationFailure:
    return OperationFailure(str(error.get("errmsg")), error.get("code"), error)


def _is_of_id(error: Document) -> bool:
    """Return whether a duplicate key is the `_id`, and not a key of a unique index that an operator has added."""
    keys = error.get("keyPattern")
    if keys is not None:
        return list(keys) == ["_id"]
    return " index: " not in str(error.get("errmsg")) or " index: _id_ " in str(error.get("errmsg"))
