"""The outbox under any order of sends, answers, broken connections and writes by others."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from turnwire.publishing.outbox import FRAME_OVERHEAD, Entry, Outbox, OutOfStep

pytestmark = pytest.mark.property


def entry(event_id: str, size: int = 10) -> Entry:
    return Entry(event_id, b"x" * size)


class World:
    """A gateway as the protocol describes it, a connection that can break at any point, and a client's outbox."""

    def __init__(self, in_flight: int, stored_before: int, same_session_again: bool) -> None:
        self.max_in_flight = in_flight
        self.log = [f"e{n}" if same_session_again else f"before-{n}" for n in range(stored_before)]
        self.outbox = Outbox(1000)
        self.frames: deque[list[str]] = deque()
        """Events on their way to the gateway."""
        self.answers: deque[tuple[str, int | None]] = deque()
        """Answers on their way back: the seq of a stored event, None for a refused one."""
        self.outcome: dict[str, int | None] = {}
        self.added: list[str] = []
        self.others = False
        self.connected = False

    @staticmethod
    def is_bad(event_id: str) -> bool:
        return event_id.startswith("bad")

    def add(self, bad: bool) -> None:
        event_id = f"{'bad' if bad else 'e'}{len(self.added)}"
        self.added.append(event_id)
        self.outbox.add(entry(event_id))

    def connect(self) -> None:
        """The gateway reports the end of its log. What was on its way over the last connection is lost."""
        self.frames.clear()
        self.answers.clear()
        for taken, seq in self.outbox.reconnected(len(self.log), self.log[-1] if self.log else None):
            self.settle(taken.event_id, seq)
        assert self.outbox.in_flight == 0
        self.connected = True

    def break_off(self) -> None:
        self.connected = False

    def send(self) -> None:
        if self.connected:
            frame = self.outbox.next_frame(max_in_flight=self.max_in_flight, max_events=500, max_bytes=200, now=0)
            assert self.outbox.in_flight <= self.max_in_flight
            if frame:
                self.frames.append([taken.event_id for taken in frame])

    def process(self) -> None:
        """The gateway reads a frame, even if the connection has broken after it."""
        if self.frames:
            for event_id in self.frames.popleft():
                if self.is_bad(event_id):
                    self.answers.append((event_id, None))
                    continue
                if event_id not in self.log:
                    self.log.append(event_id)
                self.answers.append((event_id, self.log.index(event_id) + 1))

    def deliver(self) -> None:
        if self.connected and self.answers:
            event_id, seq = self.answers.popleft()
            assert self.outbox.answered(event_id, seq).event_id == event_id
            self.settle(event_id, seq)

    def settle(self, event_id: str, seq: int | None) -> None:
        assert event_id not in self.outcome, "two outcomes for one event"
        self.outcome[event_id] = seq

    def somebody_else_writes(self) -> None:
        self.others = True
        self.log.append(f"other-{len(self.log)}")

    def finish(self) -> None:
        """From now on, break nothing."""
        self.connect()
        for _ in range(10 * len(self.added) + 10):
            self.send()
            self.process()
            self.deliver()


STEPS = st.sampled_from(
    ["add", "add", "add", "bad", "send", "send", "process", "deliver", "deliver", "break", "connect", "other"]
)


@given(
    steps=st.lists(STEPS, max_size=120),
    in_flight=st.integers(1, 8),
    stored_before=st.integers(0, 5),
    again=st.booleans(),
)
@settings(max_examples=500, suppress_health_check=[HealthCheck.too_slow])
def test_the_outbox_loses_doubles_and_reorders_no_event(
    steps: list[str], in_flight: int, stored_before: int, again: bool
) -> None:
    world = World(in_flight, stored_before, again)
    act = {
        "add": lambda: world.add(bad=False),
        "bad": lambda: world.add(bad=True),
        "send": world.send,
        "process": world.process,
        "deliver": world.deliver,
        "break": world.break_off,
        "connect": world.connect,
        "other": world.somebody_else_writes,
    }
    for step in steps:
        act[step]()
    world.finish()

    good = [event_id for event_id in world.added if not world.is_bad(event_id)]
    new = [event_id for event_id in good if event_id not in world.log[:stored_before]]
    assert [event_id for event_id in world.log[stored_before:] if event_id.startswith("e")] == new
    assert len(set(world.log)) == len(world.log)
    assert len(world.outbox) == 0
    assert set(world.outcome) == set(world.added)
    assert all(world.outcome[event_id] is not None for event_id in good)
    bad = set(world.added) - set(good)
    if not (bad and world.others):  # together, and behind one broken connection, they can look like our own events
        assert {event_id for event_id, seq in world.outcome.items() if seq is None} == bad
        assert [world.outcome[event_id] for event_id in good] == [world.log.index(event_id) + 1 for event_id in good]


def test_events_the_gateway_has_are_not_sent_again() -> None:
    outbox = Outbox(10)
    outbox.reconnected(7, "before")
    for event_id in "abcd":
        outbox.add(entry(event_id))
    outbox.next_frame(max_in_flight=3, max_events=500, max_bytes=10_000, now=0)
    stored = outbox.reconnected(9, "b")
    assert [(taken.event_id, seq) for taken, seq in stored] == [("a", 8), ("b", 9)]
    assert [
        taken.event_id for taken in outbox.next_frame(max_in_flight=9, max_events=500, max_bytes=10_000, now=0)
    ] == ["c", "d"]


@pytest.mark.parametrize(
    ("last_seq", "last_id", "why"),
    [
        (7, "before", "nothing of it has arrived"),
        (10, "b", "somebody else has written before b"),
        (8, "b", "a was refused, and its nack was lost"),
        (9, "other", "the last one is not ours"),
        (2, "b", "the session is another one of the same name"),
        (12, "d", "more has been stored than was in flight"),
    ],
)
def test_the_outbox_sends_everything_again_when_in_doubt(last_seq: int, last_id: str, why: str) -> None:
    outbox = Outbox(10)
    outbox.reconnected(7, "before")
    for event_id in "abcd":
        outbox.add(entry(event_id))
    outbox.next_frame(max_in_flight=3, max_events=500, max_bytes=10_000, now=0)
    assert outbox.reconnected(last_seq, last_id) == [], why
    again = outbox.next_frame(max_in_flight=9, max_events=500, max_bytes=10_000, now=0)
    assert [taken.event_id for taken in again] == list("abcd")


def test_the_outbox_notices_an_answer_out_of_turn() -> None:
    outbox = Outbox(10)
    with pytest.raises(OutOfStep, match="nothing is in flight"):
        outbox.answered("a", 1)
    outbox.add(entry("a"))
    outbox.add(entry("b"))
    outbox.next_frame(max_in_flight=2, max_events=500, max_bytes=10_000, now=0)
    with pytest.raises(OutOfStep, match="'a' is next"):
        outbox.answered("b", 1)


def test_an_answer_without_an_event_id_is_for_the_oldest_event_in_flight() -> None:
    outbox = Outbox(10)
    outbox.add(entry("a"))
    outbox.next_frame(max_in_flight=2, max_events=500, max_bytes=10_000, now=0)
    assert outbox.answered(None).event_id == "a"


@given(sizes=st.lists(st.integers(1, 400), max_size=60), max_bytes=st.integers(100, 1000))
def test_frames_keep_within_their_limit_unless_a_single_event_exceeds_it(sizes: list[int], max_bytes: int) -> None:
    outbox = Outbox(100)
    for index, size in enumerate(sizes):
        outbox.add(entry(str(index), size))
    seen: list[int] = []
    while frame := outbox.next_frame(max_in_flight=1000, max_events=500, max_bytes=max_bytes, now=0):
        seen += [len(taken.data) for taken in frame]
        assert len(frame) == 1 or FRAME_OVERHEAD + sum(len(taken.data) + 1 for taken in frame) <= max_bytes
    assert seen == sizes


def test_a_frame_has_no_more_events_than_the_gateway_allows() -> None:
    outbox = Outbox(2000)
    for index in range(1200):
        outbox.add(entry(str(index)))
    counts = []
    while frame := outbox.next_frame(max_in_flight=5000, max_events=500, max_bytes=10**9, now=0):
        counts.append(len(frame))
    assert counts == [500, 500, 200]


def test_the_latency_of_an_ack_counts_from_the_first_sending() -> None:
    outbox = Outbox(10)
    outbox.add(entry("a"))
    outbox.next_frame(max_in_flight=1, max_events=500, max_bytes=10_000, now=3.0)
    outbox.reconnected(0, None)
    (taken,) = outbox.next_frame(max_in_flight=1, max_events=500, max_bytes=10_000, now=9.0)
    assert taken.first_sent == 3.0


def test_removing_events_keeps_the_order_of_the_others() -> None:
    outbox = Outbox(10)
    for event_id in "abcd":
        outbox.add(entry(event_id))
    outbox.next_frame(max_in_flight=2, max_events=500, max_bytes=10_000, now=0)
    assert [taken.event_id for taken in outbox.take_out({"b", "d", "x"})] == ["b", "d"]
    assert outbox.in_flight == 0
    assert [
        taken.event_id for taken in outbox.next_frame(max_in_flight=9, max_events=500, max_bytes=10_000, now=0)
    ] == ["a", "c"]


def test_the_outbox_holds_no_more_than_its_capacity() -> None:
    outbox = Outbox(2)
    outbox.add(entry("a"))
    assert not outbox.is_full
    outbox.add(entry("b"))
    assert outbox.is_full
    with pytest.raises(OverflowError):
        outbox.add(entry("c"))
    assert [taken.event_id for taken in outbox] == ["a", "b"]
    with pytest.raises(ValueError, match="1 or more"):
        Outbox(0)
