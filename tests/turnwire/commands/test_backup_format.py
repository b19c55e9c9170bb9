"""The file of a backup: it says itself whether it is whole, and is completed after it was cut short."""

from __future__ import annotations

import gzip
import json
import os
from io import BytesIO
from pathlib import Path

import pytest
import typer

from turnwire.commands.moving import backup_writer
from turnwire.commands.moving.backup_file import BackupFile, check_whole
from turnwire.commands.moving.backup_format import BackupFault
from turnwire.commands.moving.backup_writer import BackupWriter

NOW, LATER = "2025-12-21T10:30:00.000Z", "2025-12-21T11:00:00.000Z"
END = b'{"end":{"sessions":3}}\n'


def line(number: int, size: int = 10) -> bytes:
    events = [{"eventId": f"e{n}", "payload": {"text": "x" * size}} for n in range(number)]
    head = {"at": {"cursor": f"c{number}", "count": number}, "sessionId": f"s{number}", "events": events}
    return json.dumps(head, separators=(",", ":")).encode() + b"\n"


LINES = [line(1), line(40, 5000), line(2)]


def written(path: Path, *chunks: bytes) -> Path:
    writer = BackupWriter.begin(path, NOW)
    for chunk in chunks:
        writer.take(chunk)
    assert writer.complete
    writer.finish()
    return path


async def sessions_in(path: Path, after: int = 0) -> bytes:
    backup = BackupFile.open(path)
    try:
        return b"".join([chunk async for chunk in backup.chunks(after)])
    finally:
        await backup.close()


@pytest.mark.parametrize("size", [1, 7, 1000, 10**6])
async def test_a_backup_has_the_lines_in_whatever_pieces_they_came(tmp_path: Path, size: int) -> None:
    text = b"".join(LINES) + END
    path = written(tmp_path / "backup", *(text[at : at + size] for at in range(0, len(text), size)))
    assert await sessions_in(path) == b"".join(LINES)
    assert await sessions_in(path, 2) == LINES[2]
    assert os.listdir(tmp_path) == ["backup"]
    begin, *sessions, end = [json.loads(each) for each in gzip.decompress(path.read_bytes()).splitlines()]
    assert begin == {"backup": 1, "begun_at": NOW}
    assert [each["sessionId"] for each in sessions] == ["s1", "s40", "s2"]
    assert (end["end"]["sessions"], end["end"]["events"]) == (3, 43)


def refusal(path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(typer.Exit) as exit_:
        BackupFile.open(path)
    assert exit_.value.exit_code == 1
    return capsys.readouterr().err


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.7, 0.999])
def test_a_backup_that_is_cut_short_is_refused(
    tmp_path: Path, share: float, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "backup", *LINES, END)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    said = refusal(path, capsys)
    assert "cannot be restored: it is cut short" in said
    assert "nothing has been changed" in said


def test_a_backup_of_which_any_byte_is_damaged_is_refused(tmp_path: Path) -> None:
    whole = written(tmp_path / "backup", LINES[0], END).read_bytes()
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 0b100
        try:
            check_whole(BytesIO(damaged), lambda _: None)
        except BackupFault:
            continue
        assert gzip.decompress(damaged) == gzip.decompress(whole)  # the time in a gzip header says nothing


def test_a_backup_with_other_lines_than_it_had_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "backup", *LINES, END)
    begin, *sessions, end = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    path.write_bytes(gzip.compress(b"".join([begin, *sessions[1:], end])))
    assert "its checksum is wrong" in refusal(path, capsys)
    path.write_bytes(gzip.compress(b"".join([begin.replace(b"1,", b"2,", 1), *sessions, end])))
    assert "from a newer Turnwire" in refusal(path, capsys)
    path.write_bytes(gzip.compress(b"no backup\n"))
    assert "it has a line that does not belong in a backup" in refusal(path, capsys)
    path.write_bytes(b"no backup\n")
    assert "it is damaged" in refusal(path, capsys)


def test_an_export_is_not_taken_for_a_damaged_backup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "calls.ndjson"
    path.write_bytes(b'{"sessionId":"s1"}\n')
    assert "not gzipped, as a backup is; `turnwire import` reads NDJSON" in refusal(path, capsys)


@pytest.mark.parametrize("lost", [0, 1, 300, 10**6])
async def test_a_stopped_backup_continues_after_its_last_whole_member(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: int
) -> None:
    monkeypatch.setattr(backup_writer, "_MEMBER", 100)
    path = tmp_path / "backup"
    stopped = BackupWriter.begin(path, NOW)
    stopped.take(LINES[0] + LINES[1] + LINES[2][:20])
    stopped._file.flush()
    part = path.with_name("backup.part")
    bytes_left = part.read_bytes()
    part.write_bytes(bytes_left[: max(90, len(bytes_left) - lost)])
    stopped._file.close()
    resumed = BackupWriter.go_on(path, LATER)
    assert resumed.begun_at == NOW
    left = {None: LINES, "c1": LINES[1:], "c40": LINES[2:]}[resumed.tally.cursor]
    resumed.take(b"".join(left) + END)
    resumed.finish()
    assert await sessions_in(path) == b"".join(LINES)


async def test_lines_after_the_last_whole_member_are_dropped_when_they_are_fetched_again(tmp_path: Path) -> None:
    path = tmp_path / "backup"
    writer = BackupWriter.begin(path, NOW)
    writer.take(LINES[0] + LINES[1][:100])
    writer.rewind()
    assert (writer.tally.sessions, writer.tally.cursor) == (0, None)
    writer.take(b"".join(LINES) + END)
    writer.finish()
    assert await sessions_in(path) == b"".join(LINES)


def test_a_file_that_is_not_a_backup_cannot_be_resumed(tmp_path: Path) -> None:
    (tmp_path / "backup.part").write_bytes(b"something else")
    with pytest.raises(BackupFault, match="not the beginning of a backup"):
        BackupWriter.go_on(tmp_path / "backup", LATER)
    assert (tmp_path / "backup.part").read_bytes() == b"something else"


async def test_a_backup_of_which_nothing_is_there_yet_begins_anew(tmp_path: Path) -> None:
    """A command that is killed as it begins leaves an empty file, and --resume must not ask for its removal."""
    path = tmp_path / "backup"
    path.with_name("backup.part").touch()
    resumed = BackupWriter.go_on(path, LATER)
    assert resumed.begun_at == LATER
    resumed.take(b"".join(LINES) + END)
    resumed.finish()
    assert await sessions_in(path) == b"".join(LINES)


async def test_lines_fetched_by_a_killed_command_are_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup_writer, "_MEMBER", 100)
    killed = BackupWriter.begin(tmp_path / "backup", NOW)
    killed.take(LINES[1])
    (tmp_path / "copy.part").write_bytes((tmp_path / "backup.part").read_bytes())
    resumed = BackupWriter.go_on(tmp_path / "copy", LATER)
    assert (resumed.begun_at, resumed.tally.cursor) == (NOW, "c40")
    for each in (killed, resumed):
        each.close()


async def test_two_commands_never_write_one_backup_at_once(tmp_path: Path) -> None:
    """As when cron starts a backup while yesterday's is still running."""
    path = tmp_path / "backup"
    first = BackupWriter.begin(path, NOW)
    for begin in (BackupWriter.begin, BackupWriter.go_on):
        with pytest.raises(BackupFault, match="another `turnwire backup` is writing it"):
            begin(path, LATER)
    first.take(b"".join(LINES) + END)
    first.finish()
    second = BackupWriter.begin(path, LATER)
    second.take(END)
    assert await sessions_in(path) == b"".join(LINES)
    second.close()
