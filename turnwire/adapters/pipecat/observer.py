"""Observing a PipelineWorker for a call's notes. Imports Pipecat."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

from pipecat.frames.frames import TTSTextFrame
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.observers.user_bot_latency_observer import UserBotLatencyObserver
from pipecat.processors.aggregators.llm_response_universal import LLMUserAggregator
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.ai_service import AIService
from pipecat.transports.base_output import BaseOutputTransport

from turnwire.adapters.call_notes import CallNotes
from turnwire.adapters.commands import take_commands
from turnwire.adapters.ending import begin, end
from turnwire.adapters.pipecat.call import PipecatCall, Step
from turnwire.adapters.pipecat.speaker import PipecatSpeaker
from turnwire.adapters.target import CallTarget

log = logging.getLogger("turnwire")


def add_observers(worker: Any, publisher: CallTarget, *, commands: bool = True) -> None:
    """Publish the worker's call through the publisher. With `commands`, supervisors may speak through it and end it."""
    notes = CallNotes(publisher)
    call = PipecatCall(notes, services=[type(part).__name__ for part in parts_of(worker.pipeline, AIService)])
    latency = UserBotLatencyObserver()

    async def measured(_: object, breakdown: Any) -> None:
        call.latency_measured(breakdown)

    latency.add_event_handler("on_latency_breakdown", measured)
    worker.add_observer(latency)
    worker.add_observer(CallObserver(publisher, notes, call))
    if commands:
        take_commands(publisher, PipecatSpeaker(worker, parts_of(worker.pipeline, LLMUserAggregator)))


def parts_of(processor: FrameProcessor, kind: type) -> Iterator[Any]:
    """Iterate over the processors of a kind in a pipeline, at any depth."""
    if isinstance(processor, kind):
        yield processor
    for part in processor.processors:
        yield from parts_of(part, kind)


class CallObserver(BaseObserver):  # type: ignore[misc] # types are checked without Pipecat
    """The observer that turns frames into notes. Pipecat runs it in its own task, beside the pipeline."""

    def __init__(self, publisher: CallTarget, notes: CallNotes, call: PipecatCall) -> None:
        super().__init__()
        self._publisher = publisher
        self._notes = notes
        self._call = call
        self._steps: dict[type, Step | None] = {}
        self._zero: float | None = None
        self._stumbled = False
        self._is_started = False

    async def setup(self, task_manager: Any) -> None:
        await super().setup(task_manager)
        self._start()

    def _start(self) -> None:
        if not self._is_started:
            self._is_started = True
            begin(self._publisher)

    async def on_push_frame(self, data: FramePushed) -> None:
        """Handle a frame. Called for each frame at each step between processors, so most calls must cost nothing."""
        frame = data.frame
        kind = type(frame)
        if kind not in self._steps:
            self._steps[kind] = self._call.step_for(kind)
        step = self._steps[kind]
        if step is None:
            return
        try:
            self._take(step, data)
        except Exception:  # an exception would end the observer's task, and its queue would grow without bound
            log.log(logging.DEBUG if self._stumbled else logging.ERROR, "a %s was not recorded", kind, exc_info=True)
            self._stumbled = True

    def _take(self, step: Step, data: FramePushed) -> None:
        self._start()  # `setup` is never called for an observer added to a running worker
        frame = data.frame
        if isinstance(frame, TTSTextFrame) and isinstance(data.source, BaseOutputTransport):
            self._call.text_played(frame, self._moment(data.timestamp))
        elif data.first_push and not (frame.broadcast_sibling_id and data.direction != FrameDirection.DOWNSTREAM):
            step(frame, self._moment(data.timestamp))

    def _moment(self, nanoseconds: int) -> float:
        """Convert a time of the pipeline's clock, which is 0 until the pipeline runs, to Unix time in seconds."""
        now = time.time()
        if not nanoseconds:
            return now
        zero = now - nanoseconds / 1e9
        self._zero = zero if self._zero is None else min(self._zero, zero)  # the least delay is the best estimate
        return self._zero + nanoseconds / 1e9

    async def cleanup(self) -> None:
        """End the session: no frame follows any more, not even one with the bot's last words."""
        await super().cleanup()
        status, reason = self._call.finish(time.time())
        await end(self._publisher, status, reason)
