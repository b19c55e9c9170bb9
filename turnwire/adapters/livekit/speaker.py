"""Carries out commands of supervisors in an AgentSession."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from turnwire.adapters.livekit.call import LiveKitCall
from turnwire.protocol.control.commands import End, Say, Whisper

DRAINS_WITHIN = 30.0
"""Seconds for a session to close by itself after a supervisor has ended the call. A running tool may hold it up."""


class LiveKitSpeaker:
    """Speaks and whispers through the session, and ends its job."""

    def __init__(self, session: Any, ctx: Any, call: LiveKitCall, closed: Callable[[], Awaitable[object]]) -> None:
        """`closed` returns once the session has closed."""
        self._session = session
        self._ctx = ctx
        self._call = call
        self._closed = closed

    async def whisper(self, asked: Whisper) -> None:
        if asked.interrupt:
            await self._interrupt()
        agent = self._session.current_agent
        context = agent.chat_ctx.copy()
        context.add_message(role="system", content=asked.text)
        await agent.update_chat_ctx(context)
        if asked.respond:
            self._session.generate_reply()

    async def say(self, asked: Say) -> str | None:
        if asked.interrupt:
            await self._interrupt()
        interrupted = await self._speak(asked.text, interruptible=asked.interruptible)
        if asked.end:
            await self._hang_up(End().reason)
        return "interrupted" if interrupted else None

    async def end(self, asked: End) -> None:
        if asked.say is not None:
            await self._speak(asked.say, interruptible=False)
        await self._hang_up(asked.reason)

    async def _speak(self, text: str, *, interruptible: bool) -> bool:
        """Wait until the text has been said. Return whether somebody cut in."""
        speech = self._session.say(text, allow_interruptions=interruptible)
        await speech.wait_for_playout()
        return bool(speech.interrupted)

    async def _interrupt(self) -> None:
        self._call.supervisor_cuts_in()
        await self._session.interrupt(force=True)

    async def _hang_up(self, reason: str) -> None:
        self._call.supervisor_ends(reason)
        self._session.shutdown(drain=True)
        try:
            async with asyncio.timeout(DRAINS_WITHIN):
                await self._closed()
        except TimeoutError:
            pass  # the end of the job closes the session
        self._ctx.shutdown(reason=reason)
