"""Splits a JSON array into the texts of its elements while it arrives, without holding all of it."""

from __future__ import annotations

import re

from turnwire.protocol.errors import InvalidJson, TooLarge

_TOKEN = re.compile(rb'"[^"\\\n]*(?:\\.[^"\\\n]*)*"|["{}\[\],:\n]', re.DOTALL)
"""A string, or one character of structure. A quote alone begins a string whose end is not here."""
_EVENTS = b'"events"'


def find_events(text: bytes) -> tuple[int, int] | None:
    """Return where the key `events` of a JSON object begins, and where the elements of its array do; None without."""
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
    """The elements of one array, from behind its bracket on. Whether each is valid JSON is not checked."""

    def __init__(self, most_bytes: int) -> None:
        """One element may have `most_bytes`."""
        self.closed = False
        """Whether the end of the array has been seen."""
        self._most_bytes = most_bytes
        self._depth = 0
        self._scanned = 0
        """How much of the text that was left over has been looked at."""
        self._any = False

    def take(self, text: bytes) -> tuple[list[bytes], bytes]:
        """Split off the elements that are whole. Return them, and the text that is left for the next call.

        Raises InvalidJson if the line ends within the array, and TooLarge for an element over the limit.
        """
        elements: list[bytes] = []
        start, at = 0, self._scanned
        for token in _TOKEN.finditer(text, self._scanned):
            found = token[0]
            if found == b"\n" or (found == b'"' and b"\n" in text):
                raise InvalidJson("the line ends within its events")
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
            raise TooLarge(f"an event has over {self._most_bytes} bytes, which is the limit")
        self._scanned = at - start
        return elements, text[start:]

    def _add(self, elements: list[bytes], element: bytes, *, last: bool) -> None:
        element = element.strip()
        self.closed = last
        if element or self._any or not last:
            elements.append(element)
        self._any = True
