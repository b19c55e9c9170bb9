"""Adapters from voice frameworks and vendors to Turnwire events. None imports its framework before it is used.

turnwire.adapters.pipecat            attach(worker, url)
turnwire.adapters.livekit            bind(session, ctx, url)
turnwire.adapters.openai_realtime    RealtimeMapper().events(server_event)
turnwire.adapters.openai_agents      listen(model, call)
turnwire.adapters.deepgram, twilio, vapi, retell    map their messages to events
"""

from __future__ import annotations

from turnwire.adapters.mapped import Hint, Mapped, deliver

__all__ = ["Hint", "Mapped", "deliver"]
