"""What schemathesis is told about the API beyond its document: rules that no schema can say."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, HookContext
from schemathesis.core.failures import Failure
from schemathesis.core.transport import Response

from turnwire.gateway.http.query import encode_cursor
from turnwire.protocol.control.commands import STANDARD
from turnwire.protocol.times import from_millis

cursors = st.builds(encode_cursor, st.integers(0, 4 * 10**12).map(from_millis), st.sampled_from(["s", "a/b", "é"]))
schemathesis.openapi.format("turnwire-cursor", cursors)


@schemathesis.hook
def filter_failure(context: HookContext, failure: Failure, case: Case[Any], response: Response) -> bool:
    """Both styles of paging at once are refused, though each is described; so are payloads of standard commands."""
    both_styles = {"page", "offset"} <= set(case.query or {})
    standard = isinstance(case.body, dict) and case.body.get("command") in STANDARD
    return not ((both_styles or standard) and response.status_code == 400)
