"""Sessions in no gateway's memory are found, left alone while anyone uses them, and ended when nobody comes back."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from msgspec import UNSET

from tests.support.in_memory import MemoryGateway, Seat, event, itself, pass_time, record, send, until, virtual_now
from tests.support.memory_fixtures import StartMemory
from tests.support.passes import Passes
from turnwire.gateway.live.items import AcceptItem, BeatItem
from turnwire.gateway.live.live_session import LiveSession
from turnwire.gateway.sessions import sweeping
from turnwire.gateway.sessions.sweeping import Sweep
from turnwire.gateway.turns import SLICE_SECONDS, Turns
from turnwire.protocol.errors import StorageUnavailable
from turnwire.store.sessions import SessionQuery

QUICK: dict[str, Any] = {"abandon_after": 10.0, "expire_after": 0}


def sweep_of(gateway: MemoryGateway, turns: Turns | None = None) -> Sweep:
    return Sweep(gateway.context, gateway.sessions, turns or gateway.parts.turns)


async def look_and_tend(sweep: Sweep, seconds: float) -> None:
    for _ in range(int(seconds)):
        await sweep.look()
        await sweep.tend()
        await pass_time(1)


async def test_a_session_left_by_a_stopped_gateway_is_ended_after_its_time(join: StartMemory) -> None:
    gone, here = join(**QUICK), join(**QUICK)
    await gone.claim(await gone.create())
    sweep = sweep_of(here)
    await look_and_tend(sweep, 9)
    assert (await here.stored()).ended_at is None
    await look_and_tend(sweep, 3)
    assert ((await here.stored()).end_reason, (await here.stored()).status) == ("abandoned", "failed")


async def test_a_session_that_never_had_a_publisher_is_not_abandoned(join: StartMemory) -> None:
    gone, here = join(**QUICK), join(**QUICK)
    await gone.create("s", event("a"))
    await gone.parts.lazy_fields.flush()
    await look_and_tend(sweep_of(here), 15)
    assert ((await here.stored()).ended_at, "s" in here.live) == (None, False)


async def test_heartbeats_at_another_gateway_keep_a_silent_publishers_session_open(join: StartMemory) -> None:
    there, here = join(**QUICK), join(**QUICK)
    live = await there.create()
    await there.claim(live)
    sweep = sweep_of(here)
    for _ in range(10):
        live.submit(BeatItem())
        await until(lambda: live.state.unwritten)
        await there.parts.lazy_fields.flush()
        await look_and_tend(sweep, 3)
    assert ((await here.stored()).ended_at, here.live) == (None, {})


async def test_events_of_a_gateway_with_unwritten_fields_keep_a_session_open(join: StartMemory) -> None:
    there, here = join(**QUICK), join(**QUICK)
    live = await there.create()
    seat = await there.claim(live)
    sweep = sweep_of(here)
    for number in range(20):
        send(live, seat, event(f"e{number}"))
        await look_and_tend(sweep, 1)
    assert (await here.stored()).ended_at is None


async def test_the_first_sweep_writes_fields_that_lag_in_the_store(join: StartMemory) -> None:
    gone, here = join(**QUICK), join(**QUICK)
    await gone.create("lags", event("a"))
    await gone.create("empty")
    await sweep_of(here).look()
    assert set(here.live) == {"lags"}
    await here.parts.lazy_fields.flush()
    assert (await here.stored("lags")).status == "active"


async def test_a_starting_gateway_loads_no_sessions_of_others(join: StartMemory) -> None:
    there, here = join(**QUICK), join(**QUICK)
    for number in range(20):
        await there.claim(await there.create(f"s{number}"))
    await sweep_of(here).look()
    assert here.live == {}


@pytest.mark.parametrize("epoch", [0, 1])
async def test_a_forgotten_session_expires_by_its_stored_timestamps(join: StartMemory, epoch: int) -> None:
    await pass_time(100)
    here = join(abandon_after=600.0, expire_after=60.0)
    await here.store.sessions.create(record("old", epoch=epoch))
    recent = record("recent", epoch=epoch)
    recent.started_at = virtual_now()
    await here.store.sessions.create(recent)
    sweep = sweep_of(here)
    await look_and_tend(sweep, 2)
    assert (await here.stored("old")).end_reason == "expired"
    assert (await here.stored("recent")).ended_at is None
    await look_and_tend(sweep, 60)
    assert (await here.stored("recent")).end_reason == "expired"


async def test_full_memory_only_delays_an_abandonment(join: StartMemory) -> None:
    gone, here = join(**QUICK), join(max_live_sessions=1, **QUICK)
    await gone.claim(await gone.create())
    blocking = await here.create("blocking")
    seat = await here.claim(blocking)
    sweep = sweep_of(here)
    await look_and_tend(sweep, 15)
    assert (await here.stored()).ended_at is None
    await here.end(blocking)
    blocking.release(seat)
    await look_and_tend(sweep, 3)
    assert (await here.stored()).end_reason == "abandoned"


async def left_by_a_restart(join: StartMemory) -> MemoryGateway:
    """A lone gateway. Before its orderly restart, somebody published the session."""
    gone = join(alone=True, search="off", **QUICK)
    await gone.claim(await gone.create("s", event("a")))
    await gone.parts.lazy_fields.flush()
    await gone.parts.stop()
    return join(alone=True, search="off", **QUICK)


async def test_after_a_restart_a_session_to_which_no_bot_comes_back_ends_after_its_time(join: StartMemory) -> None:
    here = await left_by_a_restart(join)
    here.start()
    await pass_time(9)
    assert (await here.stored()).ended_at is None
    await pass_time(5)
    assert ((await here.stored()).end_reason, (await here.stored()).status) == ("abandoned", "failed")


async def test_after_a_restart_a_bot_that_comes_back_keeps_its_session(join: StartMemory) -> None:
    here = await left_by_a_restart(join)
    here.start()
    await pass_time(5)
    await here.claim(await here.open())
    await pass_time(60)
    assert (await here.stored()).ended_at is None


async def test_without_other_gateways_the_time_in_which_the_storage_is_away_does_not_count(
    join: StartMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = await left_by_a_restart(join)
    here.start()
    await pass_time(5)
    open_ = here.sessions.open
    monkeypatch.setattr(here.sessions, "open", unavailable)
    await pass_time(8)
    monkeypatch.setattr(here.sessions, "open", open_)
    await pass_time(6)
    assert (await here.stored()).ended_at is None
    await pass_time(15)
    assert (await here.stored()).end_reason == "abandoned"


async def unavailable(_session_id: str) -> LiveSession:
    raise StorageUnavailable


# --- commands of a bot whose gateway was killed ----------------------------------------------------------------------


async def accept(live: LiveSession, seat: Seat, *commands: str) -> None:
    live.submit(AcceptItem(seat, list(commands)))
    await until(lambda: live.state.record.commands == list(commands))


async def test_after_a_kill_no_session_names_the_commands_of_a_bot_that_has_not_come_back(join: StartMemory) -> None:
    gone = join(alone=True, **QUICK)
    for name in ("away", "back"):
        live = await gone.create(name)
        await accept(live, await gone.claim(live), "whisper")
    here = join(alone=True, **QUICK)
    back = await here.open("back")
    await accept(back, await here.claim(back), "say")
    here.start()
    await pass_time(3)
    assert ((await here.stored("away")).commands, (await here.stored("back")).commands) == (None, ["say"])
    listed = await here.parts.pages.list_sessions(SessionQuery(limit=9), itself)
    assert {each.session_id: each.commands for each in listed} == {"away": UNSET, "back": ["say"]}


async def test_commands_stand_while_their_bot_may_live_at_another_gateway(join: StartMemory) -> None:
    there, here = join(**QUICK), join(**QUICK)
    live = await there.create()
    await accept(live, await there.claim(live), "whisper")
    watched = (await here.open()).state
    for gateway in (there, here):
        gateway.start()
    await pass_time(9)
    assert (await here.stored()).commands == ["whisper"]
    await there.stop()
    await pass_time(9)
    assert ((await here.stored()).commands, watched.record.commands) == (None, None)
    assert (await here.stored()).ended_at is None


async def test_many_left_sessions_are_looked_through_a_slice_at_a_time(
    join: StartMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, here = join(**QUICK), join(**QUICK)
    for number in range(64):
        await gone.create(str(number))
    passes, looked, pauses = Passes(), [0], list[int]()
    sweep = sweep_of(here, Turns(passes.clock))
    await sweep.look()
    is_over = sweeping._Seen.is_over

    def slow(*arguments: Any) -> bool:
        passes.done(SLICE_SECONDS / 16)  # asked twice of each
        looked[0] += 1
        return is_over(*arguments)

    async def pause(_seconds: float) -> None:
        pauses.append(looked[0])

    monkeypatch.setattr(sweeping._Seen, "is_over", slow)
    monkeypatch.setattr(asyncio, "sleep", pause)
    await sweep.tend()
    assert looked[0] == 128
    assert len(pauses) >= 6
    assert all(after - before <= 18 for before, after in pairwise(pauses))


async def test_logs_of_many_left_sessions_are_asked_for_some_at_a_time_and_those_ahead_are_all_opened(
    join: StartMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "READ_WINDOW", 5)
    gone, here = join(**QUICK), join(**QUICK)
    for number in range(12):
        await gone.create(str(number), event("a"))
    asked, advanced = list[int](), here.store.events.advanced

    async def counted(heads: dict[str, int]) -> list[str]:
        asked.append(len(heads))
        return await advanced(heads)

    monkeypatch.setattr(here.store.events, "advanced", counted)
    await sweep_of(here).look()
    assert asked == [5, 5, 2]
    assert len(here.live) == 12


async def test_many_sessions_that_are_over_are_ended_a_few_at_a_time(
    join: StartMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "A_FEW", 3)
    gone, here = join(**QUICK), join(**QUICK)
    for number in range(10):
        await gone.claim(await gone.create(str(number)))
    sweep, open_session = sweep_of(here), here.sessions.open
    begun, most = 0, 0

    async def opened(session_id: str) -> LiveSession:
        nonlocal begun, most
        begun += 1
        most = max(most, begun)
        live = await open_session(session_id)
        await asyncio.sleep(0)
        begun -= 1
        return live

    monkeypatch.setattr(here.sessions, "open", opened)
    await look_and_tend(sweep, 11)
    await until(lambda: all(live.state.ended for live in here.live.values()))
    assert (len(here.live), most) == (10, 3)
