"""Numbering the exchanges of a call."""

from __future__ import annotations


class TurnCounter:
    """The number of the current exchange. The user's speech opens one; the bot's answer belongs to it."""

    def __init__(self) -> None:
        self.current = 0
        self._open = False

    def user_begins(self) -> None:
        if not self._open:
            self.current += 1
            self._open = True

    def user_has_said(self) -> int:
        """Close the user's part of the exchange, and return its number."""
        self.user_begins()
        self._open = False
        return self.current
