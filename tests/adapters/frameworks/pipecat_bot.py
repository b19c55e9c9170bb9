"""A Pipecat bot whose services are scripted: no network, no models, real pipeline, real timing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any

from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    FunctionCallFromLLM,
    InterimTranscriptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    OutputAudioRawFrame,
    StartFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.metrics.metrics import LLMTokenUsage
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.llm_service import LLMService
from pipecat.services.settings import LLMSettings
from pipecat.services.tts_service import TTSService
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.turns.user_start import VADUserTurnStartStrategy
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.workers.runner import WorkerRunner

SAMPLE_RATE = 16000
WORD_SECONDS = 0.1
"""Seconds that one word of the bot takes."""


@dataclass
class Call:
    """A function the scripted model calls."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    call_id: str = "call-1"


Reply = str | Call | list[Call]


class ScriptedModel(LLMService):
    """Answers each request with the next reply of its script, word by word."""

    def __init__(self, replies: list[Reply], **kwargs: Any) -> None:
        super().__init__(settings=LLMSettings(model="scripted-1"), **kwargs)
        self.replies = list(replies)

    def can_generate_metrics(self) -> bool:
        return True

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame):
            await self._answer(frame.context)
        else:
            await self.push_frame(frame, direction)

    async def _answer(self, context: LLMContext) -> None:
        reply = self.replies.pop(0) if self.replies else ""
        await self.push_frame(LLMFullResponseStartFrame())
        await self.start_ttfb_metrics()
        await asyncio.sleep(0.02)
        await self.stop_ttfb_metrics()
        if isinstance(reply, str):
            for word in reply.split():
                await self.push_frame(LLMTextFrame(word + " "))
        await self.start_llm_usage_metrics(LLMTokenUsage(prompt_tokens=10, completion_tokens=5, total_tokens=15))
        await self.push_frame(LLMFullResponseEndFrame())
        if not isinstance(reply, str):
            calls = reply if isinstance(reply, list) else [reply]
            await self.run_function_calls(
                [FunctionCallFromLLM(one.name, one.call_id, one.arguments, context) for one in calls]
            )


class ScriptedVoice(TTSService):
    """Speaks silence, a tenth of a second per word. With `word_times` it reports when each word is said."""

    def __init__(self, *, word_times: bool, **kwargs: Any) -> None:
        super().__init__(
            push_text_frames=not word_times,
            push_start_frame=True,
            push_stop_frames=True,
            sample_rate=SAMPLE_RATE,
            **kwargs,
        )
        self.word_times = word_times
        self._spoken: dict[str, int] = {}

    def can_generate_metrics(self) -> bool:
        return True

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        await self.start_tts_usage_metrics(text)
        await asyncio.sleep(0.02)
        await self.stop_ttfb_metrics()
        words = text.split()
        if self.word_times:
            await self.start_word_timestamps()
            before = self._spoken.get(context_id, 0)
            self._spoken[context_id] = before + len(words)
            times = [(word, (before + index) * WORD_SECONDS) for index, word in enumerate(words)]
            await self.add_word_timestamps(times, context_id)
        for _ in words:
            audio = bytes(2 * int(SAMPLE_RATE * WORD_SECONDS))
            yield TTSAudioRawFrame(audio, SAMPLE_RATE, 1, context_id=context_id)


class Loudspeaker(BaseOutputTransport):
    """Plays audio at its real pace, and notes when each piece was written."""

    def __init__(self) -> None:
        super().__init__(
            TransportParams(audio_out_enabled=True, audio_out_sample_rate=SAMPLE_RATE, audio_out_end_silence_secs=0)
        )
        self.written: list[float] = []
        self._due = 0.0

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        now = time.monotonic()
        self.written.append(now)
        self._due = max(self._due, now) + len(frame.audio) / 2 / frame.sample_rate
        await asyncio.sleep(self._due - time.monotonic())
        return True


class Bot:
    """The worker, and what a test does to it in the role of the user."""

    def __init__(
        self,
        replies: list[Reply],
        *,
        word_times: bool = True,
        tools: dict[str, Callable[..., Any]] | None = None,
        tool_options: dict[str, Any] | None = None,
        aggregators: bool = True,
    ) -> None:
        self.speaker = Loudspeaker()
        self.model = ScriptedModel(replies)
        for name, tool in (tools or {}).items():
            self.model.register_function(name, tool, **(tool_options or {}))
        strategies = UserTurnStrategies(
            start=[VADUserTurnStartStrategy()], stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.05)]
        )
        self.context = LLMContext()
        pair = LLMContextAggregatorPair(
            self.context, user_params=LLMUserAggregatorParams(user_turn_strategies=strategies)
        )
        parts = [pair.user(), self.model, ScriptedVoice(word_times=word_times), self.speaker, pair.assistant()]
        self.worker = PipelineWorker(
            Pipeline(parts),
            params=PipelineParams(enable_metrics=True, enable_usage_metrics=True, audio_out_sample_rate=SAMPLE_RATE),
            cancel_on_idle_timeout=False,
        )
        self.started = asyncio.Event()
        self._on("on_pipeline_started", lambda *_: self.started.set())
        self._run: asyncio.Task[None] | None = None

    def _on(self, event: str, told: Callable[..., None]) -> None:
        async def handler(*arguments: Any) -> None:
            told(*arguments)

        self.worker.add_event_handler(event, handler)

    async def __aenter__(self) -> Bot:
        self._run = asyncio.create_task(self._running())
        await asyncio.wait_for(self.started.wait(), 10)
        return self

    async def _running(self) -> None:
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self.worker)
        await runner.run()

    async def __aexit__(self, *_: object) -> None:
        if self._run is not None and not self._run.done():
            await self.worker.queue_frame(EndFrame())
            await asyncio.wait_for(self._run, 20)

    async def user_says(self, text: str, *, seconds: float = 0.1) -> None:
        await self.worker.queue_frame(VADUserStartedSpeakingFrame())
        await asyncio.sleep(seconds / 2)
        await self.worker.queue_frame(InterimTranscriptionFrame(text.split(maxsplit=1)[0], "user", "now"))
        await asyncio.sleep(seconds / 2)
        await self.worker.queue_frame(VADUserStoppedSpeakingFrame(stop_secs=0.05))
        await self.worker.queue_frame(TranscriptionFrame(text, "user", "now", finalized=True))

    async def hang_up(self, reason: str | None = None) -> None:
        await self.worker.cancel(reason=reason)
        assert self._run is not None
        await asyncio.wait_for(self._run, 20)

    async def end(self, reason: str | None = None) -> None:
        await self.worker.queue_frame(EndFrame(reason=reason))
        assert self._run is not None
        await asyncio.wait_for(self._run, 20)


__all__ = ["Bot", "Call", "CancelFrame", "ScriptedModel", "ScriptedVoice"]
