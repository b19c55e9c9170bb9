"""The file for PIPECAT_SETUP_FILES: publish every call of a bot, without a change to its code.

    PIPECAT_SETUP_FILES=$(turnwire path pipecat) TURNWIRE_URL=http://localhost:3000 python bot.py

TURNWIRE_SESSION_ID   the session of this process's call; by default a UUIDv7 for each call, which is logged
TURNWIRE_LANGUAGE     the language of new sessions; by default `und` (undetermined)
TURNWIRE_METADATA     the metadata of new sessions, a JSON object
TURNWIRE_TOKEN        the token, if the gateway requires one
"""

from __future__ import annotations

import os
from typing import Any

import msgspec
from loguru import logger  # Pipecat's logger, whose output its users see

from turnwire.adapters.pipecat import attach
from turnwire.adapters.session_ids import new_session_id

_given_ids: set[str] = set()
"""The ids from the environment in use: a session has one publisher, so a second call of the process gets another id."""


async def setup_pipeline_worker(worker: Any) -> None:
    """Publish a worker's call. Pipecat calls this for each worker that it starts."""
    url = os.environ.get("TURNWIRE_URL")
    if not url:
        logger.warning("Turnwire: TURNWIRE_URL is not set, so this call is not published")
        return
    if worker.bridged:  # it speaks through the pipeline of another worker, which publishes everything
        return
    session_id = _session_id()
    token = os.environ.get("TURNWIRE_TOKEN")
    options: dict[str, Any] = {"token": token} if token else {}
    language = os.environ.get("TURNWIRE_LANGUAGE") or "und"
    try:
        attach(worker, url, session_id, language=language, metadata=_metadata(), **options)
    except ValueError as error:  # a variable is wrong: that is no reason to refuse the call
        logger.error(f"Turnwire: this call is not published: {error}")
        return
    logger.info(f"Turnwire: this call is session {session_id} of {url}")


def _session_id() -> str:
    given = os.environ.get("TURNWIRE_SESSION_ID")
    if given and given not in _given_ids:
        _given_ids.add(given)
        return given
    if given:
        logger.warning("Turnwire: TURNWIRE_SESSION_ID names one call; another call of this process gets a new id")
    return new_session_id()


def _metadata() -> dict[str, Any]:
    text = os.environ.get("TURNWIRE_METADATA")
    if not text:
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as error:
        logger.error(f"Turnwire: ignoring TURNWIRE_METADATA, which is not a JSON object: {error}")
        return {}
