"""Histories of the kind that a faultless gateway leaves behind, to plant violations in."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.support.history import (
    Answer,
    CommandAsked,
    CommandBegun,
    Entry,
    Following,
    History,
    Publishing,
    RestAppend,
    Sending,
    content_of,
)


def content(number: int) -> str:
    return content_of("system", {"number": number})


class Run:
    """Builds the history that a faultless gateway leaves behind, step by step."""

    def __init__(self, *, show_epochs: bool) -> None:
        self.history = History("s")
        self.epoch = 0
        self.process = 0
        self.show_epochs = show_epochs
        self.pending: list[Sending] = []
        self.made = 0
        self.readers: dict[str, Following] = {}

    def make(self, count: int) -> list[Sending]:
        first, self.made = self.made, self.made + count
        return [Sending(f"e{number}", content(number)) for number in range(first, self.made)]

    def store(self, sendings: list[Sending], epoch: int | None) -> list[tuple[int, bool]]:
        """Store the events. Return the seq of each, and whether it was there before."""
        log = self.history.log
        places = []
        for sending in sendings:
            at = next((entry.seq for entry in log if entry.event_id == sending.event_id), None)
            if at is None:
                shown = epoch if self.show_epochs else None
                log.append(Entry(len(log) + 1, sending.event_id, sending.content, f"t{len(log)}", shown))
            places.append((at or len(log), at is not None))
        return places

    def connect(self, *, same_gateway: bool) -> None:
        self.process += not same_gateway
        self.epoch += 1
        log = self.history.log
        last = log[-1].event_id if log else None
        stored = {entry.event_id for entry in log}
        self.pending = [sending for sending in self.pending if sending.event_id not in stored]
        publishing = Publishing("bot", f"gateway-{self.process}", self.epoch, len(log), last)
        self.history.publishings.append(publishing)
        if self.pending:
            self.send(self.pending, answered=len(self.pending))

    def send(self, sendings: list[Sending], answered: int) -> None:
        """Store all events. The answers to the last of them are lost with the connection."""
        publishing = self.history.publishings[-1]
        publishing.sent += sendings
        self.pending = [] if answered == len(sendings) else sendings[answered:]
        for sending, (seq, duplicate) in list(zip(sendings, self.store(sendings, self.epoch), strict=True))[:answered]:
            publishing.answers.append(Answer(sending.event_id, seq, duplicate))

    def send_bad(self) -> None:
        publishing = self.history.publishings[-1]
        publishing.sent += self.make(1)
        publishing.answers.append(Answer(None, code="invalid_event"))

    def rest(self, count: int) -> None:
        sendings = self.make(count)
        self.store(sendings, None)
        self.history.rest.append(RestAppend("caller", sendings, [*self.history.log[-count:]]))

    def command(self, *, begun: bool = True) -> None:
        """Let a supervisor request a command, and a connected bot carry it out."""
        number = len(self.history.asked)
        asked = CommandAsked(f"c{number}", content(number), expires_at=100.0, answered_at=50.0, settled=begun)
        self.history.asked.append(asked)
        self._write(f"control.requested:{asked.command_id}")
        if begun:
            self.history.begun.append(CommandBegun("bot", asked.command_id, asked.content, 51.0, asked.expires_at))
            self._write(f"control.accepted:{asked.command_id}")
        self._write(f"control.ended:{asked.command_id}")

    def _write(self, event_id: str) -> None:
        log = self.history.log
        log.append(Entry(len(log) + 1, event_id, content(0), f"t{len(log)}"))

    def follow(self, name: str, taken: int) -> None:
        """Let a subscriber resume from its position, and cut it off after `taken` events."""
        before = self.readers.get(name)
        cursor = 0 if before is None else before.after_seq + len(before.received)
        log = self.history.log
        received = log[cursor : cursor + taken]
        following = Following(name, cursor, list(received))
        if cursor + taken >= len(log):
            following.caught_up.append((len(received), len(log)))
        self.readers[name] = following
        self.history.followings.append(following)

    def finish(self) -> History:
        for name in list(self.readers):
            self.follow(name, len(self.history.log))
            self.history.must_have_all.add(name)
        return self.history


STEPS = st.one_of(
    st.tuples(st.just("send"), st.integers(1, 4), st.integers(0, 4)),
    st.tuples(st.just("connect"), st.booleans()),
    st.tuples(st.just("bad")),
    st.tuples(st.just("command"), st.booleans()),
    st.tuples(st.just("rest"), st.integers(1, 3)),
    st.tuples(st.just("follow"), st.sampled_from(["dashboard", "archive"]), st.integers(0, 6)),
)


@st.composite
def clean_histories(draw: st.DrawFn) -> History:
    """Return a session with two publisher connections or more, acks on each, and subscribers."""
    run = Run(show_epochs=draw(st.booleans()))
    run.connect(same_gateway=True)
    run.send(run.make(3), answered=3)
    for step in draw(st.lists(STEPS, max_size=12)):
        match step:
            case ("send", int(count), int(answered)):
                run.send(run.make(count), min(count, answered))
                if answered < count:  # the connection was lost
                    run.connect(same_gateway=draw(st.booleans()))
            case ("connect", bool(same)):
                run.connect(same_gateway=same)
            case ("bad",):
                run.send_bad()
            case ("command", bool(begun)):
                run.command(begun=begun)
            case ("rest", int(count)):
                run.rest(count)
            case ("follow", str(name), int(taken)):
                run.follow(name, taken)
    run.follow("dashboard", draw(st.integers(0, 6)))
    run.connect(same_gateway=draw(st.booleans()))
    run.send(run.make(2), answered=2)
    run.rest(2)
    return run.finish()
