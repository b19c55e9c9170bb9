"""Carries out commands of supervisors in a pipeline. Imports Pipecat."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pipecat.frames.frames import (
    EndWorkerFrame,
    Frame,
    InterruptionFrame,
    LLMMessagesAppendFrame,
    SystemFrame,
    TTSSpeakFrame,
)
from pipecat.processors.aggregators.llm_response_universal import LLMUserAggregator
from pipecat.turns.user_mute import BaseUserMuteStrategy

from turnwire.errors import CommandRefused
from turnwire.protocol.control.commands import End, Say, Whisper


@dataclass
class SupervisorInterruptionFrame(InterruptionFrame):  # type: ignore[misc] # Pipecat is not there where types are checked
    """Cuts the bot's current speech short for a supervisor."""


@dataclass
class AnnouncementFrame(TTSSpeakFrame):  # type: ignore[misc] # as above
    """Speech that the caller cannot interrupt."""


@dataclass
class AnnouncementOverFrame(SystemFrame):  # type: ignore[misc] # as above
    """Lets the bot hear the caller again."""


class DeafDuringAnnouncements(BaseUserMuteStrategy):  # type: ignore[misc] # as above
    """Mutes the user from the moment an announcement enters the pipeline until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self._going_on: set[int] = set()

    def release(self, announcement: TTSSpeakFrame) -> None:
        """Stop muting: the announcement has been said, or never will be."""
        self._going_on.discard(announcement.id)

    async def process_frame(self, frame: Frame) -> bool:
        """Return whether the user is muted after this frame."""
        await super().process_frame(frame)
        if isinstance(frame, AnnouncementFrame):
            self._going_on.add(frame.id)
        return bool(self._going_on)


class PipecatSpeaker:
    """Puts frames into the pipeline of a worker. Create it before the worker runs."""

    def __init__(self, worker: Any, aggregators: Iterable[LLMUserAggregator]) -> None:
        """`aggregators`: those of the worker, which decide what interrupts the bot."""
        self._worker = worker
        self._deaf = DeafDuringAnnouncements()
        self._can_announce = False
        for aggregator in aggregators:
            aggregator._params.user_mute_strategies.append(self._deaf)
            self._can_announce = True

    async def whisper(self, asked: Whisper) -> None:
        hint = {"role": "developer", "content": asked.text}
        await self._queue(LLMMessagesAppendFrame([hint], run_llm=asked.respond), interrupt=asked.interrupt)

    async def say(self, asked: Say) -> None:
        if not asked.interruptible and not self._can_announce:
            raise CommandRefused("nothing in this pipeline can keep the caller from interrupting")
        await self._speak(asked.text, interrupt=asked.interrupt, interruptible=asked.interruptible)
        if asked.end:
            await self._end(End().reason)

    async def end(self, asked: End) -> None:
        if asked.say is not None:
            await self._speak(asked.say, interruptible=not self._can_announce)
        await self._end(asked.reason)

    async def _speak(self, text: str, *, interruptible: bool, interrupt: bool = False) -> None:
        """Wait until everything that was in the pipeline has come out of it: the text has been said, or cut short."""
        speech = TTSSpeakFrame(text) if interruptible else AnnouncementFrame(text)
        try:
            await self._queue(speech, interrupt=interrupt)
            if not await self._worker.flush_pipeline():
                raise RuntimeError("the pipeline is stuck")
        finally:
            if not interruptible:
                self._deaf.release(speech)
                await self._worker.queue_frame(AnnouncementOverFrame())  # strategies are asked once a frame arrives

    async def _queue(self, frame: Frame, *, interrupt: bool) -> None:
        if interrupt:
            await self._worker.queue_frame(SupervisorInterruptionFrame())
        await self._worker.queue_frame(frame)

    async def _end(self, reason: str) -> None:
        await self._worker.queue_frame(EndWorkerFrame(reason=reason))
