"""A session ends once, by whoever is first. Time does not end it while anyone still uses it."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.faults.database import MemoryDatabase
from tests.support.in_memory import Crowd, MemoryGateway, event, events, pass_time, send, until
from tests.support.memory_fixtures import StartMemory
from turnwire.gateway.live.items import AbandonItem, BeatItem, EndItem
from turnwire.protocol.errors import StorageUnavailable, TurnwireError


async def test_the_first_end_stands_and_later_ones_get_it_as_their_answer(here: MemoryGateway) -> None:
    live = await here.create("s", event("a"))
    crowd = live.state.audience = Crowd()
    ends = await asyncio.gather(
        here.end(live, "failed", "first"), here.end(live, "completed", "second"), here.end(live)
    )
    assert [now for _, now in ends] == [True, False, False]
    assert {(session.status, session.end_reason) for session, _ in ends} == {("failed", "first")}
    assert len({session.ended_at for session, _ in ends}) == 1
    assert crowd.changes == 1
    stored = await here.stored()
    assert (stored.status, stored.end_reason, stored.last_seq) == ("failed", "first", 1)


async def test_racing_ends_on_two_gateways_leave_one_end(here: MemoryGateway, there: MemoryGateway) -> None:
    lives = await here.create(), await there.open()
    ends = await asyncio.gather(here.end(lives[0], reason="here"), there.end(lives[1], reason="there"))
    assert sorted(now for _, now in ends) == [False, True]
    assert ends[0][0] == ends[1][0]


async def test_an_end_by_a_gateway_that_lags_reverts_no_field(here: MemoryGateway, there: MemoryGateway) -> None:
    live, lagging = await here.create(), await there.open()
    await here.append(live, *events("a", "b", "c"))
    await here.parts.lazy_fields.flush()
    session, _ = await there.end(lagging)
    stored = await there.stored()
    assert (session.last_seq, stored.last_seq, stored.last_event_at is None) == (3, 3, False)


async def test_a_second_end_returns_the_events_stored_elsewhere_since(
    here: MemoryGateway, there: MemoryGateway
) -> None:
    live, elsewhere = await here.create("s", event("a")), await there.open()
    await here.end(live)
    await there.append(elsewhere, event("in grace"))
    session, now = await here.end(live)
    assert (session.last_seq, now) == (2, False)


async def test_a_publisher_superseded_elsewhere_cannot_end_the_session(
    here: MemoryGateway, there: MemoryGateway
) -> None:
    live, elsewhere = await here.create(), await there.open()
    old = await here.claim(live)
    new = await there.claim(elsewhere)
    live.submit(EndItem("completed", None, publisher=old))
    await until(lambda: old.was_superseded)
    assert (old.ended, (await here.stored()).ended_at) == ([], None)
    live_seat = EndItem("completed", "bye", publisher=new)
    elsewhere.submit(live_seat)
    await until(lambda: bool(new.ended))
    assert new.ended[0].end_reason == "bye"


async def test_an_end_without_an_answer_from_the_storage_is_stored_once(here: MemoryGateway) -> None:
    live = await here.create("s", event("a"))
    here.line.trouble = 0.7
    session, _ = await here.end(live, reason="hangup")
    here.line.trouble = 0.0
    stored = await here.stored()
    assert (stored.status, stored.end_reason, session.end_reason) == ("completed", "hangup", "hangup")
    assert stored.session().ended_at == session.ended_at


async def test_an_end_whose_client_has_left_is_not_begun(here: MemoryGateway) -> None:
    live = await here.create()
    left = EndItem("completed", None, done=asyncio.get_running_loop().create_future())
    live.submit(left)
    assert left.done is not None
    left.done.cancel()
    await here.append(live, event("a"))
    assert (await here.stored()).ended_at is None


async def test_an_end_given_up_during_an_outage_leaves_the_session_open(here: MemoryGateway) -> None:
    live = await here.create()
    here.database.away = True
    with pytest.raises(StorageUnavailable):
        await here.requests.complete("s", "completed", None)
    here.database.away = False
    assert (await here.append(live, event("a")))[0].event.seq == 1


async def test_a_refused_end_is_answered_with_the_reason(here: MemoryGateway, database: MemoryDatabase) -> None:
    live = await here.create()
    database.refuses = lambda document: document.get("status") == "completed"
    with pytest.raises(TurnwireError, match="validation"):
        await here.end(live)
    assert not live.state.ended
    assert (await here.end(live, "failed"))[1]


# --- by time ---------------------------------------------------------------------------------------------------------


async def test_a_deserted_session_is_abandoned_when_its_time_has_come(join: StartMemory) -> None:
    here = join(abandon_after=10.0)
    live = await here.create()
    seat = await here.claim(live)
    live.submit(AbandonItem("abandoned"))
    live.release(seat)
    await pass_time(9)
    live.submit(AbandonItem("abandoned"))
    await here.append(live, event("a"))
    assert not live.state.ended
    await pass_time(9)
    live.submit(AbandonItem("abandoned"))
    await pass_time(2)
    assert not live.state.ended
    live.submit(AbandonItem("abandoned"))
    await until(lambda: live.state.ended)
    assert ((await here.stored()).status, live.state.record.end_reason) == ("failed", "abandoned")


@pytest.mark.parametrize("sign", ["claim", "heartbeat", "event", "end"])
async def test_a_session_is_not_abandoned_if_another_gateway_has_shown_a_sign(join: StartMemory, sign: str) -> None:
    here, there = join(abandon_after=10.0), join(abandon_after=10.0)
    live = await here.create()
    live.release(await here.claim(live))
    elsewhere = await there.open()
    await pass_time(10)
    if sign == "claim":
        await there.claim(elsewhere)
    elif sign == "heartbeat":
        elsewhere.submit(BeatItem())
        await until(lambda: elsewhere.state.unwritten)
        await there.parts.lazy_fields.flush()
    elif sign == "event":
        await there.append(elsewhere, event("a"))
    else:
        await there.end(elsewhere, reason="bye")
    live.submit(AbandonItem("abandoned"))
    await pass_time(1)
    assert (await here.stored()).end_reason == ("bye" if sign == "end" else None)
    if sign != "end":
        await pass_time(10)
        live.submit(AbandonItem("abandoned"))
        await pass_time(1)
        assert (await here.stored()).end_reason == "abandoned"


async def test_a_heartbeat_between_the_check_and_the_end_prevents_abandonment(
    join: StartMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = join(abandon_after=10.0), join(abandon_after=10.0)
    live = await here.create()
    live.release(await here.claim(live))
    await pass_time(11)
    elsewhere = await there.open()
    end = here.store.sessions.end

    async def beat_first(*arguments: object, **conditions: object) -> bool:
        elsewhere.submit(BeatItem())
        await pass_time(0.1)
        await there.parts.lazy_fields.flush()
        return await end(*arguments, **conditions)  # type: ignore[arg-type]

    monkeypatch.setattr(here.store.sessions, "end", beat_first)
    live.submit(AbandonItem("abandoned"))
    await pass_time(2)
    assert ((await here.stored()).ended_at, live.state.ended) == (None, False)
    assert live.state.record.heartbeat == 1


async def test_a_session_without_an_event_expires_whether_it_has_a_publisher_or_not(join: StartMemory) -> None:
    here = join(expire_after=20.0, end_grace=2.0)
    live = await here.create()
    seat = await here.claim(live)
    await pass_time(19)
    send(live, seat, event("a"))
    await seat.heard(1)
    live.submit(AbandonItem("expired"))
    await pass_time(19)
    assert not live.state.ended
    await pass_time(1)
    live.submit(AbandonItem("expired"))
    await until(lambda: live.state.ended)
    assert live.state.record.end_reason == "expired"
    assert seat.codes == []
    await pass_time(3)
    assert len(seat.codes) == 1


async def test_an_outage_delays_abandonment(join: StartMemory) -> None:
    here = join(abandon_after=10.0)
    live = await here.create()
    live.release(await here.claim(live))
    await pass_time(11)
    here.database.away = True
    live.submit(AbandonItem("abandoned"))
    await pass_time(5)
    here.database.away = False
    live.submit(AbandonItem("abandoned"))  # during the outage nobody could show a sign
    await pass_time(9)
    assert not live.state.ended
    await pass_time(2)
    live.submit(AbandonItem("abandoned"))
    await until(lambda: live.state.ended)
