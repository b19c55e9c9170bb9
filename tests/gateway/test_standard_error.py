"""The log beside readers that stop: nobody waits for them, and what is lost is counted."""

from __future__ import annotations

import fcntl
import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

from turnwire.gateway.standard_error import LineWriter, log_handler

_PIPE_BYTES = 4096
_LOST = "lines of the log were lost"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe with room for 4 KiB, to read and to write."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    yield reading, writing
    os.close(reading)
    os.close(writing)


def read_lines(reading: int, count: int) -> list[str]:
    """Wait for this many lines."""
    data = b""
    while data.count(b"\n") < count:
        data += os.read(reading, _PIPE_BYTES)
    return data.decode().splitlines()


def test_lines_are_written_in_their_order(pipe: tuple[int, int]) -> None:
    writer = LineWriter(pipe[1])
    for number in range(100):
        writer.add(f"line {number}")
    assert writer.flush(5)
    assert read_lines(pipe[0], 100) == [f"line {number}" for number in range(100)]


def test_a_reader_that_has_stopped_holds_up_nobody_and_later_learns_what_was_lost(
    pipe: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    writer = LineWriter(pipe[1], most_bytes=2 * _PIPE_BYTES)
    for _ in range(1000):
        writer.add("x" * 99)
    os.set_blocking(pipe[0], False)
    data = b""
    while not writer.flush(0.001):
        with suppress(BlockingIOError):
            data += os.read(pipe[0], _PIPE_BYTES)
    data += os.read(pipe[0], _PIPE_BYTES)
    kept = data.decode().splitlines()
    assert set(kept) == {"x" * 99}
    (record,) = [each for each in caplog.records if _LOST in each.message]
    assert record.args == (1000 - len(kept),)


def test_a_descriptor_that_another_process_made_non_blocking_loses_nothing(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[1], False)
    writer = LineWriter(pipe[1])
    for _ in range(1000):
        writer.add("x" * 99)
    assert read_lines(pipe[0], 1000) == ["x" * 99] * 1000


def test_a_reader_that_is_gone_does_not_end_the_writer(pipe: tuple[int, int]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    writer = LineWriter(writing)
    writer.add("a")
    assert writer.flush(5)
    os.dup2(pipe[1], writing)
    writer.add("b")
    assert read_lines(pipe[0], 1) == ["b"]
    os.close(writing)


def test_all_handlers_of_one_descriptor_keep_one_order(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    with os.fdopen(os.dup(pipe[1]), "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        handlers = [log_handler(), log_handler()]
        for number in range(50):
            for handler in handlers:
                handler.handle(logging.makeLogRecord({"msg": str(number)}))
        assert read_lines(pipe[0], 100) == [str(number // 2) for number in range(100)]


def test_standard_error_in_memory_is_written_to_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    log_handler().handle(logging.makeLogRecord({"msg": "hello"}))
    assert written.getvalue() == "hello\n"
