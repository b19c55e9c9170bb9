"""Carries out commands of supervisors in a Realtime session, through events that its client sends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import uuid4

from turnwire.adapters.commands import take_commands
from turnwire.adapters.openai_realtime.mapper import RealtimeMapper
from turnwire.adapters.openai_realtime.responses import TAG
from turnwire.adapters.target import CommandTarget
from turnwire.errors import CommandRefused
from turnwire.protocol.control.commands import End, Say, Whisper

Send = Callable[[Any], Awaitable[object]]
"""Sends one client event, a dict."""
HangUp = Callable[[str], Awaitable[object]]
"""Ends the call, with this reason."""


def speak_for(
    call: CommandTarget,
    mapper: RealtimeMapper,
    send: Send,
    *,
    hang_up: HangUp | None = None,
    interrupt: Callable[[], Awaitable[object]] | None = None,
) -> None:
    """Let supervisors whisper to the model, speak through it, and end the call.

    `send` is the connection's. `hang_up` ends the call; without it, `end` is not accepted. `interrupt` stops your
    player and tells the server what was heard. Without it, a response that is being generated is cancelled, and audio
    that the server plays itself, over WebRTC and SIP, is cleared.
    """
    take_commands(call, RealtimeSpeaker(mapper, send, hang_up, interrupt), ends=hang_up is not None)


class RealtimeSpeaker:
    """Waits for the server's events through the mapper, which must receive all of them."""

    def __init__(
        self,
        mapper: RealtimeMapper,
        send: Send,
        hang_up: HangUp | None,
        interrupt: Callable[[], Awaitable[object]] | None,
    ) -> None:
        self._mapper = mapper
        self._send = send
        self._hang_up = hang_up
        self._interrupt_player = interrupt
        self._turn = asyncio.Lock()
        """One response at a time, like the session itself."""

    async def whisper(self, asked: Whisper) -> None:
        if asked.interrupt:
            await self._interrupt()
        content = [{"type": "input_text", "text": asked.text}]
        item = {"type": "message", "role": "system", "content": content}
        await self._send({"type": "conversation.item.create", "item": item})
        if asked.respond:
            async with self._turn:
                await self._mapper.until_free()
                await self._send({"type": "response.create"})

    async def say(self, asked: Say) -> str | None:
        if asked.end and self._hang_up is None:
            raise CommandRefused("this bot cannot end the call")
        if not asked.interruptible:
            raise CommandRefused("the server lets the caller interrupt whatever the model says")
        if asked.interrupt:
            await self._interrupt()
        whole = await self._speak(asked.text)
        if asked.end:
            await self._end(End().reason)
        return None if whole else "interrupted"

    async def end(self, asked: End) -> None:
        if asked.say is not None:
            await self._speak(asked.say)
        await self._end(asked.reason)

    async def _end(self, reason: str) -> None:
        assert self._hang_up is not None
        await self._hang_up(reason)

    async def _speak(self, text: str) -> bool:
        """Wait until the text has been played. Return whether all of it was generated. Raises RuntimeError if the
        server fails."""
        async with self._turn:
            await self._mapper.until_free()
            tag = uuid4().hex
            made = self._mapper.response_of(tag)
            await self._send({"type": "response.create", "event_id": tag, "response": _spoken(text, tag)})
            status = await made
        if status == "failed":
            raise RuntimeError("the server could not make the response")
        await asyncio.sleep(self._mapper.seconds_to_play())
        return status == "completed"

    async def _interrupt(self) -> None:
        self._mapper.supervisor_cuts_in()
        if self._interrupt_player is not None:
            await self._interrupt_player()
            return
        if self._mapper.is_responding:
            await self._send({"type": "response.cancel"})
        if self._mapper.server_plays:
            await self._send({"type": "output_audio_buffer.clear"})


def _spoken(text: str, tag: str) -> Mapping[str, Any]:
    """Return a response that says this text, whatever the conversation was about."""
    return {
        "input": [],
        "instructions": f"Say exactly the following to the caller, word for word, and nothing else:\n\n{text}",
        "tool_choice": "none",
        "metadata": {TAG: tag},
    }
