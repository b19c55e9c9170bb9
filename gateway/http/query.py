"""Reads a request's path and query. Anything invalid raises InvalidMessage with a text that names the field."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import TypeVar
from urllib.parse import unquote_to_bytes

import msgspec
from aiohttp import web

from turnwire.protocol.errors import InvalidMessage
from turnwire.protocol.messages import Limits
from turnwire.protocol.paging import MAX_FILTER_CHARS, MAX_INTEGER, language_fault
from turnwire.protocol.rules import check_id
from turnwire.protocol.times import from_millis, parse_time, to_millis

T = TypeVar("T")

METADATA = "metadata."
"""Prefix of parameters that filter by metadata."""

_MAX_FAULTS = 8
_NAME_CHARS = 64
_MILLISECOND = timedelta(milliseconds=1)
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_LOST_PLUS = re.compile(r"(.*:.*) (\d\d:?\d\d(?::?\d\d)?)")
_CURSOR = msgspec.json.Decoder(tuple[int, str])


SESSION_ID = "sessionId"
"""The parameter that gives a sessionId in the query instead of the path."""
ELSEWHERE = "-"
"""Stands in a path for a sessionId that the query gives."""
STREAM_PREFIXES = ("/streams/", "/v1/stream/")
"""The paths of streams. The second one is used by other servers of the protocol."""


def session_id_of(request: web.Request, limits: Limits) -> str:
    """Return the sessionId in `/sessions/{session_id}…` or in `/sessions/-…?sessionId=`. It may contain slashes.

    Proxies decode a path, which turns a `%2F` in it into a slash. They leave the query alone.
    """
    return _session_id(request, request.rel_url.raw_path.split("/")[2], limits)


def stream_id_of(request: web.Request, limits: Limits) -> str:
    """Return the sessionId in the path of a stream, where it may contain literal slashes, or in its query."""
    path = request.rel_url.raw_path
    prefix = next(prefix for prefix in STREAM_PREFIXES if path.startswith(prefix))
    return _session_id(request, path.removeprefix(prefix), limits)


def _session_id(request: web.Request, in_path: str, limits: Limits) -> str:
    session_id = _decoded(in_path, "path")
    if request.query_string and SESSION_ID in request.query:
        other, session_id = session_id, _session_id_in_query(request)
        if other not in (ELSEWHERE, session_id):
            raise InvalidMessage(f"the path must have {ELSEWHERE} in place of the sessionId if the query gives it")
    check_id(session_id, "sessionId", limits)
    return session_id


def _session_id_in_query(request: web.Request) -> str:
    pairs = (pair.partition("=") for pair in request.rel_url.raw_query_string.split("&"))
    given = [value for name, _, value in pairs if _decoded(name, "query") == SESSION_ID]
    if len(given) > 1:
        raise InvalidMessage("sessionId must be given once")
    return _decoded(given[0].replace("+", " "), "query")


def _decoded(text: str, place: str) -> str:
    if "%" not in text:
        return text
    try:
        if _ESCAPE.search(text):
            raise ValueError("a lone %")
        return unquote_to_bytes(text).decode()
    except ValueError as error:
        raise InvalidMessage(f"sessionId in the {place} must be percent-encoded UTF-8") from error


# --- query -----------------------------------------------------------------------------------------------------------


class Query:
    """The query of a request. Parameters are read one by one; then `check` raises a single error for all bad ones."""

    def __init__(self, request: web.Request) -> None:
        self._values = request.query
        self._faults: list[str] = []

    def text(self, name: str, *, least: int = 1, most: int = MAX_FILTER_CHARS) -> str | None:
        """Return the text of a parameter; None if it is not given. It must have `least` to `most` characters."""
        value = self._value(name)
        if value is not None and not least <= len(value) <= most:
            self.refuse(f"{name} must have {least} to {most} characters, has {len(value)}")
            return None
        return value

    def pairs(self, prefix: str) -> list[tuple[str, str]]:
        """Return (rest of the name, value) of all parameters whose name begins with the prefix. Values may be empty."""
        names = [name for name in dict.fromkeys(self._values) if name.startswith(prefix)]
        given = [(name.removeprefix(prefix), self.text(name, least=0)) for name in names]
        return [(name, value) for name, value in given if value is not None]

    def optional_integer(self, name: str, *, low: int = 0, high: int = MAX_INTEGER) -> int | None:
        return self.integer(name, low, low=low, high=high) if self.has(name) else None

    def has(self, name: str) -> bool:
        return name in self._values

    def refuse(self, fault: str) -> None:
        """Note a fault, for `check` to raise."""
        self._faults.append(fault)

    def check(self) -> None:
        """Raise InvalidMessage if there are faults, with a text for each."""
        if self._faults:
            raise InvalidMessage(self._faults[0], self._faults)

    def _value(self, name: str) -> str | None:
        values = self._values.getall(name, [])
        if len(values) > 1:
            self.refuse(f"{name} must be given once")
        return values[0] if values else None

    def integer(self, name: str, default: int, *, low: int, high: int = MAX_INTEGER) -> int:
        value = self._value(name)
        if value is None:
            return default
        number = plain_integer(value)
        if number is None or not low <= number <= high:
            self.refuse(f"{name} must be an integer from {low} to {high}")
            return default
        return number

    def choice(self, name: str, options: Sequence[str], default: T) -> str | T:
        value = self._value(name)
        if value is None:
            return default
        if value not in options:
            self.refuse(f"{name} must be one of {', '.join(options)}")
            return default
        return value

    def language(self) -> str | None:
        value = self._value("language")
        if value is not None:
            fault = language_fault(value)
            if fault is not None:
                self.refuse(fault)
        return value

    def moment(self, name: str, *, up: bool = False) -> datetime | None:
        """Return an ISO-8601 time with an offset, in whole milliseconds as times are stored; None if it is not given.

        It is rounded down, or up with `up`, so that an exclusive bound stays exact. A `+` that became a space in the
        URL is accepted.
        """
        value = self._value(name)
        if value is None:
            return None
        lost_plus = _LOST_PLUS.fullmatch(value)
        text = f"{lost_plus[1]}+{lost_plus[2]}" if lost_plus else value
        try:
            moment = parse_time(text)
            return moment + _MILLISECOND if up and moment < datetime.fromisoformat(text) else moment
        except (ValueError, OverflowError):
            self.refuse(f"{name} must be an ISO-8601 time with an offset, such as 2025-12-21T10:30:00.000Z")
            return None

    def cursor(self, limits: Limits) -> tuple[datetime, str] | None:
        value = self._value("cursor")
        if value is None:
            return None
        try:
            return decode_cursor(value, limits)
        except (ValueError, OverflowError, InvalidMessage):
            self.refuse("cursor must be the nextCursor of a previous page")
            return None


def refuse_unknown(request: web.Request, known: Collection[str]) -> None:
    """Raise InvalidMessage for parameters that a route does not know, suggesting the nearest known one.

    A name in `known` that ends with a dot stands for all names with this prefix.
    """
    if not request.query_string:
        return
    begun = tuple(name for name in known if name.endswith("."))
    given = [name for name in dict.fromkeys(request.query) if name not in known]
    unknown = [name for name in given if not name.startswith(begun)]
    if unknown:
        faults = [_unknown(name, known) for name in unknown[:_MAX_FAULTS]]
        raise InvalidMessage(faults[0], faults)


def _unknown(name: str, known: Collection[str]) -> str:
    fault = f"unknown parameter {name[:_NAME_CHARS]!r}"
    by_folded = {each.lower(): each for each in known}
    nearest = get_close_matches(name[:_NAME_CHARS].lower(), by_folded, n=1, cutoff=0.5)
    if nearest:
        likely = by_folded[nearest[0]]
        return f"{fault}; did you mean {likely + '<key>' if likely.endswith('.') else likely!r}?"
    return f"{fault}; known here: {', '.join(sorted(known))}" if known else f"{fault}; none is known here"


def plain_integer(text: str) -> int | None:
    """Return the number written in plain ASCII digits, at most MAX_INTEGER; else None."""
    if not (text.isascii() and text.isdigit() and len(text.lstrip("0")) <= 16):
        return None
    number = int(text)
    return number if number <= MAX_INTEGER else None


def encode_cursor(started_at: datetime, session_id: str) -> str:
    """Return the place where a page of sessions ends as an opaque text for the next request."""
    position = msgspec.json.encode((to_millis(started_at), session_id))
    return urlsafe_b64encode(position).decode().rstrip("=")


def decode_cursor(cursor: str, limits: Limits) -> tuple[datetime, str]:
    """Return the place in a cursor. Raises ValueError, OverflowError or InvalidMessage for any other text."""
    position = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
    millis, session_id = _CURSOR.decode(position)
    check_id(session_id, "sessionId", limits)
    started_at = from_millis(millis)
    if encode_cursor(started_at, session_id) != cursor:
        raise ValueError("not canonical")
    return started_at, session_id
