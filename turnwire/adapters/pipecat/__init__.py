"""Pipecat: one line in a bot's code, or none with PIPECAT_SETUP_FILES (`turnwire path pipecat`).

from turnwire.adapters.pipecat import attach

attach(worker, "http://localhost:3000", session_id=call_sid)
"""

from __future__ import annotations

from typing import Any

from turnwire.adapters.gateway_url import gateway_url
from turnwire.adapters.session_ids import new_session_id
from turnwire.adapters.storable import metadata_of
from turnwire.protocol.messages import JsonObject
from turnwire.publisher import Publisher


def attach(
    worker: Any,
    url: str | None = None,
    session_id: str | None = None,
    *,
    language: str = "und",
    metadata: JsonObject | None = None,
    commands: bool = True,
    **options: Any,
) -> Publisher:
    """Publish the call of a `PipelineWorker`, from its start to its end. Call this before the worker runs.

    The pipeline never waits for the gateway. The end of the worker does, for a few seconds at most. `url` defaults to
    TURNWIRE_URL of the environment. `session_id` is the call's id at your vendor, by default a UUIDv7. With
    `commands`, supervisors may whisper to the model, speak through the bot and end the call. `options` are those of
    `Publisher`. Return the publisher, for events of your own: `call.post(…)`. Raises ValueError without a URL.
    """
    from turnwire.adapters.pipecat.observer import add_observers  # noqa: PLC0415 -- it imports Pipecat

    facts = metadata_of({"framework": "pipecat", **(metadata or {})})
    call = Publisher(gateway_url(url), session_id or new_session_id(), language, metadata=facts, wait=False, **options)
    add_observers(worker, call, commands=commands)
    return call
