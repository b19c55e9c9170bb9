"""A LiveKit agent whose services are scripted: no network, no room, a real AgentSession, real timing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

from livekit import rtc
from livekit.agents import Agent, AgentSession, llm, stt, tts
from livekit.agents.testing import fake_job_context
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, TimedString
from livekit.agents.voice import io
from livekit.agents.voice.agent_session import SessionConnectOptions
from livekit.agents.voice.transcription.synchronizer import TranscriptSynchronizer

SAMPLE_RATE = 16000
WORD_SECONDS = 0.1
"""Seconds that one word of the bot takes."""

Reply: TypeAlias = str | llm.FunctionToolCall


class ScriptedModel(llm.LLM):
    """Answers each request with the next reply of its script, word by word."""

    def __init__(self, replies: list[Reply]) -> None:
        super().__init__()
        self.replies = list(replies)

    @property
    def model(self) -> str:
        return "scripted-1"

    @property
    def provider(self) -> str:
        return "scripted"

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: Any = None,
        conn_options: Any = DEFAULT_API_CONNECT_OPTIONS,
        **_: Any,
    ) -> llm.LLMStream:
        return ScriptedAnswer(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class ScriptedAnswer(llm.LLMStream):
    async def _run(self) -> None:
        model: Any = self._llm
        reply = model.replies.pop(0) if model.replies else ""
        await asyncio.sleep(0.02)
        if isinstance(reply, str):
            for word in reply.split():
                self._send(llm.ChoiceDelta(role="assistant", content=word + " "))
        else:
            self._send(llm.ChoiceDelta(role="assistant", tool_calls=[reply]))
        usage = llm.CompletionUsage(completion_tokens=5, prompt_tokens=10, total_tokens=15)
        self._event_ch.send_nowait(llm.ChatChunk(id="answer", usage=usage))

    def _send(self, delta: llm.ChoiceDelta) -> None:
        self._event_ch.send_nowait(llm.ChatChunk(id="answer", delta=delta))


class ScriptedVoice(tts.TTS):
    """Speaks silence, a tenth of a second per word, and reports when each word is said."""

    def __init__(self, *, word_times: bool) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=True, aligned_transcript=word_times),
            sample_rate=SAMPLE_RATE,
            num_channels=1,
        )
        self.word_times = word_times

    @property
    def provider(self) -> str:
        return "scripted"

    def synthesize(self, text: str, *, conn_options: Any = DEFAULT_API_CONNECT_OPTIONS) -> tts.ChunkedStream:
        raise AssertionError("this voice streams: a session never asks it for a whole text at once")

    def stream(self, *, conn_options: Any = DEFAULT_API_CONNECT_OPTIONS) -> tts.SynthesizeStream:
        return ScriptedSpeech(tts=self, conn_options=conn_options)


class ScriptedSpeech(tts.SynthesizeStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        voice: Any = self._tts
        output_emitter.initialize(
            request_id="speech", sample_rate=SAMPLE_RATE, num_channels=1, mime_type="audio/pcm", stream=True
        )
        output_emitter.start_segment(segment_id="segment")
        text = ""
        async for piece in self._input_ch:
            text += piece if isinstance(piece, str) else ""
        self._mark_started()
        await asyncio.sleep(0.02)
        for index, word in enumerate(text.split()):
            if voice.word_times:
                start = index * WORD_SECONDS
                output_emitter.push_timed_transcript(
                    TimedString(word + " ", start_time=start, end_time=start + WORD_SECONDS)
                )
            output_emitter.push(bytes(2 * int(SAMPLE_RATE * WORD_SECONDS)))
        output_emitter.end_segment()


class ScriptedEar(stt.STT):
    """Recognizes as the user's speech what the test passes to it."""

    def __init__(self) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=True))
        self.heard: asyncio.Queue[stt.SpeechEvent] = asyncio.Queue()

    async def _recognize_impl(self, buffer: Any, **_: Any) -> stt.SpeechEvent:
        raise AssertionError("this ear streams: a session never asks it for a whole recording at once")

    def stream(self, *, conn_options: Any = DEFAULT_API_CONNECT_OPTIONS, **_: Any) -> stt.RecognizeStream:
        return ScriptedHearing(stt=self, conn_options=conn_options)


class ScriptedHearing(stt.RecognizeStream):
    async def _run(self) -> None:
        ear: Any = self._stt
        while True:
            self._event_ch.send_nowait(await ear.heard.get())


class Microphone(io.AudioInput):
    """Gives silence at the pace of real audio."""

    def __init__(self) -> None:
        super().__init__(label="microphone")

    async def __anext__(self) -> rtc.AudioFrame:
        await asyncio.sleep(0.05)
        return rtc.AudioFrame(bytes(2 * SAMPLE_RATE // 20), SAMPLE_RATE, 1, SAMPLE_RATE // 20)

    def __aiter__(self) -> AsyncIterator[rtc.AudioFrame]:
        return self


class Loudspeaker(io.AudioOutput):
    """Plays audio at its real pace, and notes when each piece was written."""

    def __init__(self) -> None:
        super().__init__(
            label="loudspeaker", capabilities=io.AudioOutputCapabilities(pause=False), sample_rate=SAMPLE_RATE
        )
        self.written: list[float] = []
        self._began: float | None = None
        self._pushed = 0.0
        self._end: asyncio.TimerHandle | None = None

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        if self._began is None:
            self._began = time.time()
            self.on_playback_started(created_at=self._began)
        self._pushed += frame.duration
        self.written.append(time.monotonic())

    def flush(self) -> None:
        super().flush()
        if self._began is not None:
            left = max(0.0, self._began + self._pushed - time.time())
            self._end = asyncio.get_running_loop().call_later(left, self._finish, self._pushed, False)

    def clear_buffer(self) -> None:
        if self._began is not None:
            self._finish(min(time.time() - self._began, self._pushed), True)

    def _finish(self, position: float, interrupted: bool) -> None:
        if self._end is not None:
            self._end.cancel()
        self._began, self._pushed, self._end = None, 0.0, None
        self.on_playback_finished(playback_position=position, interrupted=interrupted)


class Caption(io.TextOutput):
    def __init__(self) -> None:
        super().__init__(label="caption", next_in_chain=None)

    async def capture_text(self, text: str) -> None:
        pass

    def flush(self) -> None:
        pass


class Bot:
    """The session and its job, and what a test does to them in the role of the user."""

    def __init__(
        self,
        replies: list[Reply],
        *,
        word_times: bool = True,
        tools: list[Any] | None = None,
        model: ScriptedModel | None = None,
        last_words_within: float = 0.05,
    ) -> None:
        """The session waits `last_words_within` seconds at its close for a transcript; LiveKit's default is 2."""
        self.ear = ScriptedEar()
        self.speaker = Loudspeaker()
        self.session: AgentSession[None] = AgentSession(
            stt=self.ear,
            llm=model or ScriptedModel(replies),
            tts=ScriptedVoice(word_times=word_times),
            vad=None,
            use_tts_aligned_transcript=word_times,
            user_away_timeout=None,
            conn_options=SessionConnectOptions(max_unrecoverable_errors=0),
            aec_warmup_duration=None,
            session_close_transcript_timeout=last_words_within,
            turn_handling={
                "turn_detection": "stt",
                "endpointing": {"min_delay": 0.05, "max_delay": 0.1},
                "interruption": {"resume_false_interruption": False, "mode": "vad"},
                "preemptive_generation": {"enabled": False},
            },
        )
        self.word_times = word_times
        self.agent = Agent(instructions="Be short.", tools=tools or [])
        self._job = fake_job_context(job_id="AJ_1")
        self.ctx = self._job.__enter__()

    async def __aenter__(self) -> Bot:
        self.connect_audio()
        await self.session.start(self.agent, record=False)
        return self

    def connect_audio(self) -> None:
        self.session.input.audio = Microphone()
        if self.word_times:
            synchronizer = TranscriptSynchronizer(next_in_chain_audio=self.speaker, next_in_chain_text=Caption())
            self.session.output.audio = synchronizer.audio_output
            self.session.output.transcription = synchronizer.text_output
        else:
            self.session.output.audio = self.speaker

    async def __aexit__(self, *_: object) -> None:
        await self.shut_down("test over")
        self._job.__exit__(None, None, None)

    async def shut_down(self, reason: str) -> None:
        """Do what LiveKit does when a job ends: run all its callbacks at once."""
        callbacks, self.ctx._shutdown_callbacks[:] = list(self.ctx._shutdown_callbacks), []
        await asyncio.gather(*(callback(reason) for callback in callbacks), self.session.aclose())

    def hears(self, kind: stt.SpeechEventType, text: str = "") -> None:
        data = [stt.SpeechData(language="en", text=text, confidence=0.9)] if text else []  # type: ignore[arg-type]
        self.ear.heard.put_nowait(stt.SpeechEvent(type=kind, alternatives=data))

    async def user_says(self, text: str, *, seconds: float = 0.2) -> None:
        self.hears(stt.SpeechEventType.START_OF_SPEECH)
        await asyncio.sleep(seconds / 2)
        self.hears(stt.SpeechEventType.INTERIM_TRANSCRIPT, text.split(maxsplit=1)[0])
        await asyncio.sleep(seconds / 2)
        self.hears(stt.SpeechEventType.FINAL_TRANSCRIPT, text)
        self.hears(stt.SpeechEventType.END_OF_SPEECH)
