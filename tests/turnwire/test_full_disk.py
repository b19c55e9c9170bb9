"""A disk that takes no more costs a call no event: they wait in memory, and the log says so."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.support.gateways import Gateway
from tests.turnwire.logs import log_of
from tests.turnwire.relay import Relay, eventually
from turnwire import Publisher, errors, read_spool

FullDisk = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> FullDisk:
    """Within its block, no spool can be written."""

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    @contextmanager
    def full() -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr("turnwire.publishing.spool_file._write", refuse)
            yield

    return full


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "call.spool"


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


def kept_numbers(spool: Path) -> list[int]:
    kept = read_spool(spool)
    return [] if kept is None else [event.payload["n"] for event in kept.events]


def is_there(path: Path) -> bool:
    return path.exists()


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


async def numbers(gateway: Gateway) -> list[int]:
    return [event.payload["n"] for event in await log_of(gateway.url, "call")]


async def test_events_posted_while_the_disk_is_full_are_still_stored(
    gateway: Gateway, spool: Path, full_disk: FullDisk, caplog: pytest.LogCaptureFixture
) -> None:
    async with Publisher(gateway.url, "call", spool=spool) as call:
        call.post("system", {"n": 0})
        with full_disk():
            for n in range(1, 50):
                call.post("system", {"n": n})
            await call.flush()
        call.post("system", {"n": 50})
        assert call.dropped == 0
    assert await numbers(gateway) == list(range(51))
    assert not is_there(spool)
    first, *others = warnings(caplog)
    assert first == (
        f"the spool '{spool}' cannot be written: no space left on device; events are only in memory, and lost if this "
        "process is killed"
    )
    assert others == [
        f"spool '{spool}': answers cannot be recorded: no space left on device",
        f"the spool '{spool}' can be written again",
    ]


async def test_events_of_a_full_disk_are_in_the_spool_once_it_has_room_again(
    gateway: Gateway, relay: Relay, spool: Path, full_disk: FullDisk
) -> None:
    call = Publisher(relay.url, "call", spool=spool, wait=False)
    relay.refusing = True
    await call.open()
    call.post("system", {"n": 0})
    with full_disk():
        call.post("system", {"n": 1})
        call.post("system", {"n": 2})
        assert kept_numbers(spool) == [0]
    call.post("system", {"n": 3})
    assert kept_numbers(spool) == [0, 1, 2, 3]
    await call.close()
    relay.refusing = False
    async with Publisher(relay.url, "call", spool=spool):
        pass
    assert await numbers(gateway) == [0, 1, 2, 3]


async def test_answers_to_events_in_memory_alone_remove_none_from_the_spool(
    gateway: Gateway, relay: Relay, spool: Path, full_disk: FullDisk
) -> None:
    call = Publisher(relay.url, "call", spool=spool)
    await call.open()
    with full_disk():
        call.post("system", {"n": 0})
        await call.flush()
    relay.refusing = True
    relay.cut()
    await eventually(lambda: not call.connected)
    call.post("system", {"n": 1})
    assert kept_numbers(spool) == [1]
    await call.close()


async def test_events_beyond_a_full_disk_and_a_full_outbox_are_dropped_and_counted(
    relay: Relay, spool: Path, full_disk: FullDisk, caplog: pytest.LogCaptureFixture
) -> None:
    relay.refusing = True
    async with Publisher(relay.url, "call", spool=spool, wait=False, max_outbox=10, drain_timeout=0) as call:
        with full_disk():
            for n in range(15):
                call.post("system", {"n": n})
    assert (call.dropped, call.pending) == (5, 10)
    told = [text for text in warnings(caplog) if "drops events" in text]
    assert len(told) == 1
    assert "no space left on device, and 10 events wait in memory already" in told[0]
    assert warnings(caplog)[-1].endswith("10 events without an answer (only `unanswered()` has them), 5 dropped")


async def test_a_spool_that_cannot_be_made_costs_a_call_that_does_not_wait_only_a_warning(
    gateway: Gateway, spool: Path, full_disk: FullDisk, caplog: pytest.LogCaptureFixture
) -> None:
    with full_disk():
        call = Publisher(gateway.url, "call", spool=spool, wait=False)
        call.start()
    call.post("system", {"n": 0})
    with pytest.raises(errors.SpoolError, match="no space left on device"):
        await call.send("system", {"n": 1})
    await call.aclose()
    assert await numbers(gateway) == [0]
    assert not is_there(spool)
    (told,) = warnings(caplog)
    assert told.startswith(
        f"the spool '{spool}' cannot be replaced: no space left on device; events are only in memory"
    )


async def test_a_publisher_that_waits_for_its_gateway_needs_its_spool_too(
    gateway: Gateway, spool: Path, full_disk: FullDisk
) -> None:
    with full_disk(), pytest.raises(errors.SpoolError, match="no space left on device"):
        await Publisher(gateway.url, "call", spool=spool).open()
    assert not is_there(spool.with_name("call.spool.new"))


@pytest.mark.parametrize("content", [b"RIFF....WAVE", b"Turnwire spool 9\n"])
async def test_a_file_that_is_not_a_spool_is_refused_even_without_waiting(
    gateway: Gateway, spool: Path, content: bytes
) -> None:
    write(spool, content)
    with pytest.raises(errors.SpoolError, match="not a spool"):
        Publisher(gateway.url, "call", spool=spool, wait=False).start()
