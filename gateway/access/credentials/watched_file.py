"""A small file that may be replaced while the gateway runs."""

from __future__ import annotations

import os
from pathlib import Path

_Stamp = tuple[int, int, int, int, int] | None


class WatchedFile:
    """A file that is read, and watched for changes. Follows links, because secrets are often mounted as links."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path = path
        self.mode = 0
        """The mode of the file that was last read, as in `st_mode`."""
        self._max_bytes = max_bytes
        self._stamp: _Stamp = None

    def read(self) -> bytes:
        """Return the file's content. Raises OSError, also if it has more than `max_bytes`."""
        self._stamp = self._look()  # before reading, so that a concurrent write is seen as a change
        with self.path.open("rb") as file:
            self.mode = os.fstat(file.fileno()).st_mode
            content = file.read(self._max_bytes + 1)
        if len(content) > self._max_bytes:
            raise OSError(27, f"it has more than {self._max_bytes} bytes", str(self.path))
        return content

    def changed(self) -> bool:
        """Return whether the file has changed, vanished or appeared since it was read or since the last call."""
        stamp = self._look()
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        return True

    def _look(self) -> _Stamp:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
