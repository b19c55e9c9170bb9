"""The Realtime models of the OpenAI Agents SDK.

from turnwire.adapters.openai_agents import listen

told = listen(session.model, call)
async with session:
    async for event in session:
        told(event)   # for handoffs and guardrails; leave this line out if there are none
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from turnwire.adapters.call_notes import CallNotes
from turnwire.adapters.fields_of import field
from turnwire.adapters.mapped import deliver
from turnwire.adapters.openai_realtime import RealtimeMapper, speak_for
from turnwire.adapters.target import CommandTarget, PublisherTarget, Target

log = logging.getLogger("turnwire")


def listen(
    model: Any,
    call: PublisherTarget,
    *,
    commands: bool = True,
    hang_up: Callable[[str], Awaitable[object]] | None = None,
) -> Listener:
    """Post what a `RealtimeModel` hears from its server. `call` is your publisher, which you also end.

    With `commands`, supervisors may whisper to the model and speak through it. They may end the call if you give
    `hang_up`, which is called with the reason.
    """
    listener = Listener(call)
    model.add_listener(listener)
    if commands:
        listener.speak_for(call, model, hang_up)
    return listener


class Listener:
    """A RealtimeModelListener. Call it with the events of the RealtimeSession."""

    def __init__(self, call: Target) -> None:
        self._call = call
        self._mapper = RealtimeMapper()
        self._notes = CallNotes(call)

    def speak_for(self, call: CommandTarget, model: Any, hang_up: Callable[[str], Awaitable[object]] | None) -> None:
        """Let supervisors speak through the model."""

        async def send(event: dict[str, Any]) -> None:
            from agents.realtime import RealtimeModelSendRawMessage  # noqa: PLC0415 -- it imports the SDK

            kind, fields = event["type"], {name: value for name, value in event.items() if name != "type"}
            await model.send_event(RealtimeModelSendRawMessage(message={"type": kind, "other_data": fields}))

        async def interrupt() -> None:
            from agents.realtime import RealtimeModelSendInterrupt  # noqa: PLC0415 -- it imports the SDK

            await model.send_event(RealtimeModelSendInterrupt())

        speak_for(call, self._mapper, send, hang_up=hang_up, interrupt=interrupt)

    async def on_event(self, event: Any) -> None:
        """Map one of the model's events. The model calls this, without having to wait."""
        try:
            if event.type == "raw_server_event":
                deliver(self._call, self._mapper.events(event.data))
            elif event.type in {"end_of_stream", "exception"}:
                self._over(event)
        except Exception:  # the SDK would report it as an error of the model
            log.exception("a %s of the model was not recorded", type(event).__name__)

    def __call__(self, event: Any) -> None:
        """Map an event of the session: a handoff or a tripped guardrail. Never raises."""
        try:
            self._session_event(event)
        except Exception:  # it would end the user's loop
            log.exception("a %s of the session was not recorded", type(event).__name__)

    def _session_event(self, event: Any) -> None:
        kind = field(event, "type")
        if kind == "handoff":
            facts = {"from": field(event, "from_agent", "name"), "to": field(event, "to_agent", "name")}
            self._notes.note("handoff", **facts)
        elif kind == "guardrail_tripped":
            for result in field(event, "guardrail_results") or []:
                name = field(result, "guardrail", "name")
                self._notes.note("guardrail", name=name, message=field(event, "message"))

    def _over(self, event: Any) -> None:
        exception = field(event, "exception")
        if exception is not None:
            self._notes.note("error", message=str(exception), code=type(exception).__name__)
        if event.type == "end_of_stream":
            deliver(self._call, self._mapper.close("disconnected"))
