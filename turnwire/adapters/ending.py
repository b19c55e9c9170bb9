"""How an adapter begins and ends a session: whatever the gateway does, the call goes on and its end is not held up."""

from __future__ import annotations

import logging

from turnwire.adapters.target import CallTarget
from turnwire.errors import ClientError
from turnwire.protocol.messages import FinalStatus

log = logging.getLogger("turnwire")


def begin(publisher: CallTarget) -> None:
    """Start the publisher. What keeps it from starting is told, and costs the call only its events."""
    try:
        publisher.start()
    except ClientError:
        log.exception("%s is not published", publisher.session_id)


async def end(publisher: CallTarget, status: FinalStatus, reason: str) -> None:
    """Ask for the end of the session and leave, which waits for it, `drain_timeout` of the publisher at most."""
    try:
        await publisher.complete(status, reason, timeout=0)
    except TimeoutError:
        pass  # it is asked for
    except ClientError as error:
        log.warning("%s was not ended: %s", publisher.session_id, error)
    await publisher.aclose()
