"""A conversation, read event by event: its figures, and its summary in a list of calls.

Pure, and the only place that computes these numbers. docs/events.md defines them, along with the payload conventions
that they are read from. A value that does not follow the conventions is ignored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from turnwire.protocol.figures import Figures, Tools, Turns, responses_of, yields_of
from turnwire.protocol.messages import (
    Event,
    EventType,
    Interruptions,
    JsonObject,
    LastLine,
    SessionFigures,
    Summary,
)
from turnwire.protocol.talk.conventions import (
    ASIDES,
    LATEST_MS,
    SHOWN_CHARS,
    UNSPOKEN,
    cutter,
    millis,
    shortened,
    turn_of,
    utterance_of,
)
from turnwire.protocol.talk.measures import answers, overlaps, silences, talk, yields
from turnwire.protocol.talk.percentiles import LONG, Percentiles, percentiles_of
from turnwire.protocol.talk.tool_calls import ToolCalls
from turnwire.protocol.talk.usage import UsageSums
from turnwire.protocol.talk.utterances import OTHER, Side, Utterance, Utterances
from turnwire.protocol.times import parse_time, to_millis

LOOK_BACK = 100
"""How many of the last utterances a summary searches for the last response."""
_SIDES: dict[EventType, Side] = {"user_speech": "user", "bot_speech": "bot"}


class Conversation:
    """The figures of one session, from its events in seq order. All numbers are as of `last_seq`.

    The cost of an event, of `summary` and, on average, of `brief` does not grow with the conversation; `figures` visits
    every utterance.
    """

    __slots__ = (  # several a line: a line for each would hide the class
        "_announced", "_changes", "_errors", "_interruptions", "_last_offset", "_last_response", "_line", "_marked",
        "_percentiles", "_reported", "_tools", "_usage", "_utterances", "_zero", "last_seq", "visited",
    )  # fmt: skip

    def __init__(self) -> None:
        self.last_seq = 0
        self.visited = 0
        """How many utterances have been visited to compute figures, summaries and percentiles."""
        self._zero: int | None = None
        self._last_offset = 0
        self._utterances = Utterances()
        self._line: tuple[Utterance, Side, str, bool] | None = None
        self._marked: Counter[tuple[Side, int | None]] = Counter()
        self._announced: Counter[tuple[Side, int | None]] = Counter()
        self._interruptions: Counter[Side] = Counter()
        self._reported: dict[int, int] = {}
        self._tools = ToolCalls()
        self._usage = UsageSums()
        self._errors = self._changes = 0
        self._last_response: tuple[int, int | None] = (0, None)
        self._percentiles = Percentiles()

    def __len__(self) -> int:
        """Return the number of utterances that are speech; asides do not count."""
        return len(self._utterances)

    def frozen(self) -> Conversation:
        """Return a copy for another thread to read."""
        made = Conversation()
        for name in self.__slots__:
            setattr(made, name, getattr(self, name))
        made._utterances = self._utterances.copy()
        made._announced, made._interruptions = Counter(self._announced), Counter(self._interruptions)
        made._tools, made._usage, made._reported = self._tools.copy(), self._usage.copy(), dict(self._reported)
        return made

    def take_apart(self) -> None:
        """Free the utterances, a little at a time, so that other threads can run in between. Nothing may follow."""
        self._utterances.take_apart()

    def add(self, event: Event) -> None:
        """Add the next event. Ignore one that was added before. Raises ValueError if events before it are missing."""
        self.take(event.seq, event.type, event.payload, to_millis(parse_time(event.timestamp)))

    def take(self, seq: int, type: EventType, payload: JsonObject, at: int) -> None:
        """Add the next event, given in parts. `at` is its timestamp in milliseconds since 1970.

        Ignore an event that was added before. Raises ValueError if events before it are missing.
        """
        if seq != self.last_seq + 1:
            if seq <= self.last_seq:
                return
            raise ValueError(f"event {self.last_seq + 1} is missing before {seq}")
        self.last_seq = seq
        if self._zero is None:
            self._zero = at
        offset = at - self._zero
        if offset > self._last_offset:
            self._last_offset = offset
        elif offset < 0:
            offset = 0
        side = _SIDES.get(type)
        if side is not None:
            self._speech(seq, side, payload, offset)
            return
        name = payload.get("event")
        read = _SYSTEM.get(name) if isinstance(name, str) else None
        if read is not None:
            read(self, payload)

    def _speech(self, seq: int, side: Side, payload: JsonObject, offset: int) -> None:
        field = payload.get
        if field("final") is False:
            return
        interrupted = field("interrupted") is True
        cut = interrupted and cutter(payload, "cutBy", OTHER[side]) == OTHER[side]
        start, end, turn = field("startedMs"), field("endedMs"), field("turn")
        if type(start) is type(end) is type(turn) is int and 0 <= start <= end <= LATEST_MS:  # as in most
            utterance = Utterance(start, seq, end, True, turn, cut)
        else:
            utterance = utterance_of(payload, seq, side, offset, self._zero, cut=cut)
        source, text = field("source"), field("text")
        if not isinstance(source, str) or source not in UNSPOKEN:
            aside = isinstance(source, str) and source in ASIDES
            self._changes += not aside
            self._utterances.add(side, utterance, aside=aside)
            if cut and not aside:
                self._interrupted(self._marked, self._announced, OTHER[side], utterance.turn)
        if isinstance(text, str) and source != "noise" and (self._line is None or utterance >= self._line[0]):
            shown = text[:SHOWN_CHARS]
            if shown and not shown.isspace():
                self._line = utterance, side, shown, interrupted

    def _interrupted(
        self,
        told: Counter[tuple[Side, int | None]],
        elsewhere: Counter[tuple[Side, int | None]],
        by: Side,
        turn: int | None,
    ) -> None:
        """Count an interruption that a mark, an event, or both may report. For each turn, the greater number counts."""
        told[by, turn] += 1
        if told[by, turn] > elsewhere.get((by, turn), 0):
            self._interruptions[by] += 1

    def _interruption(self, payload: JsonObject) -> None:
        by = cutter(payload, "by", "user")
        if by is not None:
            self._interrupted(self._announced, self._marked, by, turn_of(payload))
        at = millis(payload.get("atMs"))
        if at is not None:
            self._utterances.cut("user" if by == "bot" else "bot", at)
        self._changes += 1

    def _turn_metrics(self, payload: JsonObject) -> None:
        turn, response = turn_of(payload), millis(payload.get("responseMs"))
        if turn is not None and response is not None:
            self._reported[turn] = response
            self._changes += 1

    def _tool(self, payload: JsonObject) -> None:
        self._tools.take(payload)

    def _use(self, payload: JsonObject) -> None:
        self._usage.take(payload)

    def _error(self, _payload: JsonObject) -> None:
        self._errors += 1

    def figures(self) -> Figures:
        """Return all figures. Takes a few microseconds for each utterance."""
        said, tools = self._utterances, self._tools
        self.visited += len(said)
        users, bots = said.all_heard("user"), said.all_heard("bot")
        answered = answers(users, bots, self._reported)
        voices = sorted([*users, *said.asides["user"]]), sorted([*bots, *said.asides["bot"]])
        ends = max((each.end for voice in voices for each in voice), default=0)
        turns = {turn for by, turn in self._announced if by == "user"}
        return Figures(
            duration_ms=max(self._last_offset, ends),
            turns=self._turns(),
            talk=talk(*voices, whole=not said.unmeasured),
            responses=responses_of(answered.each, answered.missed),
            yields=yields_of(yields(users, said.speech["bot"], bots, turns)),
            overlaps=overlaps(users, bots),
            interruptions=self._interruption_counts(),
            silences=silences(sorted([*voices[0], *voices[1]])),
            tools=Tools(tools.calls, tools.failed, tools.running),
            errors=self._errors,
            usage=self._usage.sums(),
            last_line=self._last_line(),
        )

    def final(self) -> SessionFigures:
        """Return what is stored of an ended conversation. Costs as much as `figures`."""
        made = self.figures()
        return self._few(Percentiles(0, made.responses.p50_ms, made.responses.p95_ms, made.responses.missed), made)

    def brief(self) -> SessionFigures:
        """Return the same for a running conversation. Percentiles may lag behind by an eighth of it, or by half if it
        is long."""
        if self._percentiles.are_overdue(self._changes, len(self)):
            self._percentiles = self.percentiles()
        return self._few(self._percentiles, None)

    @property
    def due(self) -> bool:
        """Whether a long conversation's percentiles are due, to be computed from a copy in another thread."""
        return len(self) >= LONG and self._percentiles.are_due(self._changes, len(self))

    def percentiles(self) -> Percentiles:
        """Compute the percentiles. Takes a few microseconds for each utterance."""
        self.visited += len(said := self._utterances)
        return percentiles_of(answers(said.all_heard("user"), said.all_heard("bot"), self._reported), self._changes)

    def keep(self, made: Percentiles) -> None:
        """Use these percentiles, which were computed from a copy, unless newer ones are known."""
        self._percentiles = max(self._percentiles, made, key=lambda each: each.changes)

    def _few(self, made: Percentiles, figures: Figures | None) -> SessionFigures:
        duration = max(self._last_offset, self._utterances.latest_end) if figures is None else figures.duration_ms
        return SessionFigures(
            turns=self._turns().total,
            response_p50_ms=made.p50_ms,
            response_p95_ms=made.p95_ms,
            missed=made.missed,
            interruptions=self._interruption_counts(),
            tools_failed=self._tools.failed,
            errors=self._errors,
            duration_ms=duration,
            talk_ms=None if figures is None else figures.talk.user_ms + figures.talk.bot_ms,
            last_line=self._last_line(),
        )

    def summary(self) -> Summary:
        """Return what a row in a list of calls shows. The cost does not grow with the conversation."""
        return Summary(
            through_seq=self.last_seq,
            turns=self._turns().total,
            last_line=self._last_line(),
            response_ms=self._last_response_ms(),
            interruptions=self._interruption_counts(),
            tools_running=self._tools.running,
            tools_failed=self._tools.failed,
            errors=self._errors,
        )

    def _turns(self) -> Turns:
        user, bot = self._utterances.turns("user"), self._utterances.turns("bot")
        return Turns(user + bot, user, bot)

    def _interruption_counts(self) -> Interruptions:
        return Interruptions(self._interruptions["user"], self._interruptions["bot"])

    def _last_line(self) -> LastLine | None:
        if self._line is None:
            return None
        told, side, text, interrupted = self._line
        heard = self._utterances.heard(side, told)
        lasted = heard.end - heard.start if told.measured else None
        return LastLine(told.seq, side, shortened(text), interrupted, lasted)

    def _last_response_ms(self) -> int | None:
        made, last = self._last_response
        if made != self._changes:
            self.visited += min(LOOK_BACK, len(self._utterances))
            each, _ = answers(*self._utterances.latest(LOOK_BACK), self._reported)
            last = each[-1].ms if each else None
            self._last_response = self._changes, last
        return last


_SYSTEM: dict[str, Callable[[Conversation, JsonObject], None]] = {
    "interruption": Conversation._interruption,
    "metrics.turn": Conversation._turn_metrics,
    "tool.started": Conversation._tool,
    "tool.completed": Conversation._tool,
    "tool.failed": Conversation._tool,
    "tool.cancelled": Conversation._tool,
    "tool.timed_out": Conversation._tool,
    "usage": Conversation._use,
    "error": Conversation._error,
}
