"""The conversation of a live session: heard from its own events, or read from its log, and what is made of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

from turnwire.gateway.live.context import Context
from turnwire.gateway.live.log.durable import Durable, time_of
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.conversation import Conversation
from turnwire.protocol.errors import StorageUnavailable
from turnwire.protocol.messages import SessionFigures
from turnwire.protocol.times import to_millis
from turnwire.store.event_log import READ_WINDOW, EventLog
from turnwire.store.waiting import persist

LONG = 1000
"""Utterances from which on a pass over them, some 3 µs each, is not made on the event loop."""
_READ_AT_END = 500
"""Events that the end of a session may wait for; more are read behind it."""

T = TypeVar("T")
_log = logging.getLogger("turnwire.session")


def hear(context: Context, state: SessionState, durable: Durable) -> None:
    """These events, the next ones of the session, have become durable. One that was opened in its middle is to be read
    from the log first."""
    if not context.figures:
        return
    if not heard(state, durable):
        context.observer.unread(state)
    elif state.ended:
        keep_final(context, state)


def heard(state: SessionState, durable: Durable) -> bool:
    """Add these events to the conversation. False when others before them have not been added."""
    conversation = state.conversation
    first, last = durable.events[0][0], durable.last[0]
    if conversation is None:
        if first != 1:
            return False
        conversation = state.conversation = Conversation()
    if first > conversation.last_seq + 1:
        return False
    if last > conversation.last_seq:
        for seq, event in durable.events:
            try:
                conversation.take(seq, event.type, event.payload, to_millis(time_of(event)))
            except Exception:  # figures are no reason to fail an append
                _log.exception("session %r: the figures pass over seq=%d", state.session_id, seq)
    return True


def keep_final(context: Context, state: SessionState) -> None:
    """More has come after the end: the figures that are kept are made anew."""
    assert state.conversation is not None
    if len(state.conversation) < LONG:
        state.keep_figures(state.conversation.final())
    else:
        context.observer.unread(state)


async def final_figures(context: Context, state: SessionState) -> SessionFigures | None:
    """The figures of a session that ends now; None when they are off, or when too much is to be read for them."""
    if not context.figures:
        return None
    if state.conversation is None:
        state.conversation = Conversation()
    head = state.record.last_seq
    if head - state.conversation.last_seq > _READ_AT_END:
        return None
    while state.conversation.last_seq < head:
        await persist(lambda: read_window(context.store.events, state))
    return await measured(state.conversation, Conversation.final)


async def measured(conversation: Conversation, measure: Callable[[Conversation], T]) -> T:
    """What `measure` says, which visits all of the conversation; of a long one it is made in a thread."""
    if len(conversation) < LONG:
        return measure(conversation)
    return await asyncio.to_thread(measure, conversation.frozen())


async def read_window(log: EventLog, state: SessionState) -> Conversation:
    """Read the next events of a live session into its conversation, if there are more. Raises StorageUnavailable."""
    if state.conversation is None:
        state.conversation = Conversation()
    conversation = state.conversation  # which is given up when the log turns out to have lost its end
    await read_on(log, state.session_id, conversation, state.record.last_seq)
    return conversation


async def read_on(log: EventLog, session_id: str, conversation: Conversation, head: int) -> None:
    """Add a window of the events from the conversation's place up to the head. Raises StorageUnavailable."""
    first = conversation.last_seq + 1
    if first > head:
        return
    events = await log.read(session_id, first, min(first + READ_WINDOW - 1, head))
    if not events or events[-1].seq - first + 1 != len(events):
        raise StorageUnavailable(f"events after seq={first - 1} cannot be read, head={head}")
    for event in events:
        conversation.add(event)
