"""Liveness: a client that answers no ping is closed; a client that is only slow is not."""

from __future__ import annotations

import asyncio
import time
from itertools import count

import pytest

from tests.support.failpoints import failing
from tests.support.gateways import Gateway, StartGateway, new_event, new_id
from tests.support.passes import Passes
from tests.support.sockets import PING, PONG, TEXT, RawSocket, client_frame, publish_path, publisher, until
from turnwire.gateway.connections.liveness import Liveness
from turnwire.gateway.connections.open_connections import Kind, OpenConnections
from turnwire.gateway.turns import A_FEW, Turns
from turnwire.gateway.watching.audience import watchers_of
from turnwire.protocol.codec import SUBPROTOCOL_MSGPACK

QUICK = {"ping_interval": 0.1, "pong_timeout": 0.2}


@pytest.mark.parametrize("path", ["/subscribe", publish_path("s", "en")])
async def test_a_client_without_pongs_is_closed_with_4408(start_gateway: StartGateway, path: str) -> None:
    gateway = await start_gateway(**QUICK)
    raw = await RawSocket.connect(gateway, path)
    assert await raw.close_code() == 4408
    raw.close()
    await until(lambda: not gateway.connections, "the end of the connection")


@pytest.mark.parametrize("path", ["/subscribe", publish_path("s", "en")])
async def test_a_client_that_sends_pongs_stays_connected(start_gateway: StartGateway, path: str) -> None:
    gateway = await start_gateway(**QUICK)
    raw = await RawSocket.connect(gateway, path)
    pings = 0
    while pings < 8:
        opcode, payload = await raw.frame()
        if opcode == PING:
            pings += 1
            await raw.write(client_frame(payload, PONG))
    await raw.send({"type": "ping", "ref": 1})
    assert (await raw.receive()) == {"type": "pong", "ref": 1}
    raw.close()


async def test_a_gateway_that_was_blocked_reads_waiting_frames_before_it_closes_anyone(
    start_gateway: StartGateway,
) -> None:
    gateway = await start_gateway(**QUICK)
    raw = await RawSocket.connect(gateway, "/subscribe")
    for _ in range(3):
        while (await raw.frame())[0] != PING:
            pass
        raw.write_at_once(client_frame(b"", PONG))
        time.sleep(0.5)  # noqa: ASYNC251 # holds up the whole loop, the gateway's too
    await raw.send({"type": "ping", "ref": 1})
    assert (await raw.receive()) == {"type": "pong", "ref": 1}
    raw.close()


async def test_any_frame_counts_as_a_sign_of_life(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(**QUICK)
    raw = await RawSocket.connect(gateway, "/subscribe", Sec_WebSocket_Protocol=SUBPROTOCOL_MSGPACK)
    for _ in range(12):
        await asyncio.sleep(0.05)
        await raw.write(client_frame(b"\x81\xa4type\xa4ping", 2))
    pongs = 0
    while pongs < 12:
        opcode, _ = await raw.frame()
        assert opcode in (2, PING)
        pongs += opcode == 2
    raw.close()


async def test_a_clients_ping_is_answered_with_its_payload(gateway: Gateway) -> None:
    raw = await RawSocket.connect(gateway, "/subscribe")
    await raw.write(client_frame(b"hello", PING))
    assert await raw.frame() == (PONG, b"hello")
    raw.close()


async def fill_up(gateway: Gateway) -> tuple[RawSocket, str]:
    """A subscriber that has stopped reading, with frames unread, and the session that fills it."""
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    raw = await RawSocket.connect(gateway, "/subscribe", receive_buffer=4096)
    await raw.send({"type": "subscribe", "ref": "r", "sessionId": session_id, "afterSeq": 0})
    (watched,) = [each for each in gateway.connections if each.patient]
    count = 0
    while not watched.outbox.size:
        assert watched.closing is None, "it was closed before its outbox was full"
        events = [new_event(f"e{count + n}", {"text": "x" * 100_000}) for n in range(8)]
        await bot.acked(*events)
        count += 8
    await bot.close()
    return raw, session_id


async def test_a_subscriber_with_unread_frames_gets_more_time_for_its_pong(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(ping_interval=0.1, pong_timeout=1, slow_pong_timeout=2.5)
    loop = asyncio.get_running_loop()
    began = loop.time()
    raw, session_id = await fill_up(gateway)  # within a second: nothing is unread until the buffers are full
    await until(lambda: not watchers_of(gateway.live[session_id].state), "the end of the subscription")
    assert loop.time() - began > 2.5
    raw.close()


async def test_a_slow_subscriber_that_has_read_everything_gets_the_usual_time_for_its_pong(
    start_gateway: StartGateway,
) -> None:
    gateway = await start_gateway(ping_interval=0.1, pong_timeout=0.6, slow_pong_timeout=60)
    raw, session_id = await fill_up(gateway)
    (connection,) = [each for each in gateway.connections if each.patient]
    await asyncio.sleep(0.8)  # longer than pong_timeout, while frames are unread
    cursor, head = 0, gateway.live[session_id].state.record.last_seq
    while cursor < head:
        _, payload = await raw.frame()
        cursor += payload.count(b'"eventId"')
    await until(lambda: not connection.outbox.unread, "all to be sent")
    await asyncio.sleep(0.2)  # the client takes a while to reach our ping
    assert connection.closing is None
    await raw.write(client_frame(b"", PONG))
    await raw.send({"type": "ping", "ref": 1})
    while (frame := await raw.frame()) != (TEXT, b'{"type":"pong","ref":1}'):
        assert frame[0] in (TEXT, PING)
    raw.close()


async def test_a_publisher_that_does_not_read_gets_more_time_for_its_pong(start_gateway: StartGateway) -> None:
    patience = {"ping_interval": 0.1, "pong_timeout": 0.2, "slow_pong_timeout": 60}
    gateway = await start_gateway(max_outbox_bytes=20_000, max_ping_ref_bytes=0, **patience)
    raw = await RawSocket.connect(gateway, publish_path(new_id("s"), "en"), receive_buffer=4096)
    (connection,) = gateway.connections
    assert (await raw.receive())["type"] == "opened"

    async def flood() -> None:
        for number in range(1500):
            await raw.send({"type": "ping", "ref": f"{number}" + "x" * 10_000})

    flooding = asyncio.create_task(flood())
    await until(lambda: connection.outbox.size > 40_000, "the outbox to be over its bound")
    await asyncio.sleep(0.8)  # several times pong_timeout
    assert connection.closing is None
    for number in range(1500):
        assert (await raw.receive())["ref"].startswith(f"{number}x")
    await flooding
    raw.close()


async def test_a_publisher_that_the_gateway_does_not_read_is_not_closed(
    start_gateway: StartGateway, database_uri: str
) -> None:
    gateway = await start_gateway(**QUICK, max_in_flight=2)
    bot = await publisher(gateway, new_id("s"))
    (connection,) = gateway.connections
    async with failing(database_uri, "insert"):
        for number in range(10):
            await bot.append(f"e{number}")
        await until(lambda: connection.paused, "the pause")
        await asyncio.sleep(0.8)  # several pings' time
        assert connection.closing is None
    assert len(await bot.answers(10)) == 10


class Silent:
    """A connection that counts when it was checked."""

    kind: Kind = "publisher"
    closing: asyncio.Future[None] | None = None
    look_at = 0.0
    is_owed = False
    waiting_bytes = 0

    def __init__(self, checked: list[float]) -> None:
        self._checked = checked

    def check_alive(self, now: float) -> None:
        self._checked.append(now)

    def judge_again(self) -> None: ...
    def goaway(self, reason: str, after: float) -> None: ...
    def close(self, code: int, reason: str) -> None: ...
    def shed(self) -> None: ...
    def abort(self) -> None: ...


@pytest.mark.parametrize(("held_up", "checked"), [(2.0, 3 * A_FEW), (4.0, A_FEW)])
async def test_many_connections_are_checked_a_few_at_a_time_and_no_more_of_them_once_the_gateway_was_held_up(
    held_up: float, checked: int
) -> None:
    """`held_up`: seconds that pass between a few and the next, of ticks of one second."""
    looks, moments = count(), count(1.0, held_up)
    connections, times = OpenConnections(), list[float]()
    connections.connections |= {Silent(times) for _ in range(3 * A_FEW)}
    turns = Turns(lambda: next(looks) / 1000)
    await Liveness(connections, lambda: next(moments), turns, 1.0, most_bytes=0).keep_alive()
    assert len(times) == checked
    assert len(set(times)) == checked // A_FEW


async def test_connections_that_close_during_a_look_at_all_of_them_are_not_freed_together() -> None:
    connections, passes, looks = OpenConnections(), Passes(), count()

    class Leaving(Silent):
        def check_alive(self, now: float) -> None:
            connections.connections.clear()

        def __del__(self) -> None:
            passes.done()

    connections.connections |= {Leaving([]) for _ in range(4 * A_FEW)}
    turns = Turns(lambda: next(looks) / 1000)
    with passes:
        await Liveness(connections, lambda: 1.0, turns, 1.0, most_bytes=0).keep_alive()
    assert passes.work.total() == 4 * A_FEW
    assert passes.most <= A_FEW + 1
