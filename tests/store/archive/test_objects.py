"""The object store behind TURNWIRE_ARCHIVE_URL, on files: objects are there as a whole or not at all."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from turnwire.store.archive.objects import ArchiveMissing, ArchiveUnavailable, open_objects


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def fine() -> None:
    """It may finish."""


async def test_an_object_is_written_read_listed_and_removed(tmp_path: Path) -> None:
    folder = tmp_path / "an archive"
    objects = open_objects(folder.as_uri())
    await objects.put("a/b/one.json", pieces(b"0123", b"", b"456789"), fine)
    await objects.put("a/bc/two.json", pieces(b"x"), fine)
    assert await objects.read("a/b/one.json") == b"0123456789"
    assert await objects.read_range("a/b/one.json", 3, 4) == b"3456"
    assert await objects.size("a/b/one.json") == 10
    assert await objects.keys("a/b") == ["a/b/one.json"]
    assert folder.stat().st_mode & 0o077 == 0
    await objects.delete("a/b/one.json")
    await objects.delete("a/b/one.json")
    assert await objects.keys("a/b") == []
    with pytest.raises(ArchiveMissing):
        await objects.read("a/b/one.json")
    objects.close()


async def test_an_object_that_may_not_be_finished_does_not_appear(tmp_path: Path) -> None:
    objects = open_objects(tmp_path.as_uri())

    async def never() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await objects.put("a/one", pieces(b"0" * 20_000_000), never)
    assert await objects.keys("a") == []
    objects.close()


async def test_objects_left_half_written_by_a_killed_process_are_removed_with_their_folder(tmp_path: Path) -> None:
    objects = open_objects(tmp_path.as_uri())
    for name in ("one", "two"):
        await objects.put(f"a/{name}/line", pieces(b"x"), fine)
        (tmp_path / "a" / name / "line#1").write_bytes(b"half of it")
    await objects.tidy("a/one")
    assert [path.name for path in (tmp_path / "a" / "one").iterdir()] == ["line"]
    await objects.delete("a/two/line")
    await objects.tidy("a/two")
    await objects.tidy("a/two")
    assert not (tmp_path / "a" / "two").exists()
    objects.close()


async def test_an_archive_that_refuses_is_unavailable_and_the_reason_is_for_the_operator(tmp_path: Path) -> None:
    objects = open_objects((tmp_path / "archive").as_uri())
    (tmp_path / "archive").rmdir()
    (tmp_path / "archive").write_text("a file")
    with pytest.raises(ArchiveUnavailable) as failure:
        await objects.put("a/one", pieces(b"0"), fine)
    assert str(failure.value) == "the archive is away; try again"
    assert "archive" in failure.value.reason
    objects.close()


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("/var/archive", "it must begin with one of file://, s3://, gs://, az://"),
        ("memory:///", "it must begin with one of"),
        ("file://host/var/archive", "give the absolute path of the folder"),
        ("file:///dev/null/archive", "Not a directory|File exists"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_with_the_reason(url: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        open_objects(url)


@pytest.mark.parametrize("name", ["obstore.store", "zstandard"])
def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ValueError, match=r"pip install 'turnwire\[archive\]'"):
        open_objects("s3://bucket/calls")
