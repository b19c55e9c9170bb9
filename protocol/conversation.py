"""A conversation read event by event: its figures, and the summary that a list of calls shows.

Pure, and the only place where these numbers are made. What they mean, and from which sources, is in docs/events.md;
so are the payload conventions read here. Whatever does not follow them is passed over.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, Literal, NamedTuple

from turnwire.protocol.figures import Figures, Response, Silences, Talk, Tools, Turns, responses_of
from turnwire.protocol.messages import Event, EventType, Interruptions, JsonObject, LastLine, Summary
from turnwire.protocol.times import parse_time, to_millis

SILENCE_MS = 3000
"""A time in which nobody speaks counts as a silence from here on."""
LINE_CHARS = 200
"""The most characters of a summary's last line."""
_LATEST_MS = 10**12
_LOOK_BACK = 100
"""Utterances among which a summary looks for the last response."""

Side = Literal["user", "bot"]
_SIDES: dict[EventType, Side] = {"user_speech": "user", "bot_speech": "bot"}
_OTHER: dict[Side, Side] = {"user": "bot", "bot": "user"}


class _Utterance(NamedTuple):
    """Milliseconds of the call. One that is not `measured` is a point: `end` is `start`."""

    start: int
    seq: int
    end: int
    side: Side
    measured: bool
    turn: int | None


class Conversation:
    """Takes the events of one session in seq order, each once. `figures` and `summary` are as of `last_seq`."""

    def __init__(self) -> None:
        self.last_seq = 0
        self._zero: int | None = None
        self._last_offset = 0
        self._utterances: list[_Utterance] = []  # by start, then seq
        self._last_line: LastLine | None = None
        self._turns: Counter[Side] = Counter()
        self._marked: Counter[tuple[Side, int | None]] = Counter()
        self._announced: Counter[tuple[Side, int | None]] = Counter()
        self._reported: dict[int, int] = {}
        self._running: Counter[str] = Counter()
        self._tool_calls = self._tool_failures = self._errors = 0

    # --- events ------------------------------------------------------------------------------------------------------

    def add(self, event: Event) -> None:
        """The next event; one that has been added before is passed over."""
        self.take(event.seq, event.type, event.payload, to_millis(parse_time(event.timestamp)))

    def take(self, seq: int, type: EventType, payload: JsonObject, at: int) -> None:
        """`add`, for an event in parts; `at` is its timestamp, in milliseconds since 1970.

        Raises ValueError when the events before it have not been added.
        """
        if seq <= self.last_seq:
            return
        if seq != self.last_seq + 1:
            raise ValueError(f"event {self.last_seq + 1} is missing before {seq}")
        self.last_seq = seq
        if self._zero is None:
            self._zero = at
        offset = max(0, at - self._zero)
        self._last_offset = max(self._last_offset, offset)
        side = _SIDES.get(type)
        if side is not None:
            self._speech(seq, side, payload, offset)
            return
        name = payload.get("event")
        read = _SYSTEM.get(name) if isinstance(name, str) else None
        if read is not None:
            read(self, payload)

    def _speech(self, seq: int, side: Side, payload: JsonObject, offset: int) -> None:
        if payload.get("final") is False:
            return
        start, end = _millis(payload.get("startedMs")), _millis(payload.get("endedMs"))
        measured = start is not None and end is not None and end >= start
        if not measured:
            known = start if side == "bot" else end
            start = end = offset if known is None else known
        assert start is not None
        assert end is not None
        turn = _turn(payload)
        self._insert(_Utterance(start, seq, end, side, measured, turn))
        interrupted = payload.get("interrupted") is True
        if interrupted:
            self._marked[_OTHER[side], turn] += 1
        text = payload.get("text")
        if isinstance(text, str) and text.strip():
            duration = end - start if measured else None
            self._last_line = LastLine(seq, side, _shortened(text), interrupted, duration)

    def _insert(self, new: _Utterance) -> None:
        """Keep the order, and the count of turns: an insertion changes what its two neighbours mean for each other."""
        utterances = self._utterances
        index = bisect_left(utterances, new)
        before = utterances[index - 1].side if index else None
        if index < len(utterances):
            after = utterances[index].side
            self._turns[after] += int(after != new.side) - int(after != before)
        self._turns[new.side] += int(new.side != before)
        utterances.insert(index, new)

    def _interruption(self, payload: JsonObject) -> None:
        by: Side = "bot" if payload.get("by") == "bot" else "user"
        self._announced[by, _turn(payload)] += 1
        at = _millis(payload.get("atMs"))
        if at is not None:
            self._cut(_OTHER[by], at)

    def _cut(self, side: Side, at: int) -> None:
        """What this side was saying at that time ended there, whatever had been planned."""
        for index in range(len(self._utterances) - 1, -1, -1):
            utterance = self._utterances[index]
            if utterance.side == side:
                if utterance.start <= at < utterance.end:
                    self._utterances[index] = utterance._replace(end=at)
                return

    def _turn_metrics(self, payload: JsonObject) -> None:
        turn, response = _turn(payload), _millis(payload.get("responseMs"))
        if turn is not None and response is not None:
            self._reported[turn] = response

    def _tool_started(self, payload: JsonObject) -> None:
        self._tool_calls += 1
        self._running[_tool_key(payload)] += 1

    def _tool_ended(self, payload: JsonObject) -> None:
        key = _tool_key(payload)
        if self._running[key]:
            self._running[key] -= 1
        else:  # its start was not told
            self._tool_calls += 1
        if not self._running[key]:
            del self._running[key]
        if payload["event"] == "tool.failed":
            self._tool_failures += 1

    def _error(self, _payload: JsonObject) -> None:
        self._errors += 1

    # --- numbers -----------------------------------------------------------------------------------------------------

    def figures(self) -> Figures:
        """All figures. Costs a pass over the utterances."""
        pairs = pairwise(self._utterances)
        responses = [response for pair in pairs if (response := self._response(*pair)) is not None]
        ends = max((utterance.end for utterance in self._utterances), default=0)
        return Figures(
            duration_ms=max(self._last_offset, ends),
            turns=Turns(self._turns.total(), self._turns["user"], self._turns["bot"]),
            talk=self._talk(),
            responses=responses_of(responses),
            interruptions=self._interruptions(),
            silences=self._silences(),
            tools=Tools(self._tool_calls, self._tool_failures, self._running.total()),
            errors=self._errors,
            last_line=self._last_line,
        )

    def summary(self) -> Summary:
        """What a row of a list needs. Costs the same however long the conversation is."""
        return Summary(
            through_seq=self.last_seq,
            turns=self._turns.total(),
            last_line=self._last_line,
            response_ms=self._last_response_ms(),
            interruptions=self._interruptions(),
            tools_running=self._running.total(),
            tools_failed=self._tool_failures,
            errors=self._errors,
        )

    def _response(self, before: _Utterance, after: _Utterance) -> Response | None:
        """A response is a bot utterance that follows one of the user, and did not begin before that had ended."""
        if before.side != "user" or after.side != "bot":
            return None
        waited = after.start - before.end
        if not (before.measured and after.measured) and after.turn is not None:
            waited = self._reported.get(after.turn, waited)
        return Response(after.seq, waited) if waited >= 0 else None

    def _last_response_ms(self) -> int | None:
        utterances = self._utterances
        for index in range(len(utterances) - 1, max(0, len(utterances) - _LOOK_BACK), -1):
            response = self._response(utterances[index - 1], utterances[index])
            if response is not None:
                return response.ms
        return None

    def _interruptions(self) -> Interruptions:
        """An interruption may be told by a mark, by an event, or by both: of each turn the greater number counts."""
        counts: Counter[Side] = Counter()
        for (side, _turn), count in (self._marked | self._announced).items():
            counts[side] += count
        return Interruptions(counts["user"], counts["bot"])

    def _talk(self) -> Talk:
        user, bot = (sum(end - start for start, end in self._spoken(side)) for side in ("user", "bot"))
        together = user + bot
        overlap = together - sum(end - start for start, end in self._spoken())
        if not together:
            return Talk()
        user_share = round(user / together, 4)
        return Talk(user, bot, overlap, user_share, round(1 - user_share, 4))

    def _silences(self) -> Silences:
        spoken = list(self._spoken())
        points = [utterance.start for utterance in self._utterances if not utterance.measured]
        gaps = [
            after[0] - before[1]
            for before, after in pairwise(spoken)
            if after[0] - before[1] >= SILENCE_MS and not _any_between(points, before[1], after[0])
        ]
        return Silences(len(gaps), sum(gaps), max(gaps, default=0), SILENCE_MS)

    def _spoken(self, side: str | None = None) -> Iterator[tuple[int, int]]:
        """The times in which this side, or anybody, spoke: measured utterances, merged where they overlap."""
        start = end = -1
        for utterance in self._utterances:
            if not utterance.measured or (side is not None and utterance.side != side):
                continue
            if utterance.start > end:
                if end > start:
                    yield start, end
                start, end = utterance.start, utterance.end
            else:
                end = max(end, utterance.end)
        if end > start:
            yield start, end


_SYSTEM: dict[str, Callable[[Conversation, JsonObject], None]] = {
    "interruption": Conversation._interruption,
    "metrics.turn": Conversation._turn_metrics,
    "tool.started": Conversation._tool_started,
    "tool.completed": Conversation._tool_ended,
    "tool.failed": Conversation._tool_ended,
    "error": Conversation._error,
}


def _any_between(ordered: list[int], low: int, high: int) -> bool:
    index = bisect_left(ordered, low)
    return index < len(ordered) and ordered[index] <= high


def _millis(value: Any) -> int | None:
    """A time of the call in whole milliseconds, if that is what it is."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST_MS:
        return None
    return round(value)


def _turn(payload: JsonObject) -> int | None:
    turn = payload.get("turn")
    return turn if isinstance(turn, int) and not isinstance(turn, bool) else None


def _tool_key(payload: JsonObject) -> str:
    """What tells a tool call from others that run at the same time."""
    for field in ("callId", "name"):
        value = payload.get(field)
        if isinstance(value, str):
            return f"{field}:{value}"
    return ""


def _shortened(text: str) -> str:
    line = " ".join(text[: LINE_CHARS * 4].split())
    return line if len(line) <= LINE_CHARS else line[: LINE_CHARS - 1] + "…"
