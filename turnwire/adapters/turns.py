"""The numbers of a call's exchanges."""

from __future__ import annotations


class Turns:
    """Numbers the exchanges of a call: what the user says opens one, what the bot answers belongs to it."""

    def __init__(self) -> None:
        self.current = 0
        self._open = False

    def user_begins(self) -> None:
        if not self._open:
            self.current += 1
            self._open = True

    def user_has_said(self) -> int:
        """The number of the exchange that this utterance of the user opened."""
        self.user_begins()
        self._open = False
        return self.current
