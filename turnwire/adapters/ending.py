"""Starting and ending an adapter's session. Whatever the gateway does, the call goes on and its end is not delayed."""

from __future__ import annotations

import logging

from turnwire.adapters.target import CallTarget
from turnwire.errors import ClientError
from turnwire.protocol.messages import FinalStatus

log = logging.getLogger("turnwire")


def begin(publisher: CallTarget) -> None:
    """Start the publisher. If it cannot start, log why: the call goes on, but its events are lost."""
    try:
        publisher.start()
    except ClientError as error:
        log.error("the call %s is not published: %s", publisher.session_id, error)


async def end(publisher: CallTarget, status: FinalStatus, reason: str) -> None:
    """Request the end of the session and leave, which waits for the end for the publisher's `drain_timeout` at most."""
    try:
        await publisher.complete(status, reason, timeout=0)
    except TimeoutError:
        pass  # the end is requested, and leaving waits for it
    except ClientError as error:
        log.warning("%s was not ended: %s", publisher.session_id, error)
    await publisher.aclose()
