"""`turnwire resend`: send the events left in the spools of calls that never came back."""

from __future__ import annotations

import asyncio
from pathlib import Path

from turnwire.commands.console import fail, output, printable, run, times
from turnwire.connecting.tokens import Token
from turnwire.errors import ClientError, SpoolError
from turnwire.publisher import Publisher
from turnwire.publishing.spooled_outbox import SpooledCall, read_spool

AT_ONCE = 20
"""The number of calls sent concurrently."""
PATIENCE = 10.0
"""Seconds to wait for a gateway."""


def resend(path: Path, token: Token | None) -> bool:
    """Send the events left in a spool, or in all spools of a folder. Return whether all of them are stored now."""
    if not path.exists():
        raise fail(f"there is no {str(path)!r}")
    calls = _calls(path)
    if not calls:
        output().print("nothing is left to send")
    return all(run(_resend_all(calls, token)))


def _calls(path: Path) -> list[tuple[Path, SpooledCall]]:
    """Return the spools that hold events or damaged bytes. Ignore other files of a folder."""
    found = []
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        try:
            call = read_spool(file) if file.is_file() else None
        except SpoolError as error:
            if not path.is_dir():
                raise fail(str(error)) from None
            continue
        if call is not None and (call.events or call.damaged):
            found.append((file, call))
    return found


async def _resend_all(calls: list[tuple[Path, SpooledCall]], token: Token | None) -> list[bool]:
    at_once = asyncio.Semaphore(AT_ONCE)

    async def one(path: Path, call: SpooledCall) -> bool:
        async with at_once:
            problem = await _resend(path, call, token)
        what = f"{path.name}: {times(len(call.events), 'event')} of {call.session_id!r}"
        output().print(printable(f"{what}: {'stored' if problem is None else f'not all stored: {problem}'}"))
        return problem is None

    return await asyncio.gather(*(one(path, call) for path, call in calls))


async def _resend(path: Path, call: SpooledCall, token: Token | None) -> str | None:
    """Send the events of a spool. Return why not all of them are stored, or None."""
    try:
        async with Publisher(
            call.gateway,
            call.session_id,
            call.language,
            metadata=call.metadata,
            token=token,
            spool=path,
            connect_timeout=PATIENCE,
            give_up_after=PATIENCE,
        ) as publisher:
            await publisher.flush()
    except ClientError as error:
        return str(error)
    return None
