"""A manifest says which part of an object holds which events; one that does not add up is not read."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from msgspec.structs import replace

from turnwire.store.archive.manifest import FORMAT, ArchiveDamaged, Frame, Manifest, digest_of, read_manifest
from turnwire.store.archive.places import folder_of, is_of_attempt, is_of_life, line_key, manifest_key

NOW = datetime(2025, 1, 1, tzinfo=UTC)
FRAMES = (
    Frame(1, 0, 0, 10, 20, "a"),
    Frame(1, 3, 10, 30, 90, "b"),
    Frame(4, 2, 40, 20, 60, "c"),
    Frame(6, 0, 60, 5, 3, "d"),
)
MANIFEST = Manifest(FORMAT, "s", 7, 5, NOW, "key", 65, "e", FRAMES)


def test_a_manifest_is_read_back_as_it_was_written() -> None:
    data = MANIFEST.encode()
    assert read_manifest("s", data, digest_of(data)) == MANIFEST


@pytest.mark.parametrize(
    ("seqs", "firsts"), [([1], [1]), ([3, 4], [1, 4]), ([5], [4]), ([1, 2, 3], [1]), (range(1, 6), [1, 4]), ([], [])]
)
def test_a_manifest_gives_the_frames_that_hold_the_wanted_positions(seqs: list[int], firsts: list[int]) -> None:
    assert [frame.first for frame in MANIFEST.holding(seqs)] == firsts


@pytest.mark.parametrize(
    ("manifest", "fault"),
    [
        (replace(MANIFEST, session_id="t"), "is of session 't'"),
        (replace(MANIFEST, events=6), "do not add up"),
        (replace(MANIFEST, size=66), "do not add up"),
        (replace(MANIFEST, frames=(*FRAMES[:1], *FRAMES[2:])), "a gap before seq 4"),
        (replace(MANIFEST, format=FORMAT + 1), f"has format {FORMAT + 1}"),
    ],
)
def test_a_manifest_that_does_not_add_up_is_damaged(manifest: Manifest, fault: str) -> None:
    with pytest.raises(ArchiveDamaged) as failure:
        read_manifest("s", manifest.encode())
    assert fault in failure.value.reason


def test_another_digest_and_other_text_are_damaged() -> None:
    for data, digest in ((MANIFEST.encode(), digest_of(b"")), (b'{"format":', None), (msgspec.json.encode([1]), None)):
        with pytest.raises(ArchiveDamaged):
            read_manifest("s", data, digest)


def test_objects_are_named_so_that_any_store_takes_them_and_no_two_sessions_share_a_folder() -> None:
    ids = ["call-17", "call/17", "call 17", "../etc", "é" * 300, "a" * 300, "a" * 301, ".", "call-17 "]
    folders = [folder_of(each) for each in ids]
    assert len({*folders}) == len(ids)
    assert all(each.isascii() and len(each) < 120 and ".." not in each for each in folders)
    assert line_key("call-17", 9, "ab").startswith(f"{folder_of('call-17')}/9-ab.")


def test_an_object_tells_its_life_and_its_attempt() -> None:
    key = manifest_key("s", 12, "ab")
    assert is_of_life(key, 12)
    assert not is_of_life(key, 1)
    assert not is_of_life(key, None)
    assert is_of_life(line_key("s", None, "ab"), None)
    assert is_of_attempt(key, "ab")
    assert is_of_attempt(line_key("s", 12, "ab"), "ab")
    assert not is_of_attempt(key, "b")
