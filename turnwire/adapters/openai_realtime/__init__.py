"""OpenAI Realtime: the server's events, mapped to Turnwire events.

from turnwire.adapters import deliver
from turnwire.adapters.openai_realtime import RealtimeMapper

mapper = RealtimeMapper()
async for event in connection:
    deliver(call, mapper.events(event))

`speak_for(call, mapper, connection.send)` lets supervisors speak through the model.
"""

from __future__ import annotations

from turnwire.adapters.openai_realtime.mapper import RealtimeMapper
from turnwire.adapters.openai_realtime.speaker import speak_for

__all__ = ["RealtimeMapper", "speak_for"]
