"""The utterances of a conversation, ordered by their start whatever the order of their events."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

Side = Literal["user", "bot"]
_AT_ONCE = 1000
"""How many utterances are freed in one step, which takes some 0.1 ms."""
OTHER: dict[Side, Side] = {"user": "bot", "bot": "user"}


class Utterance(Struct, order=True, frozen=True, gc=False):
    """An utterance, in milliseconds of the call. One that is not `measured` is a point: `end` equals `start`."""

    start: int
    seq: int
    end: int
    measured: bool
    turn: int | None
    cut: bool
    """Whether an event reports that the other side cut it short."""


class Utterances:
    """All utterances, in order, with a running count of turns. Adding one does not visit those before it.

    `speech` counts for turns and responses, `asides` (backchannels) only as time spoken.
    """

    __slots__ = ("_newest", "_newest_side", "_turns", "asides", "cuts", "latest_end", "speech", "unmeasured")

    def __init__(self) -> None:
        self.speech: dict[Side, list[Utterance]] = {"user": [], "bot": []}
        self.asides: dict[Side, list[Utterance]] = {"user": [], "bot": []}
        self.cuts: dict[Side, list[int]] = {"user": [], "bot": []}
        """The times at which a side was cut short, sorted."""
        self.unmeasured = 0
        self.latest_end = 0
        self._newest: Utterance | None = None
        """The last one of `speech`, and whose it is."""
        self._newest_side: Side | None = None
        self._turns: dict[Side, int] = {"user": 0, "bot": 0}

    def __len__(self) -> int:
        return len(self.speech["user"]) + len(self.speech["bot"])

    def copy(self) -> Utterances:
        """Return a copy that later utterances do not change."""
        made = Utterances()
        for name in ("speech", "asides", "cuts"):
            setattr(made, name, {side: list(kept) for side, kept in getattr(self, name).items()})
        made.unmeasured, made.latest_end = self.unmeasured, self.latest_end
        made._newest, made._newest_side, made._turns = self._newest, self._newest_side, dict(self._turns)
        return made

    def take_apart(self) -> None:
        """Free all utterances, a little at a time: no other thread runs while a long list is freed."""
        for kept in (*self.speech.values(), *self.asides.values()):
            while kept:
                del kept[-_AT_ONCE:]

    def add(self, side: Side, utterance: Utterance, *, aside: bool = False) -> None:
        if not utterance.measured:
            self.unmeasured += 1
        if utterance.end > self.latest_end:  # noqa: PLR1730 -- a call of `max` takes three times as long
            self.latest_end = utterance.end
        if aside:
            insort(self.asides[side], utterance)
        elif self._newest is None or self._newest < utterance:  # as most utterances are
            self.speech[side].append(utterance)
            self._turns[side] += self._newest_side != side
            self._newest, self._newest_side = utterance, side
        else:
            self._insert(side, utterance)

    def _insert(self, side: Side, utterance: Utterance) -> None:
        """Insert before the newest, and count turns again between its two neighbours, the only ones affected."""
        mine, others, other = self.speech[side], self.speech[OTHER[side]], OTHER[side]
        index, at = bisect_left(mine, utterance), bisect_left(others, utterance)
        before: Side | None = None
        if index or at:
            before = side if not at or (index and others[at - 1] < mine[index - 1]) else other
        after = side if at == len(others) or (index < len(mine) and mine[index] < others[at]) else other
        self._turns[after] += int(after != side) - int(after != before)
        self._turns[side] += int(side != before)
        mine.insert(index, utterance)

    def turns(self, side: Side) -> int:
        """Return the number of turns of this side."""
        return self._turns[side]

    def cut(self, side: Side, at: int) -> None:
        """Cut this side's speech short at `at`, even if the utterance is reported only later."""
        insort(self.cuts[side], at)

    def heard(self, side: Side, utterance: Utterance) -> Utterance:
        """Return the utterance, up to where it was cut short."""
        cuts = self.cuts[side]
        index = bisect_left(cuts, utterance.start)
        if index < len(cuts) and cuts[index] < utterance.end:
            return replace(utterance, end=cuts[index])
        return utterance

    def all_heard(self, side: Side) -> Sequence[Utterance]:
        """Return the side's speech in order, each utterance up to where it was cut short."""
        speech = self.speech[side]
        return [self.heard(side, each) for each in speech] if self.cuts[side] else speech

    def latest(self, count: int) -> tuple[list[Utterance], list[Utterance]]:
        """Return the user's and the bot's utterances among the last `count`, each up to where it was cut short."""
        user, bot = self.speech["user"], self.speech["bot"]
        newest = sorted([*user[-count:], *bot[-count:]])[-count:]
        users, bots = (speech[bisect_left(speech, newest[0]) :] if newest else [] for speech in (user, bot))
        return [self.heard("user", each) for each in users], [self.heard("bot", each) for each in bots]
