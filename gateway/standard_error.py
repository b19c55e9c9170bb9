"""Standard error, written to by a thread: the event loop waits for nobody who reads the log, nor for a slow disk.

A reader may stop, as a log collector that hangs does. Then lines wait, up to a bound, and further ones are lost. Once
it reads again, the log says how many.
"""

from __future__ import annotations

import logging
import os
import select
import sys
import threading
from functools import cache
from queue import Empty, SimpleQueue
from typing import Final

MOST_BYTES: Final = 8 * 1024 * 1024
"""Maximum bytes of lines that wait: some 40,000 of the audit."""
_BATCH_BYTES: Final = 64 * 1024
FLUSH_SECONDS: Final = 0.5
"""How long the end of the process waits for what is not yet written."""

_log = logging.getLogger("turnwire.log")


class LineWriter:
    """Writes lines to a file descriptor, in a thread. Any thread may add lines."""

    def __init__(self, descriptor: int, most_bytes: int = MOST_BYTES) -> None:
        self._descriptor = descriptor
        self._most_bytes = most_bytes
        self._lines: SimpleQueue[bytes | threading.Event] = SimpleQueue()
        """Lines, and events to set once everything before them has been written."""
        self._adding = threading.Lock()
        self._added = self._lost = 0
        """Bytes and lines. Changed under the lock."""
        self._done = self._reported = 0
        """The same. Changed by the thread of this object only."""
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def add(self, line: str) -> None:
        """Write this line soon, or count it as lost if too many wait. Never blocks."""
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        with self._adding:
            if self._added - self._done + len(data) > self._most_bytes:
                self._lost += 1
                return
            self._added += len(data)
            self._lines.put(data)

    def flush(self, seconds: float) -> bool:
        """Wait until all lines so far have been written, but at most this long. Return whether they have."""
        written = threading.Event()
        self._lines.put(written)
        return written.wait(seconds)

    def _run(self) -> None:
        while True:
            batch, flushed = self._take()
            _write(self._descriptor, batch)
            self._done += len(batch)
            if (lost := self._lost - self._reported) > 0:
                self._reported += lost
                _log.warning("%d lines of the log were lost, because nobody read it", lost)
            if flushed is not None:
                flushed.set()

    def _take(self) -> tuple[bytes, threading.Event | None]:
        """Wait for lines. Return some that can be written together, and the event that follows them, if any."""
        batch = bytearray()
        following = self._lines.get()
        while isinstance(following, bytes):
            batch += following
            if len(batch) >= _BATCH_BYTES:
                return bytes(batch), None
            try:
                following = self._lines.get_nowait()
            except Empty:
                return bytes(batch), None
        return bytes(batch), following


def _write(descriptor: int, data: bytes) -> None:
    """Write all of it, however long that takes. What cannot be written, as to a full disk, is left out."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:  # another process may have made it non-blocking, because they share it
            ready = select.poll()
            ready.register(descriptor, select.POLLOUT)
            ready.poll()
        except OSError:
            return


class _Handler(logging.Handler):
    def __init__(self, writer: LineWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._writer.add(self.format(record))
        except Exception:  # as in every handler: a record that cannot be formatted fails nobody's work
            self.handleError(record)

    def flush(self) -> None:
        """Called by `logging` at the end of the process."""
        self._writer.flush(FLUSH_SECONDS)


def log_handler() -> logging.Handler:
    """Return a new handler that writes to standard error. All of them keep one order."""
    try:
        descriptor = sys.stderr.fileno()
    except (OSError, AttributeError):  # replaced by an object in memory, or missing
        return logging.StreamHandler(sys.stderr)
    return _Handler(_writer(descriptor))


@cache
def _writer(descriptor: int) -> LineWriter:
    return LineWriter(descriptor)
