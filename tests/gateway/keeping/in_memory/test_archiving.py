"""Sessions go into the archive, and are read from there: whole at every moment, whatever fails on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

import pytest

from tests.support.faults.database import MemoryDatabase
from tests.support.faults.objects import MemoryObjects
from tests.support.in_memory import (
    STARTED,
    MemoryGateway,
    event,
    memory_database,
    pass_time,
    shrink_pages,
    until,
)
from tests.support.memory_fixtures import StartMemory
from turnwire.gateway.keeping import archiving
from turnwire.gateway.keeping.archiving import ArchiveCounts, Archiving
from turnwire.gateway.keeping.retention import Retention
from turnwire.gateway.keeping.retention_rules import RetentionRules
from turnwire.gateway.sessions.time_orders import TimeOrders
from turnwire.protocol.errors import SessionErased, SessionHasEnded, StorageUnavailable
from turnwire.store.archive import marks
from turnwire.store.archive.checking import check_session
from turnwire.store.archive.manifest import ArchiveDamaged
from turnwire.store.archive.objects import ArchiveUnavailable
from turnwire.store.session_record import SessionRecord

IDS = [f"e{number}" for number in range(1, 8)]
PAYLOAD = {"text": "Grüße ✓ <&>\u2028", "n": 2**53 + 1, "one": 1.0, "deep": [{"a": None}]}


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects()


@pytest.fixture(autouse=True)
def small_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three events in a frame, two in a page of a digest."""
    monkeypatch.setattr(archiving, "_FRAME_EVENTS", 3)
    shrink_pages(monkeypatch, 2)


def attach(gateway: MemoryGateway, objects: MemoryObjects) -> Archiving:
    """Let the gateway use the archive."""
    gateway.store.archive.use(objects, cache_bytes=100_000, cache_seconds=60)
    return Archiving(gateway.context, gateway.sessions, objects, ArchiveCounts())


def keeping(
    gateway: MemoryGateway, objects: MemoryObjects, *, days: float = 30
) -> tuple[Retention, list[str], list[Exception]]:
    """Retention with an archive, the ids of what it archives, and why it failed."""
    gone: list[str] = []
    failed: list[Exception] = []
    made = Retention(
        gateway.store,
        gateway.parts.erasing,
        RetentionRules.read(days, None),
        gone.append,
        interval=3600,
        shared=None,
        now=lambda: STARTED + timedelta(days=100),
        archive=attach(gateway, objects),
        failed=failed.append,
    )
    return made, gone, failed


async def past(gateway: MemoryGateway, session_id: str = "s", *, evict: bool = True) -> None:
    """A session of 7 events that has ended, whose timestamps go backwards once."""
    live = await gateway.create(session_id)
    for number, event_id in enumerate(IDS):
        await gateway.append(live, event(event_id, PAYLOAD, at=1000 if number == 3 else 10_000 + number))
    await gateway.requests.complete(session_id, "completed", "done", STARTED - timedelta(days=1))
    if evict:
        await settle(gateway, session_id)


async def settle(gateway: MemoryGateway, session_id: str = "s") -> None:
    """Write what is unwritten, and evict the session."""
    await gateway.parts.lazy_fields.flush()
    live = gateway.sessions.live.get(session_id)
    if live is not None:
        await until(lambda: gateway.sessions.evict(live))


def always(_record: SessionRecord) -> bool:
    return True


async def archived(gateway: MemoryGateway, objects: MemoryObjects, session_id: str = "s") -> bool:
    return await attach(gateway, objects).archive(await gateway.stored(session_id), always)


async def ids_in(gateway: MemoryGateway) -> list[str]:
    """The events of the session as any reader gets them."""
    view = await gateway.requests.view("s")
    found = await gateway.store.events.read("s", 1, view.session.last_seq, view.life)
    assert all(each.payload == PAYLOAD and type(each.payload["one"]) is float for each in found)
    return [each.event_id for each in found]


def stored_events(database: MemoryDatabase) -> int:
    return len(database.primary["events"]) + len(database.primary["digests"])


async def test_an_archived_session_is_read_as_before_and_has_left_the_log(
    here: MemoryGateway, there: MemoryGateway, database: MemoryDatabase, objects: MemoryObjects
) -> None:
    await past(here)
    before = await here.store.events.read("s", 1, 7)
    listed = (await here.stored()).session()
    made, gone, failed = keeping(here, objects)
    attach(there, objects)
    assert (await made.look(), gone, failed) == (1, ["s"], [])
    assert stored_events(database) == 0
    for gateway in (here, there):
        log = gateway.store.events
        assert await log.read("s", 1, 7) == before
        assert await log.read_at("s", [7, 2]) == [before[1], before[6]]
        assert [each[0] for each in await log.read_ids("s", 3, 6)] == [3, 4, 5, 6]
        assert list((await TimeOrders(log).seqs("s", 7, None))[:2]) == [4, 1]
        assert await log.head_after("s", 7) == []
        view = await gateway.requests.view("s")
        assert view.session.archived is True
        assert not view.time_ordered
        view.session.archived = listed.archived
        assert view.session == listed
    assert await made.look() == 0


async def test_an_archived_session_is_a_line_that_an_import_reads(here: MemoryGateway, objects: MemoryObjects) -> None:
    await past(here)
    await archived(here, objects)
    assert await check_session(objects, "s", 7) == []
    assert sorted(key.rpartition(".")[2] for key in objects.kept) == ["json", "zst"]


async def test_a_stored_event_is_a_duplicate_and_a_new_one_comes_too_late(
    here: MemoryGateway, there: MemoryGateway, objects: MemoryObjects
) -> None:
    await past(here)
    await archived(here, objects)
    attach(there, objects)
    for gateway in (here, there):
        live = await gateway.open()
        (answer,) = await gateway.append(live, event("e5", PAYLOAD))
        assert (answer.duplicate, answer.event.seq) == (True, 5)
        with pytest.raises(SessionHasEnded):
            await gateway.append(live, event("e8"))
        seat = await gateway.claim(live)
        assert seat.opened is not None
        assert (seat.opened.last_seq, seat.opened.last_event_id) == (7, "e7")


async def test_while_the_archive_is_away_nothing_leaves_the_database(
    here: MemoryGateway, database: MemoryDatabase, objects: MemoryObjects
) -> None:
    await past(here)
    before = stored_events(database)
    made, gone, failed = keeping(here, objects)
    objects.away = True
    with pytest.raises(ArchiveUnavailable):
        await made.look()
    assert [str(each) for each in failed] == ["the archive is away; try again"]
    assert (gone, stored_events(database), await ids_in(here)) == ([], before, IDS)
    objects.away = False
    assert (await made.look(), gone) == (1, ["s"])
    objects.away = True
    await pass_time(0)
    here.store.archive.use(objects, cache_bytes=0, cache_seconds=0)
    with pytest.raises(StorageUnavailable):
        await ids_in(here)


class Killed(BaseException):
    """The gateway is no more."""


class Kill:
    """Kills the gateway at the step of this number, before or after the step is done."""

    def __init__(self, at: int) -> None:
        self.left = at

    async def __call__(self, _name: str) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed

    def between(self, work: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
        async def step(*arguments: object) -> object:
            await self("before")
            done = await work(*arguments)
            await self("after")
            return done

        return step


async def is_killed_at(step: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Return whether archiving has that many steps. If so, the gateway is killed there, and another one continues."""
    database, objects = memory_database(), MemoryObjects()
    here, there = MemoryGateway(database), MemoryGateway(database)
    await past(here)
    kill = objects.before = Kill(step)
    made, written = attach(here, objects), here.store.archive.marks
    for part, name in ((written, "begin"), (made, "_seal"), (written, "_delete"), (written, "clear")):
        monkeypatch.setattr(part, name, kill.between(getattr(part, name)))
    with suppress(Killed):
        await made.archive(await here.stored(), always)
    objects.before = MemoryObjects().before
    attach(there, objects)
    assert await ids_in(there) == IDS
    again, _, failed = keeping(there, objects)
    await again.look()
    assert failed == []
    assert await ids_in(there) == IDS
    assert stored_events(database) == 0
    assert len(objects.kept) == 2
    assert await check_session(objects, "s", 7) == []
    await here.stop()
    await there.stop()
    return kill.left <= 0


async def test_a_gateway_killed_at_any_step_leaves_the_session_whole_and_another_continues(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(marks, "SLICE", 2)
    step = 1
    while await is_killed_at(step, monkeypatch):
        step += 1
    assert step > 25


async def test_of_two_gateways_that_archive_at_once_one_does_it(
    here: MemoryGateway, there: MemoryGateway, database: MemoryDatabase, objects: MemoryObjects
) -> None:
    await past(here)
    done = await asyncio.gather(archived(here, objects), archived(there, objects))
    assert sorted(done) == [False, True]
    assert (len(objects.kept), stored_events(database)) == (2, 0)
    assert await ids_in(here) == IDS == await ids_in(there)


@pytest.mark.parametrize("alone", [True, False])
async def test_erasing_erases_in_the_archive_too(
    join: StartMemory, database: MemoryDatabase, objects: MemoryObjects, alone: bool
) -> None:
    here = join(alone=alone)
    await past(here)
    await archived(here, objects)
    assert await here.parts.erasing.erase("s", force=False)
    assert (objects.kept, stored_events(database), database.primary["sessions"]) == ({}, 0, {})
    assert here.store.archive.cached_bytes == 0


async def test_an_erasure_continues_once_the_archive_is_back(
    here: MemoryGateway, database: MemoryDatabase, objects: MemoryObjects
) -> None:
    await past(here)
    await archived(here, objects)
    objects.away = True
    with pytest.raises(StorageUnavailable):
        await here.parts.erasing.erase("s", force=False)
    assert await here.store.sessions.load("s") is None
    objects.away = False
    await until(lambda: not objects.kept and not database.primary["sessions"])


async def test_a_session_that_is_erased_while_it_is_written_is_not_left_in_the_archive(
    here: MemoryGateway, database: MemoryDatabase, objects: MemoryObjects
) -> None:
    await past(here)
    made = attach(here, objects)

    async def erase_first(name: str) -> None:
        if name == "answer put" and "s" in database.primary["sessions"]:
            objects.before = MemoryObjects().before
            await here.parts.erasing.erase("s", force=False)

    objects.before = erase_first
    assert await made.archive(await here.stored(), always) is False
    assert (objects.kept, stored_events(database), database.primary["sessions"]) == ({}, 0, {})


async def test_a_session_that_is_put_on_hold_while_it_is_written_stays_in_the_log(
    here: MemoryGateway, database: MemoryDatabase, objects: MemoryObjects
) -> None:
    await past(here)
    before = stored_events(database)
    made = attach(here, objects)

    async def hold_first(name: str) -> None:
        if name == "answer put":
            await here.requests.amend("s", {"legalHold": True}, None)

    objects.before = hold_first
    assert await made.archive(await here.stored(), lambda record: not record.metadata.get("legalHold")) is False
    assert (objects.kept, stored_events(database)) == ({}, before)
    assert await ids_in(here) == IDS


async def test_trouble_with_the_database_does_not_make_an_archived_log_look_lost(
    here: MemoryGateway, objects: MemoryObjects
) -> None:
    await past(here, evict=False)
    live = await here.open()
    await archived(here, objects)
    here.store.events._condition.troubles += 1
    (answer,) = await here.append(live, event("e7", PAYLOAD))
    assert (answer.duplicate, live.state.record.last_seq) == (True, 7)
    assert not here.heard("rolled_back")


@pytest.mark.parametrize("harm", ["gone", "changed", "cut", "manifest"])
async def test_a_damaged_archive_is_said_to_be_damaged(here: MemoryGateway, objects: MemoryObjects, harm: str) -> None:
    await past(here)
    await archived(here, objects)
    reported: list[str] = []
    here.store.archive.on_trouble = lambda session_id, _: reported.append(session_id)
    line, manifest = sorted(objects.kept, key=lambda key: key.endswith(".json"))
    whole = objects.kept[line]
    middle = len(whole) // 2
    match harm:
        case "gone":
            del objects.kept[line]
        case "changed":
            objects.kept[line] = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        case "cut":
            objects.kept[line] = whole[:middle]
        case "manifest":
            objects.kept[manifest] = objects.kept[manifest].replace(b'"events":7', b'"events":8')
    with pytest.raises(ArchiveDamaged):
        await ids_in(here)
    assert reported == ["s"]
    assert len(await check_session(objects, "s", 7)) == 1


async def test_archived_events_are_cached_for_a_while(here: MemoryGateway, objects: MemoryObjects) -> None:
    await past(here)
    await archived(here, objects)
    objects.reads = 0
    await ids_in(here)
    first = objects.reads
    assert first == 4  # the manifest, and three parts
    await ids_in(here)
    assert objects.reads == first


async def test_without_the_setting_archived_sessions_stay_and_their_events_cannot_be_read(
    here: MemoryGateway, there: MemoryGateway, objects: MemoryObjects
) -> None:
    await past(here)
    await archived(here, objects)
    made = Retention(
        there.store,
        there.parts.erasing,
        RetentionRules.read(1, None),
        lambda _: None,
        interval=3600,
        shared=None,
        now=lambda: STARTED + timedelta(days=100),
    )
    assert await made.look() == 0
    assert (await there.requests.view("s")).session.archived is True
    with pytest.raises(ArchiveUnavailable):
        await ids_in(there)


async def test_a_session_that_still_takes_events_is_not_archived(here: MemoryGateway, objects: MemoryObjects) -> None:
    live = await here.create("s", event("e1", PAYLOAD))
    await here.end(live)
    assert await archived(here, objects) is False
    assert objects.kept == {}


async def test_a_session_without_events_is_archived_too(here: MemoryGateway, objects: MemoryObjects) -> None:
    await here.create("s")
    await here.requests.complete("s", "failed", None, STARTED - timedelta(days=1))
    assert await archived(here, objects) is True
    assert (await here.requests.view("s")).session.archived is True
    assert await check_session(objects, "s", 0) == []


async def test_a_new_session_of_an_erased_id_is_not_shown_what_is_archived_of_the_old_one(
    here: MemoryGateway, objects: MemoryObjects
) -> None:
    await past(here)
    await archived(here, objects)
    live = await here.open()
    await here.parts.erasing.erase("s", force=False)
    assert live.state.erased
    with pytest.raises(SessionErased):
        await here.store.sessions.reload(live.state.record)
    await here.create("s", event("new", PAYLOAD), life=2)
    assert await ids_in(here) == ["new"]
