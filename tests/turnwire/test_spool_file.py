"""The spool file: its content after any writes, cuts or damage, and who may open it."""

from __future__ import annotations

import logging
import os
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from turnwire.errors import SpoolError
from turnwire.publishing.spool_file import SpoolFile
from turnwire.publishing.spool_records import SpoolOwner, recover

RECORD_BYTES = 9
"""of an event's record, beside the event itself"""
OWNER = SpoolOwner("http://gateway", "call", "turnwire.v1.json")


class Model:
    """A spool file, what it must hold, and everything it has held since it was last rewritten."""

    def __init__(self, path: Path, slack: int) -> None:
        self.path = path
        self.file = SpoolFile(path, OWNER, slack=slack, rewrite_slack=2 * slack)
        self.file.open()
        self.file.replace([])
        self.events: list[bytes] = []
        self.states: list[tuple[int, list[bytes]]] = []
        """(bytes of the file, the events it held then)"""
        self._note()

    def add(self, event: bytes) -> None:
        self.file.add(event)
        self.events.append(event)
        self._note()

    def leave(self, number: int) -> None:
        leaving, self.events = self.events[:number], self.events[number:]
        size = self.path.stat().st_size
        self.file.left(leaving)
        if self.path.stat().st_size < size:
            self.states.clear()
        self._note()
        if self.file.is_wasteful:
            self.file.replace(self.events)
            size = self.path.stat().st_size
            self.states = [
                (size - sum(RECORD_BYTES + len(event) for event in self.events[number:]), self.events[:number])
                for number in range(len(self.events) + 1)
            ]

    def _note(self) -> None:
        self.states.append((self.path.stat().st_size, list(self.events)))

    def play(self, acts: list[bytes | int]) -> None:
        """Add each event; for a number, let so many leave."""
        for act in acts:
            if isinstance(act, bytes):
                self.add(act)
            else:
                self.leave(act)

    def held_at(self, size: int) -> list[bytes]:
        """Return the events in the first `size` bytes of the file."""
        return next((events for end, events in reversed(self.states) if end <= size), [])


ACTS = st.lists(st.one_of(st.binary(max_size=60), st.integers(1, 6)), max_size=40)


@pytest.mark.property
@given(acts=ACTS, slack=st.integers(0, 400), data=st.data())
@settings(max_examples=300)
def test_a_spool_cut_anywhere_holds_what_it_held_at_that_length(
    acts: list[bytes | int], slack: int, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        model = Model(Path(directory, "spool"), slack)
        model.play(acts)
        written = model.path.read_bytes()
        assert recover(written).events == model.events
        cut = data.draw(st.integers(0, len(written)), label="cut")
        assert recover(written[:cut]).events == model.held_at(cut)

        model.file.release()


@pytest.mark.property
@given(acts=ACTS, slack=st.integers(0, 400), data=st.data())
@settings(max_examples=300)
def test_a_damaged_byte_in_a_spool_costs_only_the_event_it_belongs_to(
    acts: list[bytes | int], slack: int, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        model = Model(Path(directory, "spool"), slack)
        model.play(acts)
        written = bytearray(model.path.read_bytes())
        written[data.draw(st.integers(0, len(written) - 1), label="byte")] ^= data.draw(st.integers(1, 255), label="by")
        found = recover(bytes(written))
        held = model.events
        losses = [held, *(held[:lost] + held[lost + 1 :] for lost in range(len(held)))]
        assert any(is_within(rest, found.events) for rest in losses)
        assert found.owner == OWNER
        assert len(found.damaged) <= 1
        model.file.release()


def is_within(part: list[bytes], whole: list[bytes]) -> bool:
    """Return whether all of `part` is in `whole` in order, perhaps with others in between."""
    others = iter(whole)
    return all(any(item == other for other in others) for item in part)


def test_a_damaged_spool_is_read_except_for_the_damage_which_is_kept_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "spool"
    file = SpoolFile(path, OWNER)
    file.open()
    file.replace([b"event %d" % number for number in range(100)])
    file.left([b"event %d" % number for number in range(10)])
    file.release()
    written = bytearray(path.read_bytes())
    written[written.index(b"event 50")] ^= 1
    path.write_bytes(written)

    again = SpoolFile(path, OWNER)
    with caplog.at_level(logging.WARNING, "turnwire"):
        found = again.open()
    assert found.events[-89:] == [b"event %d" % number for number in range(10, 100) if number != 50]
    (damage,) = found.damaged
    assert (tmp_path / "spool.damaged").read_bytes() == damage
    assert b"vent 50" in damage
    assert "damaged" in caplog.text
    again.release()


@pytest.mark.property
@given(acts=ACTS, cut_off=st.integers(0, 120), more=st.lists(st.binary(max_size=30), max_size=5))
@settings(max_examples=150)
def test_a_cut_spool_is_continued_after_its_last_whole_record(
    acts: list[bytes | int], cut_off: int, more: list[bytes]
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "spool")
        model = Model(path, 10**9)
        model.add(b"first")
        model.play(acts)
        model.add(b"last")
        size = max(path.stat().st_size - cut_off, model.states[0][0])
        os.truncate(path, size)
        model.file.release()

        again = SpoolFile(path, OWNER)
        held = again.open().events
        assert held == model.held_at(size)
        for event in more:
            again.add(event)
        again.left(held[:1])
        assert recover(path.read_bytes()).events == (held + more)[len(held[:1]) :]
        again.release()


def test_a_spool_stays_small_while_events_come_and_go(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    file = SpoolFile(path, OWNER, rewrite_slack=10_000)
    file.open()
    file.replace([])
    waiting: list[bytes] = []
    largest = 0
    for number in range(5_000):
        waiting.append(b"%d" % number * 20)
        file.add(waiting[-1])
        if len(waiting) > 20:
            file.left([waiting.pop(0)])
            if file.is_wasteful:
                file.replace(waiting)
        largest = max(largest, path.stat().st_size)
    assert recover(path.read_bytes()).events == waiting
    assert largest < 20_000
    file.release()
    assert recover(path.read_bytes()).events == waiting


def test_an_empty_spool_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    file = SpoolFile(path, OWNER, slack=1000)
    file.open()
    file.replace([])
    beginning = path.read_bytes()
    file.add(b"x" * 2000)
    file.add(b"last")
    file.left([b"x" * 2000])
    assert recover(path.read_bytes()).events == [b"last"]
    file.left([b"last"])
    assert path.read_bytes() == beginning
    file.add(b"next")
    assert recover(path.read_bytes()).events == [b"next"]
    file.release()


def test_an_empty_spool_is_removed_on_release(tmp_path: Path) -> None:
    file = SpoolFile(tmp_path / "spool", OWNER)
    file.open()
    file.replace([])
    file.add(b"event")
    file.left([b"event"])
    file.release()
    file.release()
    assert list(tmp_path.iterdir()) == []


def test_a_spool_is_readable_only_by_its_owner(tmp_path: Path) -> None:
    file = SpoolFile(tmp_path / "spool", OWNER)
    file.open()
    file.replace([])
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o600
    file.release()


def test_a_spool_can_be_open_only_once_at_a_time(tmp_path: Path) -> None:
    first, second = (SpoolFile(tmp_path / "spool", OWNER) for _ in range(2))
    first.open()
    first.replace([b"event"])
    with pytest.raises(SpoolError, match="another publisher is using it"):
        second.open()
    first.replace([b"event", b"other"])
    with pytest.raises(SpoolError, match="another publisher is using it"):
        second.open()
    first.release()
    assert second.open().events == [b"event", b"other"]
    second.release()


@pytest.mark.parametrize("content", [b"RIFF....WAVE", b"Turnwire spool 9\nwhatever"])
def test_a_file_that_is_not_a_spool_is_left_untouched(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "call.wav"
    path.write_bytes(content)
    with pytest.raises(SpoolError, match="not a spool"):
        SpoolFile(path, OWNER).open()
    assert path.read_bytes() == content


def test_a_spool_in_a_missing_folder_raises(tmp_path: Path) -> None:
    with pytest.raises(SpoolError, match="no such file or directory"):
        SpoolFile(tmp_path / "nowhere" / "spool", OWNER).open()


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """Fail like a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_failed_write_leaves_the_spool_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    file = SpoolFile(path, OWNER)
    file.open()
    file.replace([])
    big = b"x" * (8 << 20)
    file.add(big)
    with no_file_beyond((8 << 20) + 500):
        with pytest.raises(SpoolError, match="cannot be written"):
            file.add(b"y" * 1000)
        file.add(b"small")
        with pytest.raises(SpoolError, match="cannot be replaced"):
            file.replace([big, big])
    file.add(b"after")
    assert recover(path.read_bytes()).events == [big, b"small", b"after"]
    file.release()
