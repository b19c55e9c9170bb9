"""What systemd hears from a process: on a real socket, as sd_notify(3) describes it."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Self
from uuid import uuid4

import pytest

from tests.support.processes import GatewayProcess
from turnwire.gateway.running.systemd import Systemd
from turnwire.store.condition import StorageState
from turnwire.store.probe import StorageProbe


class Listener:
    """Listens as systemd does."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(address.replace("@", "\0", 1))

    @classmethod
    def in_folder(cls, folder: Path) -> Self:
        return cls(str(folder / "notify"))

    def close(self) -> None:
        self._socket.close()

    async def heard(self) -> str:
        """Return the next datagram."""
        async with asyncio.timeout(20):
            return (await asyncio.get_running_loop().sock_recv(self._socket, 100)).decode()

    def heard_so_far(self) -> list[str]:
        """Return the datagrams that are there and have not been returned yet."""
        said = []
        try:
            while True:
                said.append(self._socket.recv(100).decode())
        except BlockingIOError:
            return said


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    with closing(Listener.in_folder(tmp_path)) as made:
        yield made


async def test_systemd_is_told_that_the_process_is_ready_and_that_it_stops(listener: Listener) -> None:
    systemd = Systemd(listener.address, None)
    systemd.ready()
    systemd.stopping()
    assert [await listener.heard(), await listener.heard()] == ["READY=1", "STOPPING=1"]


async def test_an_address_that_begins_with_an_at_sign_is_a_name_without_a_file() -> None:
    with closing(Listener(f"@turnwire-test-{uuid4().hex}")) as listener:
        Systemd(listener.address, None).ready()
        assert await listener.heard() == "READY=1"


async def test_pings_come_while_all_is_well_and_pause_while_it_is_not(listener: Listener) -> None:
    answers = iter((True, False, False, True))
    asked_all = asyncio.Event()

    async def is_well() -> bool:
        answer = next(answers, None)
        if answer is None:
            asked_all.set()
            await asyncio.sleep(3600)
        return bool(answer)

    pinging = asyncio.create_task(Systemd(listener.address, 0.003).keep_alive(is_well))
    async with asyncio.timeout(20):
        await asked_all.wait()
    pinging.cancel()
    assert listener.heard_so_far() == ["WATCHDOG=1"] * 2


async def test_no_ping_is_sent_if_none_is_expected(listener: Listener) -> None:
    async def never() -> bool:
        raise AssertionError("nobody has asked")

    await Systemd(listener.address, None).keep_alive(never)
    await Systemd(None, None).keep_alive(never)
    assert listener.heard_so_far() == []


def test_what_systemd_has_said_in_the_environment_is_not_passed_on_to_child_processes(listener: Listener) -> None:
    environment = {"NOTIFY_SOCKET": listener.address, "WATCHDOG_USEC": "3000000", "HOME": "/"}
    Systemd.from_environment(environment).ready()
    assert environment == {"HOME": "/"}
    assert listener.heard_so_far() == ["READY=1"]


@pytest.mark.parametrize(
    ("pid", "watched"),
    [(None, True), (str(os.getpid()), True), ("1", False)],
    ids=["nobody", "this process", "another"],
)
async def test_pings_are_sent_by_the_process_that_they_are_expected_of(
    listener: Listener, pid: str | None, *, watched: bool
) -> None:
    environment = {"NOTIFY_SOCKET": listener.address, "WATCHDOG_USEC": "3000"}
    if pid is not None:
        environment["WATCHDOG_PID"] = pid

    async def is_well() -> bool:
        return True

    pinging = asyncio.create_task(Systemd.from_environment(environment).keep_alive(is_well))
    if watched:
        assert await listener.heard() == "WATCHDOG=1"
        pinging.cancel()
    else:
        await pinging
        assert listener.heard_so_far() == []


def test_nobody_is_told_without_systemd() -> None:
    Systemd.from_environment({"WATCHDOG_USEC": "3000000"}).ready()


def test_a_socket_that_is_gone_is_logged_and_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Systemd(str(tmp_path / "gone"), None).ready()
    assert "could not tell systemd READY=1" in caplog.text


async def test_a_ping_to_the_database_without_answer_or_error_is_told_from_one_that_fails() -> None:
    answer: asyncio.Future[StorageState] = asyncio.get_running_loop().create_future()

    async def ask() -> StorageState:
        return await answer

    probe = StorageProbe(ask)
    assert probe.silence == 0
    await probe.state(patience=0.01)
    assert probe.silence > 0
    answer.set_exception(OSError("away"))
    await probe.state()
    assert probe.silence == 0


@pytest.mark.e2e
@pytest.mark.parametrize("args", [(), ("--workers", "2")], ids=["one process", "workers"])
async def test_a_started_gateway_says_once_that_it_is_ready_then_that_it_lives_then_that_it_stops(
    listener: Listener, tmp_path: Path, database_uri: str, database_name: str, args: tuple[str, ...]
) -> None:
    gateway = GatewayProcess(
        tmp_path / "data",
        mongodb_uri=database_uri,
        mongodb_database=database_name,
        env={"NOTIFY_SOCKET": listener.address, "WATCHDOG_USEC": "300000"},
        args=args,
    )
    async with gateway:
        said = [await listener.heard() for _ in range(3)]
        assert await asyncio.to_thread(gateway.terminate) == 0
    assert sorted(said) == ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]
    rest = listener.heard_so_far()
    assert rest[-1] == "STOPPING=1"
    assert set(rest[:-1]) <= {"WATCHDOG=1"}
