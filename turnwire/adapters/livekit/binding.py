"""Connecting the events of an AgentSession and its job to a call's notes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from turnwire.adapters.call_notes import CallNotes
from turnwire.adapters.commands import take_commands
from turnwire.adapters.ending import begin, end
from turnwire.adapters.livekit.call import LiveKitCall
from turnwire.adapters.livekit.speaker import LiveKitSpeaker
from turnwire.adapters.target import CallTarget

log = logging.getLogger("turnwire")

CLOSES_WITHIN = 3.0
"""Seconds to wait for the session's own close, which the job starts at the same time.

LiveKit ends the process ten seconds after the shutdown began, and the publisher needs its `drain_timeout` of them."""


def bind_to(session: Any, ctx: Any, publisher: CallTarget, *, commands: bool = True) -> None:
    """Publish the session's call through the publisher, until the job shuts down.

    With `commands`, supervisors may speak through the session and end it.
    """
    notes = CallNotes(publisher)
    call = LiveKitCall(
        notes,
        is_closing=lambda: bool(getattr(session, "_is_closing", bool)()),
        has_word_times=lambda: _has_word_times(session),
    )
    closed = asyncio.Event()
    for name, handler in call.handlers().items():
        session.on(name, guarded(handler))
    session.on("agent_state_changed", guarded(_once(lambda: _listen_to_output(session, call))))
    session.on("close", lambda _: closed.set())
    ctx.room.on("sip_dtmf_received", guarded(call.key_pressed))

    async def leave(reason: str) -> None:
        try:
            async with asyncio.timeout(CLOSES_WITHIN):
                await closed.wait()
        except TimeoutError:
            log.debug("the AgentSession of %s was never started, or hangs while closing", publisher.session_id)
        await end(publisher, *call.finish(time.time(), reason))

    ctx.add_shutdown_callback(leave)
    if commands:
        take_commands(publisher, LiveKitSpeaker(session, ctx, call, closed.wait))
    begin(publisher)
    notes.note("call.started", framework="livekit", room=ctx.job.room.name, job=ctx.job.id)


def guarded(handler: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return the handler with its exceptions logged: LiveKit passes a TypeError on to the emitter of the event."""

    def handle(event: Any) -> None:
        try:
            handler(event)
        except Exception:
            log.exception("a %s of LiveKit was not recorded", type(event).__name__)

    return handle


def _once(act: Callable[[], None]) -> Callable[[Any], None]:
    done: list[bool] = []

    def handle(_: Any) -> None:
        if not done:
            done.append(True)
            act()

    return handle


def _listen_to_output(session: Any, call: LiveKitCall) -> None:
    """Listen to the audio output, which exists once the session has started."""
    if session.output.audio is not None:
        session.output.audio.on("playback_finished", guarded(call.playback_finished))


def _has_word_times(session: Any) -> bool:
    """Return whether the voice reports the time of each word. Otherwise, LiveKit estimates it."""
    of_agent = session.current_agent.use_tts_aligned_transcript
    wanted = of_agent if isinstance(of_agent, bool) else session.options.use_tts_aligned_transcript
    return bool(wanted and session.tts is not None and session.tts.capabilities.aligned_transcript)
