"""Splits a JSON array into the texts of its elements as it arrives, without holding all of it."""

from __future__ import annotations

import re

from turnwire.protocol.errors import InvalidJson, TooLarge

_TOKEN = re.compile(rb'"[^"\\\n]*(?:\\.[^"\\\n]*)*"|["{}\[\],:\n]', re.DOTALL)
"""A string, or one structural character. A quote alone begins a string whose end has not arrived."""
_EVENTS = b'"events"'


def find_events(text: bytes) -> tuple[int, int] | None:
    """Return where the key `events` of a JSON object begins, and where the elements of its array begin; None without
    it."""
    depth = key_at = 0
    before, last = b"", b""
    for token in _TOKEN.finditer(text):
        found = token[0]
        if found == b"[" and depth == 1 and last == b":" and before == _EVENTS:
            return key_at, token.end()
        if found in (b"{", b"["):
            depth += 1
        elif found in (b"}", b"]"):
            depth -= 1
        elif found == _EVENTS:
            key_at = token.start()
        before, last = last, found
    return None


class Elements:
    """The elements of one array, after its opening bracket. Whether each element is valid JSON is not checked."""

    def __init__(self, most_bytes: int) -> None:
        """`most_bytes`: the limit for one element."""
        self.closed = False
        """Whether the end of the array has been seen."""
        self._most_bytes = most_bytes
        self._depth = 0
        self._scanned = 0
        """How much of the left-over text has been scanned already."""
        self._any = False

    def take(self, text: bytes) -> tuple[list[bytes], bytes]:
        """Split off the complete elements. Return them, and the remaining text, which the next call needs.

        Raises InvalidJson if the line ends in the middle of the array, and TooLarge for an element over the limit.
        """
        elements: list[bytes] = []
        start, at = 0, self._scanned
        for token in _TOKEN.finditer(text, self._scanned):
            found = token[0]
            if found == b"\n" or (found == b'"' and b"\n" in text):
                raise InvalidJson("the line ends in the middle of its events")
            if found == b'"':
                at = token.start()
                break
            at = token.end()
            if found in (b"{", b"["):
                self._depth += 1
            elif self._depth and found in (b"}", b"]"):
                self._depth -= 1
            elif not self._depth and found in (b",", b"]", b"}"):
                self._add(elements, text[start : token.start()], last=found != b",")
                start = at
                if self.closed:
                    break
        if len(text) - start > self._most_bytes and not self.closed:
            raise TooLarge(f"an event has more than {self._most_bytes} bytes, the limit")
        self._scanned = at - start
        return elements, text[start:]

    def _add(self, elements: list[bytes], element: bytes, *, last: bool) -> None:
        element = element.strip()
        self.closed = last
        if element or self._any or not last:
            elements.append(element)
        self._any = True
