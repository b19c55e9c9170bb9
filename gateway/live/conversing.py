"""The conversation of a live session: built from its events as they arrive, or read from its log, and its figures."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Final, TypeVar

from turnwire.gateway.live.context import Context
from turnwire.gateway.live.log.durable import Durable
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.conversation import Conversation
from turnwire.protocol.errors import StorageUnavailable
from turnwire.protocol.messages import SessionFigures
from turnwire.protocol.talk.percentiles import LONG
from turnwire.store.event_log import READ_WINDOW, EventLog
from turnwire.store.waiting import persist

_READ_AT_END = 500
"""Events that may be read before a session ends. If more are missing, the figures are computed after the end."""
_PAUSE_FACTOR = 3
_LONGEST_PAUSE = 1.0
_RETRY_SECONDS = 0.5

T = TypeVar("T")
_measuring: Final = ThreadPoolExecutor(1, "figures")
"""One thread. Each thread that computes takes the interpreter from the loop for a millisecond at a time, and storing
events needs the interpreter several times.
"""
_log = logging.getLogger("turnwire.session")


def update_conversation(context: Context, state: SessionState, durable: Durable) -> None:
    """Add events that have become durable to the conversation. If earlier ones are missing, have the log read first."""
    if not context.figures:
        return
    if not extend_conversation(state, durable):
        context.observer.unread(state)
    elif state.ended:
        keep_final(context, state)


def extend_conversation(state: SessionState, durable: Durable) -> bool:
    """Add these events to the conversation. Return False if events before them are missing from it."""
    conversation = state.conversation
    first, last = durable.events[0][0], durable.last[0]
    if conversation is None:
        if first != 1:
            return False
        conversation = state.conversation = Conversation()
    if first > conversation.last_seq + 1:
        return False
    if last > conversation.last_seq:
        for (seq, event), millis in zip(durable.events, durable.millis(), strict=True):
            try:
                conversation.take(seq, event.type, event.payload, millis)
            except Exception:  # an append must not fail because of its figures
                _log.exception("session %r: the figures leave out seq=%d", state.session_id, seq)
    return True


def keep_final(context: Context, state: SessionState) -> None:
    """Compute the final figures again, because events have arrived after the end."""
    assert state.conversation is not None
    if len(state.conversation) < LONG:
        state.keep_figures(state.conversation.final())
    else:
        context.observer.unread(state)


async def final_figures(context: Context, state: SessionState) -> SessionFigures | None:
    """Return the figures of a session that is about to end; None if they are off or too many events must be read."""
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


async def measured(conversation: Conversation, measure: Callable[[Conversation], T], *, is_needed: bool = True) -> T:
    """Return `measure(conversation)`, computed in a thread if the conversation is long, one after the other.

    Afterwards, the thread takes the conversation apart unless it `is_needed`. The loop would stand still while the
    objects of a long one are freed.
    """
    if len(conversation) < LONG:
        return measure(conversation)
    loop = asyncio.get_running_loop()
    if is_needed:
        return await loop.run_in_executor(_measuring, _rested, measure, conversation.frozen())
    return await loop.run_in_executor(_measuring, _rested, partial(_measured_last, measure), conversation)


def _measured_last(measure: Callable[[Conversation], T], conversation: Conversation) -> T:
    try:
        return measure(conversation)
    finally:
        conversation.take_apart()


def _rested(measure: Callable[[Conversation], T], conversation: Conversation) -> T:
    """Return `measure(conversation)`, and have the thread rest afterwards for as long as that took."""
    began = time.perf_counter()
    measured_now = measure(conversation)
    with suppress(RuntimeError):  # the process is about to end
        _measuring.submit(time.sleep, time.perf_counter() - began)
    return measured_now


async def freshen(state: SessionState) -> None:
    """Compute the percentiles of a long conversation in a thread, if they are due, before the session is shown."""
    conversation = state.conversation
    if conversation is not None and conversation.due and not state.ended:
        conversation.keep(await asyncio.to_thread(Conversation.percentiles, conversation.frozen()))


async def read_window(log: EventLog, state: SessionState) -> Conversation:
    """Read the next window of events, if any, into a live session's conversation. Raises StorageUnavailable."""
    if state.conversation is None:
        state.conversation = Conversation()
    conversation = state.conversation  # the conversation is given up when the log turns out to have lost its end
    await read_more(log, state.session_id, state.record.life, conversation, state.record.last_seq)
    return conversation


async def read_more(log: EventLog, session_id: str, life: int | None, conversation: Conversation, head: int) -> None:
    """Add the next window of events up to `head`, if any, to the conversation. Raises StorageUnavailable."""
    first = conversation.last_seq + 1
    if first > head:
        return
    events = await log.read(session_id, first, min(first + READ_WINDOW - 1, head), life)
    if not events or events[-1].seq - first + 1 != len(events):
        raise StorageUnavailable(f"events after seq={first - 1} cannot be read, head={head}")
    for event in events:
        conversation.add(event)


async def read_in_background(read: Callable[[], Awaitable[None]]) -> None:
    """Run `read` once, then pause for three times as long as it took, but at most a second: other work comes first.

    If `read` raises StorageUnavailable, pause for half a second instead; the caller tries again.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        await read()
    except StorageUnavailable:
        await asyncio.sleep(_RETRY_SECONDS)
    else:
        await asyncio.sleep(min(_LONGEST_PAUSE, _PAUSE_FACTOR * (loop.time() - began)))
