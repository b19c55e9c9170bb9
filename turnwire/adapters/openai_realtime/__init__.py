"""OpenAI Realtime: the server's events, mapped to Turnwire events.

from turnwire.adapters import deliver
from turnwire.adapters.openai_realtime import RealtimeMapper

mapper = RealtimeMapper()
async for event in connection:
    deliver(call, mapper.events(event))
"""

from __future__ import annotations

from turnwire.adapters.openai_realtime.mapper import RealtimeMapper

__all__ = ["RealtimeMapper"]
