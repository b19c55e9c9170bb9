"""`turnwire backup`: writes all sessions of a running gateway to a file, and survives any trouble on the way."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path

from rich.progress import Progress

from turnwire.client import Client
from turnwire.commands.console import check_gateway, fail, output, printable, progress_bar, run, times
from turnwire.commands.moving.backup_format import BackupFault
from turnwire.commands.moving.backup_writer import BackupWriter
from turnwire.commands.moving.sending import GIVE_UP_AFTER
from turnwire.errors import Unreachable
from turnwire.protocol.times import format_time
from turnwire.rest.requests import Rest

_LONGEST_PAUSE = 5.0


def backup(url: str, token: str | None, path: Path, *, resume: bool) -> None:
    """Write the backup and print what it contains. Exits if the backup cannot be written."""
    run(_backup(url, token, path, resume=resume))


async def _backup(url: str, token: str | None, path: Path, *, resume: bool) -> None:
    async with Client(url, token=token) as client:
        await check_gateway(client)
    console, rest = output(), Rest(url, token, None, timeout=60.0)
    try:
        writer = (BackupWriter.go_on if resume else BackupWriter.begin)(path, format_time(datetime.now(UTC)))
        try:
            with progress_bar(console) as progress:
                await _Reading(rest, writer, progress).run()
            size = writer.finish()
        finally:
            writer.close()
    except BackupFault as fault:
        raise fail(f"{path}.part cannot be completed: {fault}") from None
    except OSError as error:
        raise fail(f"cannot write {path}: {error.strerror}") from None
    finally:
        await rest.close()
    tally = writer.tally
    found = f"{times(tally.sessions - tally.unreadable, 'session')} with {times(tally.events, 'event')}"
    console.print(printable(f"{path}: {found} in {size:,} bytes; everything acked before {writer.begun_at} is in it"))
    if tally.unreadable:
        raise fail(
            f"not in it: {times(tally.unreadable, 'archived session')} whose archive is damaged; the gateway's log, "
            "and turnwire verify --archived, name them"
        )


class _Reading:
    """The gateway's answers, until they are complete. After trouble, reading continues after the last whole session."""

    def __init__(self, rest: Rest, writer: BackupWriter, progress: Progress) -> None:
        self._rest = rest
        self._writer = writer
        self._progress = progress
        self._bar = progress.add_task("sessions read", total=None)

    async def run(self) -> None:
        """Read until the backup is complete. Raises Unreachable if the gateway stays away."""
        loop = asyncio.get_running_loop()
        pause, heard = 0.1, loop.time()
        while not self._writer.complete:
            before = self._writer.tally.sessions
            try:
                await self._read()
                continue
            except Unreachable as error:
                self._writer.rewind()
                if self._writer.tally.sessions > before:
                    pause, heard = 0.1, loop.time()
                if loop.time() - heard > GIVE_UP_AFTER:
                    raise Unreachable(f"{error}; run it again with --resume to continue") from None
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, 2 * pause)

    async def _read(self) -> None:
        cursor = self._writer.tally.cursor
        url = self._rest.address.http("backup", query=[] if cursor is None else [("cursor", cursor)])
        async with aclosing(self._rest.pieces(url)) as pieces:
            async for piece in pieces:
                self._writer.take(piece)
                self._progress.update(self._bar, completed=self._writer.tally.sessions)
        if not self._writer.complete:
            raise Unreachable(f"{self._rest.address.origin} broke off the backup")
