"""`turnwire verify --archived`: check the archive byte by byte against manifests, digests and the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from turnwire.client import Client
from turnwire.commands.console import check_gateway, output, printable, progress_bar, run, times
from turnwire.commands.verify import CONCURRENCY, MOST_SHOWN
from turnwire.errors import ClientError
from turnwire.protocol.messages import Session

Check = Callable[[str, int], Awaitable[list[str]]]
"""(sessionId, number of events) → the faults of the session's archive, as text for people."""


def verify_archived(url: str, check: Check, token: str | None) -> bool:
    """Check every archived session, and print the findings. Return whether there was no fault."""
    console = output()
    sessions, faults = run(find_faults(url, check, token))
    for line in faults[:MOST_SHOWN]:
        console.print(printable(line))
    if len(faults) > MOST_SHOWN:
        console.print(f"and {times(len(faults) - MOST_SHOWN, 'more fault')}")
    console.print(f"{times(sessions, 'archived session')}: {times(len(faults), 'fault') if faults else 'no fault'}")
    return not faults


async def find_faults(url: str, check: Check, token: str | None = None) -> tuple[int, list[str]]:
    """Return the number of archived sessions, and their faults."""
    async with Client(url, token=token) as client:
        await check_gateway(client)
        archived = [(each.session_id, each.last_seq) async for each in client.list() if _is_archived(each)]
        faults: list[str] = []
        with progress_bar(output(), transient=True) as progress:
            bar = progress.add_task("archived sessions read", total=len(archived))
            for start in range(0, len(archived), CONCURRENCY):
                chunk = archived[start : start + CONCURRENCY]
                for found in await asyncio.gather(*(_check_one(client, check, *each) for each in chunk)):
                    faults += found
                progress.advance(bar, len(chunk))
    return len(archived), faults


def _is_archived(session: Session) -> bool:
    return session.archived is True


async def _check_one(client: Client, check: Check, session_id: str, events: int) -> list[str]:
    """Check one session. Ask the gateway for an event too, because it then compares the manifest with the digest in its
    database."""
    faults = await check(session_id, events)
    if events and not faults:
        try:
            await client.events(session_id, after_seq=events - 1, limit=1)
        except ClientError as error:
            faults = [f"the gateway cannot read it: {error}"]
    return [f"{session_id}: {fault}" for fault in faults]
