"""`turnwire restore`: checks a backup, adds what the gateway lacks of it, then makes the gateway compare all calls."""

from __future__ import annotations

from pathlib import Path

from rich.progress import Progress

from turnwire.client import Client
from turnwire.commands.console import check_gateway, output, printable, progress_bar, run, times
from turnwire.commands.moving.backup_file import BackupFile
from turnwire.commands.moving.sending import Pass, shown
from turnwire.rest.requests import Rest


def restore(url: str, token: str | None, path: Path) -> bool:
    """Restore the backup and print a report. Return whether everything in it is stored."""
    return run(_restore(url, token, path))


async def _restore(url: str, token: str | None, path: Path) -> bool:
    console = output()
    with progress_bar(console) as progress:
        backup = _checked(path, progress)
        async with Client(url, token=token) as client:
            await check_gateway(client)
        rest = Rest(url, token, None, timeout=60.0)
        total = backup.end.sessions
        try:
            sent = await Pass(rest, backup, progress, restore=True, verify=False, total=total).run()
            checked = await Pass(rest, backup, progress, restore=True, verify=True, total=total).run(sent.bad)
        finally:
            await rest.close()
            await backup.close()
    for text in _report(backup, sent, checked):
        console.print(printable(text))
    return not sent.bad and not checked.bad


def _checked(path: Path, progress: Progress) -> BackupFile:
    size = path.stat().st_size if path.is_file() else None
    bar = progress.add_task("bytes checked", total=size)
    return BackupFile.open(path, lambda place: progress.update(bar, completed=place))


def _report(backup: BackupFile, sent: Pass, checked: Pass) -> list[str]:
    counts = {"restored": "imported", "stored already": "unchanged", "continued since": "ahead"}
    counts |= {"different": "different", "refused": "refused"}
    said = ", ".join(f"{sent.results[result]:,} {name}" for name, result in counts.items())
    same = checked.results["unchanged"] + checked.results["ahead"]
    return [
        f"{backup.name}, begun at {backup.begin.begun_at}: {said}",
        f"compared: {times(same, 'call')} with {times(checked.events, 'event')} "
        f"{'is' if same == 1 else 'are'} stored as in the backup",
        *shown(sent, checked),
    ]
