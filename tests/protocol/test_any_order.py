"""Figures and summaries say the same in whatever order the events of a call arrive."""

from __future__ import annotations

import random
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from turnwire.protocol.conversation import Conversation
from turnwire.protocol.messages import EventType

BEGAN = 1_766_313_000_000
Told = tuple[EventType, dict[str, Any], int]
"""Type, payload, and the milliseconds from the first event to its timestamp."""


def read(events: list[Told]) -> Conversation:
    """The first event of a call stays the first: its time is the call's beginning."""
    conversation = Conversation()
    for seq, (kind, payload, offset) in enumerate([("system", {"event": "call.started"}, 0), *events], start=1):
        conversation.take(seq, kind, payload, BEGAN + offset)
    return conversation


def without_places(value: Any) -> Any:
    """Without what names events by their places in the log, which differ."""
    if isinstance(value, dict):
        return {name: without_places(each) for name, each in value.items() if name not in ("seq", "throughSeq")}
    return [without_places(each) for each in value] if isinstance(value, list) else value


def figures_of(conversation: Conversation) -> dict[str, Any]:
    figures = msgspec.to_builtins(conversation.figures())
    figures["usage"].sort(key=str)
    return without_places({**figures, "summary": msgspec.to_builtins(conversation.summary())})  # type: ignore[no-any-return]


@st.composite
def speech(draw: st.DrawFn) -> Told:
    start, length = draw(st.integers(0, 60_000)), draw(st.integers(0, 9000))
    payload: dict[str, Any] = {"text": f"said at {start}", "turn": draw(st.integers(0, 5))}
    if draw(st.booleans()):
        payload |= {"startedMs": start, "endedMs": start + length}
    payload |= draw(
        st.sampled_from(
            [{}, {}, {"interrupted": True}, {"interrupted": True, "cutBy": "supervisor"}, {"source": "backchannel"}]
        )
    )
    return draw(st.sampled_from(["user_speech", "bot_speech"])), payload, start


def system(event: str, **fields: Any) -> Told:
    return "system", {"event": event, **fields}, 0


interruption = st.builds(
    lambda by, turn, at: system("interruption", by=by, turn=turn, atMs=at),
    st.sampled_from(["user", "bot", "supervisor", "hangup"]),
    st.integers(0, 5),
    st.integers(0, 60_000),
)
reports = st.builds(
    lambda turns: [system("metrics.turn", turn=turn, responseMs=100 + turn) for turn in turns],
    st.sets(st.integers(0, 5)),
)
usage = st.builds(
    lambda model, cost: system("usage", kind="llm", model=model, inputTokens=10, cost=cost / 4),
    st.sampled_from(["a", "b"]),
    st.integers(0, 20),
)


@st.composite
def tools(draw: st.DrawFn) -> list[Told]:
    told = []
    for number in range(draw(st.integers(0, 3))):
        told.append(system("tool.started", name="look", callId=f"call-{number}"))
        end = draw(st.sampled_from(["completed", "failed", "cancelled", "timed_out", None]))
        if end is not None:
            told.append(system(f"tool.{end}", name="look", callId=f"call-{number}"))
    return told


events_of_a_call = st.builds(
    lambda *parts: [event for part in parts for event in part],
    st.lists(speech(), max_size=15, unique_by=lambda told: told[2]),
    st.lists(interruption, max_size=4),
    reports,
    st.lists(usage, max_size=4),
    tools(),
    st.just([system("error")]),
)


@given(events_of_a_call, st.randoms(use_true_random=False))
def test_no_figure_depends_on_the_order_in_which_events_arrive(events: list[Told], chance: random.Random) -> None:
    assert figures_of(read(chance.sample(events, len(events)))) == figures_of(read(events))


def test_an_end_of_a_tool_that_arrives_before_its_start_ends_that_call_and_no_other() -> None:
    conversation = read(
        [
            system("tool.failed", name="look", callId="1"),
            system("tool.started", name="look", callId="1"),
            system("tool.completed", name="book"),
            system("tool.started", name="book"),
        ]
    )
    tools = conversation.figures().tools
    assert (tools.calls, tools.failed, tools.running) == (3, 1, 1), "a name alone does not say which call it was"
