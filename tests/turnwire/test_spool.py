"""A publisher with a spool: the next process sends what one process left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from tests.support.gateways import Gateway, StartGateway
from tests.turnwire.logs import log_of
from tests.turnwire.relay import Relay, eventually
from turnwire import Acked, Publisher, errors, read_spool


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "call.spool"


def is_there(path: Path) -> bool:
    return path.exists()


def content(path: Path) -> bytes:
    return path.read_bytes()


def restore(path: Path, content: bytes) -> None:
    path.write_bytes(content)


async def leave_behind(relay: Relay, spool: Path, *numbers: int, session_id: str = "call") -> None:
    """A publisher that is closed once the gateway no longer answers."""
    call = Publisher(relay.url, session_id, spool=spool)
    await call.open()
    relay.refusing = True
    relay.cut()
    for n in numbers:
        await call.send("system", {"n": n}, f"e{n}")
    await call.close()
    relay.refusing = False


async def numbers_in_log(gateway: Gateway) -> list[int]:
    return [event.payload["n"] for event in await log_of(gateway.url, "call")]


async def test_events_left_in_the_spool_are_sent_first_and_unchanged(
    gateway: Gateway, relay: Relay, spool: Path
) -> None:
    call = Publisher(relay.url, "call", spool=spool)
    await call.open()
    relay.refusing = True
    relay.cut()
    ids = [await call.send("bot_speech", {"n": 1, "text": "Grüß \U0001f600", "deep": [1.0, 1, None]})]
    ids.append(await call.send("system", {"n": 2}, "mine", "2026-03-01T12:00:00.123Z"))
    unanswered = call.unanswered()
    await call.close()
    kept = read_spool(spool)
    assert kept is not None
    assert (kept.gateway, kept.session_id, kept.events) == (relay.url, "call", unanswered)

    relay.refusing = False
    acks: list[Acked] = []
    async with Publisher(relay.url, "call", spool=spool, on_ack=acks.append) as call:
        ids.append(await call.send("system", {"n": 3}))
    events = await log_of(gateway.url, "call")
    assert [event.event_id for event in events] == ids == [ack.event_id for ack in acks]
    assert events[0].payload == {"n": 1, "text": "Grüß \U0001f600", "deep": [1.0, 1, None]}
    assert [event.timestamp for event in events[1:2]] == ["2026-03-01T12:00:00.123Z"]
    assert not is_there(spool)


async def test_spooled_events_that_are_already_stored_are_not_stored_twice(
    gateway: Gateway, relay: Relay, spool: Path
) -> None:
    call = Publisher(relay.url, "call", spool=spool)
    await call.open()
    await call.send("system", {"n": 1})
    await call.flush()
    relay.swallow()
    await call.send("system", {"n": 2})
    live = gateway.live["call"]
    await eventually(lambda: live.state.record.last_seq == 2)
    await call.close()

    acks: list[Acked] = []
    async with Publisher(relay.url, "call", spool=spool, on_ack=acks.append) as call:
        assert (await call.complete()).last_seq == 2
    assert [(ack.seq, ack.duplicate) for ack in acks] == [(2, True)]
    assert await numbers_in_log(gateway) == [1, 2]


async def test_a_completed_session_completes_again_after_a_restart(start_gateway: StartGateway, spool: Path) -> None:
    gateway = await start_gateway(end_grace=0)
    async with Relay(gateway.port) as relay:
        call = Publisher(relay.url, "call", spool=spool)
        await call.open()
        relay.swallow()
        await call.send("system", {"n": 1})
        with pytest.raises(TimeoutError):
            await call.complete(timeout=0)
        live = gateway.live["call"]
        await eventually(lambda: live.state.record.status == "completed")
        await call.close()

        async with Publisher(relay.url, "call", spool=spool) as call:
            session = await call.complete()
    assert (session.status, session.last_seq) == ("completed", 1)
    assert not is_there(spool)


async def test_flush_waits_for_the_events_left_in_the_spool(gateway: Gateway, relay: Relay, spool: Path) -> None:
    await leave_behind(relay, spool, *range(300))
    async with Publisher(relay.url, "call", spool=spool, max_outbox=10) as call:
        await call.flush()
        assert await numbers_in_log(gateway) == list(range(300))
        assert call.pending == 0


async def test_a_refused_event_leaves_the_spool(gateway: Gateway, relay: Relay, spool: Path) -> None:
    async with Publisher(gateway.url, "call") as call:
        await call.send("system", {"n": 1}, "e2")
    await leave_behind(relay, spool, 2, 3)
    call = Publisher(relay.url, "call", spool=spool)
    await call.open()
    with pytest.raises(errors.EventsRejected, match="'e2'"):
        await call.flush()
    await call.close()
    assert not is_there(spool)
    assert await numbers_in_log(gateway) == [1, 3]


async def test_events_that_came_too_late_stay_in_the_spool(start_gateway: StartGateway, spool: Path) -> None:
    gateway = await start_gateway(end_grace=0)
    async with Relay(gateway.port) as relay:
        async with Publisher(relay.url, "call") as call:
            await call.send("system", {"n": 1}, "e1")
        await leave_behind(relay, spool, 1, 2)
        await gateway.post("/sessions/call/complete", {})
        for _ in range(2):
            call = Publisher(relay.url, "call", spool=spool)
            with pytest.raises(errors.SessionEnded, match="1 came too late"):
                async with call:
                    await call.flush()
    kept = read_spool(spool)
    assert kept is not None
    assert [event.event_id for event in kept.events] == ["e2"]
    assert await numbers_in_log(gateway) == [1]


async def test_the_spool_of_another_call_is_refused_unless_it_is_empty(
    gateway: Gateway, relay: Relay, spool: Path
) -> None:
    await leave_behind(relay, spool, 1)
    before = content(spool)
    for url, session_id in ((relay.url, "other"), (gateway.url, "call"), (relay.url + "/path", "call")):
        with pytest.raises(errors.SpoolError, match=f"1 unsent events of session 'call' at {relay.url}"):
            await Publisher(url, session_id, spool=spool).open()
        assert content(spool) == before
    async with Publisher(relay.url, "call", spool=spool) as call:
        await call.flush()
        empty = content(spool)
    restore(spool, empty)  # as if it had been killed here
    async with Publisher(gateway.url, "other", spool=spool) as call:
        await call.send("system", {"n": 2})


async def test_two_publishers_cannot_have_one_spool(gateway: Gateway, spool: Path) -> None:
    async with Publisher(gateway.url, "call", spool=spool) as call:
        with pytest.raises(errors.SpoolError, match="another publisher is using it"):
            await Publisher(gateway.url, "call", spool=spool).open()
        await call.send("system", {"n": 1})
    assert await numbers_in_log(gateway) == [1]


@pytest.mark.parametrize("then", ["json", "msgpack"])
async def test_the_codec_may_change_from_one_start_to_the_next(
    gateway: Gateway, relay: Relay, spool: Path, then: Literal["json", "msgpack"]
) -> None:
    first: Literal["json", "msgpack"] = "msgpack" if then == "json" else "json"
    payload = {"n": 1, "float": 1.0, "text": "ü\x00", "deep": {"a": [True, None, -(2**63)]}}
    call = Publisher(relay.url, "call", spool=spool, codec=first)
    await call.open()
    relay.refusing = True
    relay.cut()
    await call.send("system", payload, "e1", "2026-03-01T12:00:00.123Z")
    await call.close()
    relay.refusing = False
    async with Publisher(relay.url, "call", spool=spool, codec=then) as call:
        await call.send("system", {"n": 2})
    events = await log_of(gateway.url, "call")
    assert (events[0].payload, events[0].timestamp) == (payload, "2026-03-01T12:00:00.123Z")
    assert repr(events[0].payload["float"]) == "1.0"
    assert [event.payload["n"] for event in events] == [1, 2]


async def test_a_spool_keeps_its_events_while_the_gateway_is_away(gateway: Gateway, relay: Relay, spool: Path) -> None:
    await leave_behind(relay, spool, 1, 2)
    relay.refusing = True
    with pytest.raises(errors.Unreachable):
        await Publisher(relay.url, "call", spool=spool, connect_timeout=0).open()
    relay.refusing = False
    async with Publisher(relay.url, "call", spool=spool):
        pass
    assert await numbers_in_log(gateway) == [1, 2]


def test_reading_a_file_that_is_not_a_spool_raises(tmp_path: Path) -> None:
    with pytest.raises(errors.SpoolError, match="cannot be read"):
        read_spool(tmp_path / "nothing")
    (tmp_path / "empty").touch()
    assert read_spool(tmp_path / "empty") is None
