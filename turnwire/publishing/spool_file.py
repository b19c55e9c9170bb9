"""A file that keeps a publisher's unanswered events beyond its process. `spool_records` defines its bytes.

Records are only ever appended, each by one write. What a killed process has written stays, because the system has it. A
reader stops at a record that is cut short. Writes are made directly on the event loop: each takes microseconds, because
nothing waits for the disk. When all events have left, the file is truncated to its beginning. A file that never empties
is replaced by a smaller one from time to time.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from turnwire.errors import SpoolError
from turnwire.protocol.salvage import UNDECODABLE
from turnwire.publishing.spool_records import (
    Recovered,
    SpoolOwner,
    beginning,
    event_record,
    left_record,
    recover,
    size_of,
)

log = logging.getLogger("turnwire")

SLACK = 256 * 1024
"""The most useless bytes of a file without events before it is truncated."""
REWRITE_SLACK = 16 * 1024 * 1024
"""The most useless bytes of a file with events before it is replaced. Large, because replacing takes milliseconds."""
REWRITE_SHARE = 8
"""The least ratio of useless to useful bytes for replacing, which bounds the cost for each event."""


class SpoolFile:
    """The stored events of one owner, in the order added. They leave from the front. One process has the file open.

    All methods but `left` raise SpoolError if the disk fails, and then leave the file's content as it was.
    """

    def __init__(
        self, path: Path, owner: SpoolOwner, *, slack: int = SLACK, rewrite_slack: int = REWRITE_SLACK
    ) -> None:
        self.path = path
        self._owner = owner
        self._slack = slack
        self._rewrite_slack = rewrite_slack
        self._file = -1
        self._end = 0
        self.live = 0
        """The bytes of the events that have not left."""
        self._left = 0
        self._torn = False
        """Whether a failed write may have left bytes after the end."""
        self._misses_answers = False
        """Whether the last answer could not be recorded, which is logged once."""

    def open(self) -> Recovered:
        """Lock the file, creating it if necessary, and read it. Only `replace` writes its owner.

        Copy damaged parts to a file beside it. The caller must then replace the file.
        """
        try:
            self._file = _locked(self.path)
            found = recover(_read(self._file))
            if found.damaged:
                self._keep_aside(found.damaged)
        except (OSError, *UNDECODABLE) as error:
            self.release()
            of_disk = isinstance(error, OSError) and error.errno != errno.EBUSY
            text = f"the spool {str(self.path)!r} cannot be used: {_reason(error)}"
            raise SpoolError(text, of_disk=of_disk) from None
        except BaseException:
            self.release()
            raise
        size = os.fstat(self._file).st_size
        if size > found.size and not found.damaged:
            log.warning("spool %r: ignoring its last %d bytes, which are cut short", str(self.path), size - found.size)
        self._end, self._left, self._torn = found.size, found.left, True
        self.live = sum(map(size_of, found.events))
        return found

    def _keep_aside(self, damaged: list[bytes]) -> None:
        """Append the damaged parts to a file beside the spool. Raises OSError."""
        beside = self.path.with_name(self.path.name + ".damaged")
        file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            for part in damaged:
                _write(file, part, os.fstat(file).st_size)
        finally:
            os.close(file)
        size = sum(map(len, damaged))
        log.warning("spool %r: moved %d damaged bytes to %r", str(self.path), size, str(beside))

    def add(self, event: bytes) -> None:
        """Store an event, so that it outlives this process."""
        try:
            self._append(event_record(event))
        except OSError as error:
            raise self._disk_fails("written", error) from None
        self.live += size_of(event)

    def left(self, events: Iterable[bytes]) -> None:
        """Record that these events, the first ones, have left. A failing disk is no error: they are sent once more."""
        for event in events:
            self._left += 1
            self.live -= size_of(event)
        try:
            self._append(left_record(self._left))
            empty = len(beginning(self._owner))
            if self.live == 0 and self._end - empty > self._slack:
                os.ftruncate(self._file, empty)
                self._end, self._left = empty, 0
            self._misses_answers = False
        except OSError as error:
            if not self._misses_answers:
                log.warning("spool %r: answers cannot be recorded: %s", str(self.path), _reason(error))
            self._misses_answers = True

    @property
    def is_wasteful(self) -> bool:
        """Whether enough of its bytes are useless that it should be replaced."""
        return self._end - self.live > max(self._rewrite_slack, REWRITE_SHARE * self.live)

    def replace(self, events: Iterable[bytes]) -> None:
        """Replace the file's content by these events, for this owner. A crash leaves either the old file or the new."""
        beside = self.path.with_name(self.path.name + ".new")
        file = -1
        try:
            file = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            records = [event_record(event) for event in events]
            end = _write(file, beginning(self._owner) + b"".join(records), 0)
            os.rename(beside, self.path)
        except OSError as error:
            if file >= 0:
                os.close(file)
                with suppress(OSError):
                    beside.unlink()
            raise self._disk_fails("replaced", error) from None
        os.close(self._file)
        self._file, self._end, self._left, self._torn = file, end, 0, False
        self.live = sum(map(len, records))

    def release(self) -> None:
        """Unlock and close the file. Remove it if it holds no event. Safe to call at any time, and to repeat."""
        if self._file < 0:
            return
        try:
            if self.live == 0 and (self._end > 0 or os.fstat(self._file).st_size == 0):
                self.path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("spool %r is empty but cannot be removed: %s", str(self.path), _reason(error))
        finally:
            os.close(self._file)
            self._file = -1

    def _disk_fails(self, what: str, error: OSError) -> SpoolError:
        return SpoolError(f"the spool {str(self.path)!r} cannot be {what}: {_reason(error)}", of_disk=True)

    def _append(self, record: bytes) -> None:
        if self._torn:
            os.ftruncate(self._file, self._end)
        self._torn = True
        self._end = _write(self._file, record, self._end)
        self._torn = False


def _locked(path: Path) -> int:
    """Open and lock the file, and return its descriptor. Raises OSError."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _stands_at(file, path):
                return file
        except BlockingIOError:
            os.close(file)
            raise OSError(errno.EBUSY, "another publisher is using it") from None
        except BaseException:
            os.close(file)
            raise
        os.close(file)  # it was replaced or removed between opening and locking


def _stands_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _read(file: int) -> bytes:
    with open(file, "rb", closefd=False) as whole:
        return whole.read()


def _write(file: int, data: bytes, position: int) -> int:
    """Write all the data at a position, and return its end. Raises OSError."""
    written = os.pwrite(file, data, position)
    while written < len(data):  # a signal interrupted the write, or the disk is full, as the next write will say
        written += os.pwrite(file, data[written:], position + written)
    return position + written


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[:1].lower() + error.strerror[1:]
    return str(error)
