"""The turns of a call as spans: in each turn, the user says something and the bot answers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import msgspec
from msgspec import Struct

from turnwire.gateway.tracing.shapes import SpanShape, Value
from turnwire.protocol.messages import JsonObject
from turnwire.protocol.talk.conventions import ASIDES, UNSPOKEN, cutter, millis, spoken, turn_of
from turnwire.protocol.talk.utterances import OTHER, Side

_SPEECH: dict[Side, str] = {"user": "user_speech", "bot": "bot_speech"}


class SpokenText(Struct, order=True):
    """An utterance, in milliseconds of the call. `end` equals `start` if its length is not known."""

    start: int
    seq: int
    end: int
    side: Side
    text: str
    turn: int | None
    cut: bool
    """Whether an event reports that the other side cut the utterance short."""


class CallTurn(Struct):
    """What the user says and what the bot answers. One of the two may be missing."""

    user: list[SpokenText]
    bot: list[SpokenText]

    @property
    def start(self) -> int:
        return (self.user or self.bot)[0].start

    @property
    def end(self) -> int:
        return max(each.end for each in (*self.user, *self.bot))

    @property
    def waited(self) -> int | None:
        """Milliseconds from the end of the user's speech to the start of the bot's; None if the bot did not answer
        after it."""
        if not self.user or not self.bot:
            return None
        waited = self.bot[0].start - max(each.end for each in self.user)
        return waited if waited >= 0 else None


class Speech:
    """Collects the utterances of a call, and divides them into turns."""

    def __init__(self) -> None:
        self._said: list[SpokenText] = []
        self._cut_turns: set[int] = set()
        self._cut_at: list[int] = []

    def say(self, seq: int, side: Side, payload: JsonObject, zero: int, offset: int) -> None:
        """Add an utterance, unless the text belongs to no turn. `zero`: the start of the call, in milliseconds since
        1970. `offset`: when the event happened, in milliseconds of the call."""
        source = payload.get("source")
        if payload.get("final") is False or source in ASIDES or source in UNSPOKEN:
            return
        start, end = spoken(payload, zero)
        if start is None or end is None or end < start:
            known = start if side == "bot" else end
            start = end = offset if known is None else known
        text = payload.get("text")
        cut = payload.get("interrupted") is True and cutter(payload, "cutBy", OTHER[side]) == OTHER[side]
        self._said.append(
            SpokenText(start, seq, end, side, text if isinstance(text, str) else "", turn_of(payload), cut)
        )

    def interrupt(self, payload: JsonObject) -> None:
        """Note that the user has interrupted the bot, if the event says so."""
        if cutter(payload, "by", "user") != "user":
            return
        turn, at = turn_of(payload), millis(payload.get("atMs"))
        if turn is not None:
            self._cut_turns.add(turn)
        elif at is not None:
            self._cut_at.append(at)

    def turns(self) -> Iterator[CallTurn]:
        """Iterate over the turns in order. Each utterance of the user begins a turn, and so does the bot if it speaks
        first."""
        open_: CallTurn | None = None
        for side, group in groupby(sorted(self._said), key=lambda each: each.side):
            if side == "user":
                if open_ is not None:
                    yield open_
                open_ = CallTurn(list(group), [])
            elif open_ is None:
                yield CallTurn([], list(group))
            else:
                open_.bot = list(group)
                yield open_
                open_ = None
        if open_ is not None:
            yield open_

    def was_interrupted(self, turn: CallTurn) -> bool:
        """Return whether the user cut the bot short in this turn."""
        return any(
            said.cut or said.turn in self._cut_turns or any(said.start <= at <= said.end for at in self._cut_at)
            for said in turn.bot
        )


def speech_spans(turn: CallTurn, zero: int) -> list[SpanShape]:
    """Return a span for each utterance of a turn."""
    return [
        SpanShape(_SPEECH[said.side], zero + said.start, zero + said.end, {"turnwire.event.seq": said.seq})
        for said in (*turn.user, *turn.bot)
    ]


def spoken_texts(turn: CallTurn) -> dict[str, Value]:
    """Return the texts of both sides as attributes in the form of the GenAI conventions."""
    found: dict[str, Value] = {}
    if turn.user:
        found["gen_ai.input.messages"] = _messages("user", turn.user)
    if turn.bot:
        found["gen_ai.output.messages"] = _messages("assistant", turn.bot)
    return found


def _messages(role: str, said: list[SpokenText]) -> str:
    parts = [{"type": "text", "content": each.text} for each in said]
    ending = {} if role == "user" else {"finish_reason": "stop"}
    return msgspec.json.encode([{"role": role, "parts": parts, **ending}]).decode()
