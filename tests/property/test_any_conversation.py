"""Whatever payloads contain, the figures of a conversation are computed without an error."""

from __future__ import annotations

from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st

from tests.property.wire_values import search
from turnwire.protocol.conversation import Conversation
from turnwire.protocol.messages import EventType

NAMES = (
    "interruption",
    "metrics.turn",
    "metrics.stage",
    "usage",
    "error",
    "tool.started",
    "tool.progress",
    "tool.completed",
    "tool.failed",
    "tool.cancelled",
    "tool.timed_out",
    "user.state",
    "bot.state",
    "handoff",
    "node",
    "dtmf",
    "guardrail",
    "call.analysis",
    "constructor",
    "__proto__",
)
KEYS = (
    "event",
    "final",
    "interrupted",
    "cutBy",
    "by",
    "source",
    "text",
    "turn",
    "responseMs",
    "atMs",
    "startedMs",
    "endedMs",
    "startedAt",
    "endedAt",
    "durationMs",
    "id",
    "callId",
    "toolCallId",
    "tool",
    "name",
    "cost",
    "kind",
    "provider",
    "model",
    "inputTokens",
    "outputTokens",
    "audioSeconds",
    "characters",
    "message",
    "state",
    "heard",
    "unsaid",
    "spokenMs",
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.sampled_from(
        ["2025-12-21T10:30:00.000Z", "9999-12-31T23:59:59.999Z", "user", "bot", "speech", "noise", *NAMES]
    )
)
objects = st.dictionaries(st.text(max_size=5), scalars)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | objects)
payloads = st.dictionaries(st.sampled_from(KEYS), values, max_size=8)
named = st.builds(lambda name, payload: {**payload, "event": name}, st.sampled_from(NAMES), payloads)
told = st.tuples(st.sampled_from(get_args(EventType)), payloads | named, st.integers(0, 253_402_300_799_999))


@search(150)
@given(events=st.lists(told, max_size=12))
def test_figures_are_made_of_any_payloads_without_an_error(events: list[tuple[Any, dict[str, Any], int]]) -> None:
    conversation = Conversation()
    for seq, (kind, payload, millis) in enumerate(events, 1):
        conversation.take(seq, kind, payload, millis)
    assert conversation.last_seq == len(events)
    conversation.figures()
    conversation.summary()
    conversation.final()
