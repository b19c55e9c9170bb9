"""A small file that others may replace while we run."""

from __future__ import annotations

import os
from pathlib import Path

_Stamp = tuple[int, int, int, int, int] | None


class WatchedFile:
    """Reads a file, and tells whether it is another one since. Follows links: secrets are often mounted as such."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path = path
        self.mode = 0
        """The mode of what was last read, as `stat` gives it."""
        self._max_bytes = max_bytes
        self._stamp: _Stamp = None

    def read(self) -> bytes:
        """All of it. Raises OSError, also when it is over the bound."""
        self._stamp = self._look()  # first: what is written meanwhile is seen as a change
        with self.path.open("rb") as file:
            self.mode = os.fstat(file.fileno()).st_mode
            content = file.read(self._max_bytes + 1)
        if len(content) > self._max_bytes:
            raise OSError(27, f"it has more than {self._max_bytes} bytes", str(self.path))
        return content

    def changed(self) -> bool:
        """Whether it has changed, or gone, or come, since it was read or this was asked."""
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
