"""Archived sessions are in backups as all others are, and a restore makes them readable again."""

from __future__ import annotations

import pytest

from tests.gateway.keeping.in_memory.test_archiving import IDS, PAYLOAD, archived, attach, ids_in, keeping, past, settle
from tests.gateway.keeping.in_memory.test_backup_lines import Json, backup_of, other_gateway, restored
from tests.support.faults.objects import MemoryObjects
from tests.support.in_memory import MemoryGateway, event


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects()


def ids_of(line: Json) -> list[str]:
    return [each["eventId"] for each in line["events"]]


async def backup_with_an_archived_session(gateway: MemoryGateway, objects: MemoryObjects) -> list[Json]:
    await gateway.create("live", event("acked"))
    await past(gateway)
    await archived(gateway, objects)
    lines = sorted(await backup_of(gateway), key=lambda line: str(line["sessionId"]))
    assert [line["sessionId"] for line in lines] == ["live", "s"]
    return lines


async def test_a_backup_has_what_was_acked_and_what_is_archived_and_a_restore_makes_both_readable(
    here: MemoryGateway, objects: MemoryObjects
) -> None:
    lines = await backup_with_an_archived_session(here, objects)
    assert [ids_of(line) for line in lines] == [["acked"], IDS]
    before = await here.store.events.read("s", 1, 7)
    other = other_gateway()
    try:
        assert await restored(other, lines) == ["imported", "imported"]
        assert await restored(other, lines, verify=True) == ["unchanged", "unchanged"]
        assert await ids_in(other) == IDS
        after = await other.store.events.read("s", 1, 7)
        assert [(each.seq, each.timestamp) for each in after] == [(each.seq, each.timestamp) for each in before]
        (answer,) = await other.append(await other.open(), event("e5", PAYLOAD))
        assert (answer.duplicate, answer.event.seq) == (True, 5)
    finally:
        await other.stop()


async def test_a_restored_session_is_archived_again_when_its_time_is_over(
    here: MemoryGateway, objects: MemoryObjects
) -> None:
    lines = await backup_with_an_archived_session(here, objects)
    other, elsewhere = other_gateway(), MemoryObjects()
    try:
        made, gone, failed = keeping(other, elsewhere)
        assert await made.look() == 0
        await restored(other, lines)
        await settle(other)
        assert (await made.look(), gone, failed) == (1, ["s"], [])
        assert await ids_in(other) == IDS
    finally:
        await other.stop()


async def test_a_restore_leaves_what_is_archived_as_it_is(here: MemoryGateway, objects: MemoryObjects) -> None:
    lines = await backup_with_an_archived_session(here, objects)
    kept = dict(objects.kept)
    for verify in (False, True):
        assert await restored(here, lines, verify=verify) == ["unchanged", "unchanged"]
    assert objects.kept == kept


async def test_a_damaged_archive_keeps_neither_a_backup_nor_a_restore_from_all_others(
    here: MemoryGateway, objects: MemoryObjects
) -> None:
    good = await backup_with_an_archived_session(here, objects)
    objects.kept.clear()
    attach(here, objects)
    bad = sorted(await backup_of(here), key=lambda line: str(line["sessionId"]))
    assert [(line["sessionId"], line.get("unreadable")) for line in bad] == [
        ("live", None),
        ("s", "the archive of session 's' is damaged"),
    ]
    assert await restored(here, good) == ["unchanged", "different"]
    other = other_gateway()
    try:
        assert await restored(other, bad) == ["imported", "refused"]
    finally:
        await other.stop()
    await here.parts.erasing.erase("s", force=False)
    assert await restored(here, good) == ["unchanged", "imported"]
    assert await ids_in(here) == IDS
