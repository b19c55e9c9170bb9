"""The folder of an embedded database: used by one process at a time, and never left half initialized."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from pathlib import Path
from typing import Final

import msgspec

from turnwire.store.embedded.scram import DatabaseUser

_LOG_BYTES: Final = 4 * 1024 * 1024
_TEN_YEARS: Final = 315_360_000
SETTINGS: Final = f"""\
# Written by each start.
[oplog]
retention_seconds = {_TEN_YEARS}
"""
"""Keep the server from removing entries of its journal of changes, which nobody reads, once they are an hour old. It
would remove those of a busy hour all at once, and serve nobody for 17 µs for each. It keeps 100,000 anyway."""


class DataDirectory:
    """The folder of an embedded database: its paths, its lock, and the mark of an unfinished database.

    A database that is killed while it creates its tables can never be opened again. Until it is ready for the first
    time, a file marks it as unfinished. Such a database cannot hold any data: the next start replaces it.
    """

    def __init__(self, path: Path, log_file: Path | None = None) -> None:
        self.path = path.absolute()
        self.database = self.path / "db"
        self.config_file = self.path / "database.toml"
        self.log_file = log_file or self.path / "database.log"
        self._unfinished = self.path / "db.unfinished"
        self._credentials = self.path / "database.credentials"
        self._lock: int | None = None
        self._log_start = 0

    def take(self) -> bool:
        """Create the folder if necessary, and lock it. Return False if another process holds it. Raises OSError."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._lock = lock
        self.config_file.write_text(SETTINGS)
        return True

    def release(self) -> None:
        """Unlock the folder. The kernel does the same when the process dies. Safe to repeat."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def has_database(self) -> bool:
        """Whether there is a database that has once been ready."""
        return self.database.exists() and not self._unfinished.exists()

    def begin(self) -> bool:
        """Remove an unfinished database. Return whether the database is new: then call `finish` once it is ready.

        Requires the lock. Raises OSError.
        """
        if self._unfinished.exists():
            shutil.rmtree(self.database, ignore_errors=True)
        elif self.database.exists():
            return False
        self._unfinished.touch()
        self._flush()
        self.database.mkdir(mode=0o700)
        return True

    def finish(self) -> None:
        """Mark the database as ready, so that it is kept from now on."""
        self._unfinished.unlink()
        self._flush()

    def credentials(self) -> DatabaseUser | None:
        """Return the user that the database requires; None if it has none, as in older versions. Raises OSError."""
        try:
            return msgspec.json.decode(self._credentials.read_bytes(), type=DatabaseUser)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError:
            raise OSError(errno.EINVAL, f"{self._credentials.name} does not hold what was written to it") from None

    def keep_credentials(self, credentials: DatabaseUser) -> None:
        """Store the user that the database requires from now on, readable by the owner only. Raises OSError."""
        new = self._credentials.with_suffix(".new")
        new.unlink(missing_ok=True)
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(file, msgspec.json.encode(credentials) + b"\n")
            os.fsync(file)
        finally:
            os.close(file)
        new.replace(self._credentials)
        self._flush()

    def open_log(self) -> int:
        """Open the log for appending, after moving a long one aside. Return its file descriptor."""
        if self.log_file.exists() and self.log_file.stat().st_size > _LOG_BYTES:
            self.log_file.replace(self.log_file.with_suffix(".old.log"))
        log = os.open(self.log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._log_start = os.fstat(log).st_size
        return log

    def log_tail(self) -> str:
        """Return the end of what was logged since `open_log`, at most 8 KiB."""
        with self.log_file.open("rb") as log:
            log.seek(self._log_start)
            return log.read()[-8192:].decode(errors="replace")

    def _flush(self) -> None:
        """Make the folder's entries durable."""
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
