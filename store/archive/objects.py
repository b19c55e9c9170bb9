"""Object stores through `obstore`: files, S3, Google Cloud Storage or Azure. Names no types of `obstore`, which is
optional."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import unquote, urlsplit

from turnwire.protocol.errors import StorageUnavailable
from turnwire.store.archive.reasons import reason_of

SCHEMES: Final = ("file", "s3", "gs", "az")
INSTALL: Final = "it needs obstore and zstandard; install them with: pip install 'turnwire[archive]'"
_THREADS: Final = 2
_PART_BYTES: Final = 8 * 1024 * 1024
"""Size in bytes up to which an object is sent in one request. Larger ones are sent in parts of this size."""
_RETRY: Final[dict[str, Any]] = {"max_retries": 2, "retry_timeout": timedelta(seconds=10)}
_CLIENT: Final = {"timeout": "30s", "connect_timeout": "5s"}
_ENDPOINTS: Final = (
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT",
    "AZURE_STORAGE_ENDPOINT",
    "AZURE_ENDPOINT",
    "GOOGLE_BASE_URL",
)
"""Environment variables of `obstore` that name a server. A server without TLS has to be allowed explicitly."""

T = TypeVar("T")
Bytes = bytes


class ArchiveUnavailable(StorageUnavailable):
    """The archive does not answer, or refuses. `reason` is for the operator; clients do not see it."""

    def __init__(self, reason: str) -> None:
        super().__init__("the archive is away; try again")
        self.reason = reason


class ArchiveMissing(ArchiveUnavailable):
    """The archive has no such object."""


class Objects:
    """Reads and writes objects by their keys. All methods raise ArchiveUnavailable.

    Requests run on threads of `obstore`. Long computations (`work`) run on two separate threads.
    """

    def __init__(self, store: Any, folder: Path | None = None) -> None:
        """`folder`: the local directory, if objects are files."""
        import obstore  # noqa: PLC0415 -- an extra

        self._obstore: Any = obstore
        self._store = store
        self._folder = folder
        self._errors = (obstore.exceptions.BaseError, OSError, ValueError)
        self._threads = ThreadPoolExecutor(_THREADS, "archive")

    async def work(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a slow function on a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    async def put(self, key: str, parts: AsyncIterator[bytes], may_finish: Callable[[], Any]) -> None:
        """Write an object. It appears as a whole or not at all.

        `may_finish` is awaited before the object appears, and raises an error if it must not appear any more.
        """
        with self._reported():
            writer = self._obstore.open_writer_async(self._store, key, buffer_size=_PART_BYTES, max_concurrency=1)
        async for part in parts:
            with self._reported():
                await writer.write(part)
        await may_finish()
        with self._reported():
            await writer.close()
        if self._folder is not None:
            with self._reported():
                await self.work(_make_durable, self._folder, key)

    async def read(self, key: str) -> Bytes:
        """Return the whole of a small object. Raises ArchiveMissing."""
        with self._reported():
            found = await self._obstore.get_async(self._store, key)
            return bytes(await found.bytes_async())

    async def read_range(self, key: str, offset: int, length: int) -> Bytes:
        """Return a part of an object, shorter at the object's end. Raises ArchiveMissing."""
        with self._reported():
            return bytes(await self._obstore.get_range_async(self._store, key, start=offset, length=length))

    async def size(self, key: str) -> int:
        """Return the size of an object in bytes. Raises ArchiveMissing."""
        with self._reported():
            return int((await self._obstore.head_async(self._store, key))["size"])

    async def keys(self, folder: str) -> list[str]:
        """Return the keys of the objects in a folder."""
        found: list[str] = []
        with self._reported():
            async for chunk in self._obstore.list(self._store, folder):
                found += [each["path"] for each in chunk]
        return found

    async def delete(self, key: str) -> None:
        """Remove an object if it exists."""
        try:
            with self._reported():
                await self._obstore.delete_async(self._store, key)
        except ArchiveMissing:
            pass  # it is gone already

    async def tidy(self, folder: str) -> None:
        """Remove what a killed process has left of an unfinished object, and the folder if it is empty.

        Object stores do this themselves, by a lifecycle rule of the bucket.
        """
        if self._folder is not None:
            with self._reported():
                await self.work(_tidy, self._folder / folder)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    @contextmanager
    def _reported(self) -> Any:
        try:
            yield
        except FileNotFoundError as error:
            raise ArchiveMissing(reason_of(error)) from error
        except self._errors as error:
            raise ArchiveUnavailable(reason_of(error)) from error


def open_objects(url: str) -> Objects:
    """Return the object store at a URL. Raises ValueError, with a text for people, if it cannot be used."""
    scheme = urlsplit(url).scheme
    if scheme not in SCHEMES:
        raise ValueError(f"it must begin with one of {', '.join(f'{each}://' for each in SCHEMES)}")
    try:
        import obstore.store  # noqa: F401, PLC0415 -- an extra, which is only looked for here
        import zstandard  # noqa: F401, PLC0415 -- the same
    except ImportError:
        raise ValueError(INSTALL) from None
    if scheme == "file":
        return _files(url)
    from obstore.store import from_url  # noqa: PLC0415 -- an extra

    plain = any(os.environ.get(name, "").startswith("http://") for name in _ENDPOINTS)
    options: dict[str, Any] = {"client_options": {**_CLIENT, "allow_http": plain}, "retry_config": _RETRY}
    try:
        return Objects(from_url(url, **options))
    except Exception as error:  # the environment may lack any of a provider's settings
        raise ValueError(reason_of(error)) from None


def _files(url: str) -> Objects:
    from obstore.store import LocalStore  # noqa: PLC0415 -- an extra

    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise ValueError("give the absolute path of the folder, as in file:///var/lib/turnwire/archive")
    folder = Path(unquote(parts.path))
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Objects(LocalStore(folder), folder)
    except (OSError, ValueError) as error:
        raise ValueError(reason_of(error)) from None


def _make_durable(folder: Path, key: str) -> None:
    """Make sure that a new file, and the folders that lead to it, survive a loss of power."""
    path = folder / key
    for each in (path, *path.relative_to(folder).parents):
        descriptor = os.open(folder / each, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _tidy(folder: Path) -> None:
    if folder.is_dir():
        for unfinished in folder.glob("*#*"):
            unfinished.unlink(missing_ok=True)
        if not any(folder.iterdir()):
            folder.rmdir()
