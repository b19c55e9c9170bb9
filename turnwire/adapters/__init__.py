"""From what voice frameworks and vendors tell to Turnwire events. Nothing here imports a framework before it is used.

turnwire.adapters.pipecat            attach(worker, url)
turnwire.adapters.livekit            bind(session, ctx, url)
turnwire.adapters.openai_realtime    RealtimeMapper().events(server_event)
turnwire.adapters.openai_agents      listen(model, call)
turnwire.adapters.deepgram, twilio, vapi, retell    from their messages to events
"""

from __future__ import annotations

from turnwire.adapters.mapped import Hint, Mapped, deliver

__all__ = ["Hint", "Mapped", "deliver"]
