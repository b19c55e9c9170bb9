"""LiveKit Agents: one line before `session.start`.

from turnwire.adapters.livekit import bind

bind(session, ctx, "http://localhost:3000")
await session.start(agent=Assistant(), room=ctx.room)
"""

from __future__ import annotations

from typing import Any

from turnwire.adapters.gateway_url import gateway_url
from turnwire.adapters.livekit.binding import bind_to
from turnwire.adapters.storable import metadata_of
from turnwire.protocol.messages import JsonObject
from turnwire.publisher import Publisher


def bind(
    session: Any,
    ctx: Any,
    url: str | None = None,
    *,
    session_id: str | None = None,
    language: str = "und",
    metadata: JsonObject | None = None,
    commands: bool = True,
    **options: Any,
) -> Publisher:
    """Publish what an `AgentSession` does, from now to the end of the job. `ctx` is the JobContext.

    The session never waits for the gateway. The shutdown of the job does, for a few seconds at most. `url` defaults to
    TURNWIRE_URL of the environment, `session_id` to the id of the job. With `commands`, supervisors may whisper to the
    agent, speak through it and end the job. `options` are those of `Publisher`. Return the publisher, for events of
    your own: `call.post(…)`. Raises ValueError without a URL.
    """
    facts = {"framework": "livekit", "room": ctx.job.room.name, "agent": ctx.job.agent_name or None, **(metadata or {})}
    known = metadata_of({name: value for name, value in facts.items() if value is not None})
    call = Publisher(gateway_url(url), session_id or ctx.job.id, language, metadata=known, wait=False, **options)
    bind_to(session, ctx, call, commands=commands)
    return call
