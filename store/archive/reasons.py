"""What an object store has answered, in one line for the operator."""

from __future__ import annotations

import re
from typing import Final

_MOST_CHARS: Final = 300
_DEBUG: Final = "\n\nDebug source:"
"""What follows this in an error of `obstore` is for the authors of that library."""
_ANSWER: Final = re.compile(
    r"Error performing (\S+ \S+) in .*?Server returned [^:]*status code: ([^:]+):?(.*)", re.DOTALL
)
"""A request and its URL, the status that it was answered with, and the body, which may be XML."""


def reason_of(error: BaseException) -> str:
    """Return the reason on one line. If a server has refused, its own words come first, and the request last: a key is
    so long that a shortened line would not say more than the key."""
    text = str(error).strip().partition(_DEBUG)[0] or type(error).__name__
    answer = _ANSWER.search(text)
    if answer is None:
        return text.splitlines()[0][:_MOST_CHARS]
    request, status, body = answer.groups()
    said = [_element("Code", body), _element("Message", body)] if "<Code>" in body else [" ".join(body.split())]
    words = ": ".join(part for part in (status.strip(), *said) if part)
    return f"{words[:_MOST_CHARS]} ({request})"[: 2 * _MOST_CHARS]


def _element(name: str, xml: str) -> str:
    """Return the first line in this element, which servers follow by ids of the request."""
    found = re.search(rf"<{name}>([^<\n]*)", xml)
    return "" if found is None else found[1].strip()
