"""The utterances of a conversation, ordered by their start whatever the order of their events."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

Side = Literal["user", "bot"]
_AT_ONCE = 1000
"""How many utterances are freed in one step, which takes some 0.1 ms."""
OTHER: dict[Side, Side] = {"user": "bot", "bot": "user"}


class Utterance(NamedTuple):
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

    __slots__ = ("_order", "_turns", "asides", "cuts", "latest_end", "speech", "unmeasured")

    def __init__(self) -> None:
        self.speech: dict[Side, list[Utterance]] = {"user": [], "bot": []}
        self.asides: dict[Side, list[Utterance]] = {"user": [], "bot": []}
        self.cuts: dict[Side, list[int]] = {"user": [], "bot": []}
        """The times at which a side was cut short, sorted."""
        self.unmeasured = 0
        self.latest_end = 0
        self._order: list[tuple[int, int, Side]] = []
        self._turns: Counter[Side] = Counter()

    def __len__(self) -> int:
        return len(self._order)

    def copy(self) -> Utterances:
        """Return a copy that later utterances do not change."""
        made = Utterances()
        for name in ("speech", "asides", "cuts"):
            setattr(made, name, {side: list(kept) for side, kept in getattr(self, name).items()})
        made.unmeasured, made.latest_end = self.unmeasured, self.latest_end
        made._order, made._turns = list(self._order), Counter(self._turns)
        return made

    def take_apart(self) -> None:
        """Free all utterances, a little at a time: no other thread runs while a long list is freed."""
        every: list[list[Any]] = [self._order, *self.speech.values(), *self.asides.values()]
        for kept in every:
            while kept:
                del kept[-_AT_ONCE:]

    def add(self, side: Side, utterance: Utterance, *, aside: bool = False) -> None:
        start, seq, end, measured, _, _ = utterance
        if not measured:
            self.unmeasured += 1
        self.latest_end = max(self.latest_end, end)
        kept = (self.asides if aside else self.speech)[side]
        if kept and utterance < kept[-1]:
            insort(kept, utterance)
        else:
            kept.append(utterance)
        if not aside:
            self._count_turns((start, seq, side))

    def _count_turns(self, new: tuple[int, int, Side]) -> None:
        """Insert into the order, and count turns again between its two neighbours, the only ones affected."""
        order, side = self._order, new[2]
        if not order or order[-1] < new:  # as most utterances are
            if not order or order[-1][2] != side:
                self._turns[side] += 1
            order.append(new)
            return
        index = bisect_left(order, new)
        before, after = order[index - 1][2] if index else None, order[index][2]
        self._turns[after] += int(after != side) - int(after != before)
        self._turns[side] += int(side != before)
        order.insert(index, new)

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
            return utterance._replace(end=cuts[index])
        return utterance

    def all_heard(self, side: Side) -> Sequence[Utterance]:
        """Return the side's speech in order, each utterance up to where it was cut short."""
        speech = self.speech[side]
        return [self.heard(side, each) for each in speech] if self.cuts[side] else speech

    def latest(self, count: int) -> tuple[list[Utterance], list[Utterance]]:
        """Return the user's and the bot's utterances among the last `count`, each up to where it was cut short."""
        counts = Counter(side for _, _, side in self._order[-count:])
        sides: tuple[Side, Side] = ("user", "bot")
        user, bot = (
            [self.heard(side, each) for each in self.speech[side][len(self.speech[side]) - counts[side] :]]
            for side in sides
        )
        return user, bot
