"""What schemathesis is told about the API beyond its document: rules that no schema can say."""

from __future__ import annotations

import re
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, HookContext
from schemathesis.core.failures import Failure
from schemathesis.core.transport import Response

from turnwire.gateway.http.query import encode_cursor
from turnwire.protocol.control.commands import STANDARD
from turnwire.protocol.paging import MAX_WORDS
from turnwire.protocol.times import from_millis
from turnwire.store.session_filter import words_of

cursors = st.builds(encode_cursor, st.integers(0, 4 * 10**12).map(from_millis), st.sampled_from(["s", "a/b", "é"]))
schemathesis.openapi.format("turnwire-cursor", cursors)

RIGHTLY_REFUSED = re.compile(
    r" (?:days|hours) apart$|^Expected an integer(?: or null)?, got a number with a point "
    r"|^the token would have \d+ bytes"
    r"|^the path must have - in place of the sessionId"
    r"|: (?:an integer must fit in 64 bits|a key must not contain the NUL|an object with both '\$ref' and '\$id')"
    r"| must not be in the future$| cannot begin with its end$"
)


@schemathesis.serializer("application/x-ndjson")
def ndjson(_context: Any, value: Any) -> bytes:
    return str(value).encode("utf-8", "replace")


@schemathesis.hook
def map_query(context: HookContext, query: dict[str, Any] | None) -> dict[str, Any] | None:
    """Leave the sessionId to the path: two different ones are refused, and nothing else of the request is tried."""
    return {name: value for name, value in query.items() if name != "sessionId"} if query else query


@schemathesis.hook
def filter_failure(context: HookContext, failure: Failure, case: Case[Any], response: Response) -> bool:
    """Return False for a correct refusal of a request whose parts all match the document."""
    return response.status_code != 400 or not (
        has_both_styles(case) or has_standard_command(case) or has_wrong_words(case) or is_told_why(response)
    )


def has_both_styles(case: Case[Any]) -> bool:
    """A request may use only one style of paging."""
    return {"page", "offset"} <= set(case.query or {})


def has_standard_command(case: Case[Any]) -> bool:
    """A standard command's payload is fixed."""
    return isinstance(case.body, dict) and case.body.get("command") in STANDARD


def has_wrong_words(case: Case[Any]) -> bool:
    """A search without a word, or with too many."""
    text = (case.query or {}).get("q")
    return isinstance(text, str) and not 1 <= len(set(words_of(text))) <= MAX_WORDS


def is_told_why(response: Response) -> bool:
    """Times too far apart, 1.0, which is an integer for a schema and not for a body, more sessions than a token has
    room for, and what a payload must not have: a schema that generators of clients understand cannot say it."""
    message = response.json()["message"]
    said = message if isinstance(message, list) else [message]
    return all(RIGHTLY_REFUSED.search(text) for text in said)
