"""For PIPECAT_SETUP_FILES: publishes every call of a bot whose code knows nothing of Turnwire.

    PIPECAT_SETUP_FILES=$(turnwire path pipecat) TURNWIRE_URL=http://localhost:3000 python bot.py

TURNWIRE_SESSION_ID   the session of this process's call; without it a UUIDv7 for each, which is logged
TURNWIRE_LANGUAGE     the language of new sessions; `und` (undetermined) if not given
TURNWIRE_METADATA     a JSON object, the metadata of new sessions
TURNWIRE_TOKEN        for a gateway that asks for one
"""

from __future__ import annotations

import os
from typing import Any

import msgspec
from loguru import logger  # what Pipecat logs with: its users see it

from turnwire.adapters.pipecat import attach
from turnwire.adapters.session_ids import new_session_id

_given_ids: set[str] = set()
"""A session has one publisher: a second call of the process gets an id of its own."""


async def setup_pipeline_worker(worker: Any) -> None:
    """Called by Pipecat for each worker that it starts."""
    url = os.environ.get("TURNWIRE_URL")
    if not url:
        logger.warning("Turnwire: TURNWIRE_URL is not set, so this call is not published")
        return
    if worker.bridged:  # it speaks through the pipeline of another worker, which is told of all that is said
        return
    session_id = _session_id()
    token = os.environ.get("TURNWIRE_TOKEN")
    options: dict[str, Any] = {"token": token} if token else {}
    attach(
        worker,
        url,
        session_id,
        language=os.environ.get("TURNWIRE_LANGUAGE") or "und",
        metadata=_metadata(),
        **options,
    )
    logger.info(f"Turnwire: this call is session {session_id} of {url}")


def _session_id() -> str:
    given = os.environ.get("TURNWIRE_SESSION_ID")
    if given and given not in _given_ids:
        _given_ids.add(given)
        return given
    if given:
        logger.warning("Turnwire: TURNWIRE_SESSION_ID names one call; another call of this process gets its own id")
    return new_session_id()


def _metadata() -> dict[str, Any]:
    text = os.environ.get("TURNWIRE_METADATA")
    if not text:
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as error:
        logger.error(f"Turnwire: TURNWIRE_METADATA is not a JSON object and is left out: {error}")
        return {}
