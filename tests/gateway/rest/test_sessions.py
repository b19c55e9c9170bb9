"""REST: creating, reading, listing and ending sessions."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from urllib.parse import quote
from uuid import UUID

import pytest

from tests.support.gateways import Gateway, Json, StartGateway, new_event, new_id
from tests.support.sockets import Socket
from turnwire.protocol.messages import Session
from turnwire.protocol.times import parse_time
from turnwire.store.sessions import SessionRecord


async def create(gateway: Gateway, body: Json) -> tuple[Json, str | None]:
    """Return the session, and the header that says whether it existed before."""
    async with gateway.request("POST", "/sessions", json=body) as response:
        assert response.status == 200, await response.text()
        return await response.json(), response.headers.get("Idempotent-Replayed")


async def complete(gateway: Gateway, session_id: str, body: Json = None) -> tuple[Json, str | None]:
    async with gateway.request("POST", f"/sessions/{session_id}/complete", json=body) as response:
        assert response.status == 200, await response.text()
        return await response.json(), response.headers.get("Idempotent-Replayed")


# --- creating --------------------------------------------------------------------------------------------------------


async def test_a_new_session_has_the_requested_fields(gateway: Gateway) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    session, replayed = await create(gateway, {"sessionId": "call-1", "language": "de-DE", "metadata": {"a": [1]}})
    assert replayed is None
    started_at = session.pop("startedAt")
    assert before <= parse_time(started_at) <= datetime.now(UTC)
    assert session == {
        "sessionId": "call-1",
        "status": "initiated",
        "language": "de-DE",
        "endedAt": None,
        "metadata": {"a": [1]},
        "lastSeq": 0,
        "lastEventAt": None,
        "endReason": None,
        "figures": None,
    }


async def test_a_session_may_start_as_active(gateway: Gateway) -> None:
    session, _ = await create(gateway, {"language": "en", "status": "active"})
    assert session["status"] == "active"


@pytest.mark.parametrize("without_id", [{}, {"sessionId": None}])
async def test_without_a_session_id_the_gateway_makes_a_uuid7(gateway: Gateway, without_id: Json) -> None:
    first, _ = await create(gateway, {"language": "en", **without_id})
    second, _ = await create(gateway, {"language": "en", **without_id})
    assert UUID(first["sessionId"]).version == 7
    assert first["sessionId"] < second["sessionId"]


async def test_an_existing_session_is_returned_unchanged(gateway: Gateway) -> None:
    first, _ = await create(gateway, {"sessionId": "s", "language": "en", "metadata": {"n": 1}})
    again, replayed = await create(
        gateway, {"sessionId": "s", "language": "fr", "metadata": {"n": 2}, "status": "active"}
    )
    assert (again, replayed) == (first, "true")


async def test_an_existing_session_is_returned_by_a_gateway_without_it_in_memory(start_gateway: StartGateway) -> None:
    first, _ = await create(await start_gateway(), {"sessionId": "s", "language": "en"})
    again, replayed = await create(await start_gateway(), {"sessionId": "s", "language": "fr"})
    assert (again, replayed) == (first, "true")


async def test_unknown_fields_of_a_body_are_ignored(gateway: Gateway) -> None:
    session, _ = await create(gateway, {"language": "en", "endedAt": "now", "nobody": {"knows": 1}})
    assert session["endedAt"] is None


@pytest.mark.parametrize("length", [1, 256])
async def test_session_ids_at_the_length_limits_are_accepted(gateway: Gateway, length: int) -> None:
    session_id = "ä" * length
    await gateway.create(session_id)
    assert (await gateway.get(f"/sessions/{quote(session_id)}"))["sessionId"] == session_id


@pytest.mark.parametrize("session_id", [".", ".."])
async def test_no_session_is_made_that_a_path_cannot_name(gateway: Gateway, session_id: str) -> None:
    envelope = await gateway.refused("POST", "/sessions", 400, json={"sessionId": session_id, "language": "en"})
    assert envelope["message"] == [f"sessionId must not be {session_id}, which has a meaning of its own in a path"]
    await gateway.refused("GET", f"/sessions/{session_id.replace('.', '%2E')}", 404)


@pytest.mark.parametrize(
    "session_id",
    ["a/b", "a/b/events", "/", "...", "%2F", "%", "a b+c", "{x}", "?#&=;", "\n\t\0", "日本語 🎙", "'\"\\", "publish"],
)
async def test_a_session_id_may_contain_any_characters(gateway: Gateway, session_id: str) -> None:
    await gateway.create(session_id)
    path = f"/sessions/{quote(session_id, safe='')}"
    await gateway.post(f"{path}/events", new_event("e/1"), status=201)
    session = await gateway.get(path)
    assert session["sessionId"] == session_id
    window = await gateway.get(f"{path}/events")
    assert [event["sessionId"] for event in window["events"]] == [session_id]
    ended, _ = await complete(gateway, quote(session_id, safe=""))
    assert ended["sessionId"] == session_id


@pytest.mark.parametrize("session_id", ["a/b", "-", "%2F", "a b+c", "x=y&sessionId=z", "日本語 🎙"])
async def test_every_route_of_a_session_takes_its_id_in_the_query(gateway: Gateway, session_id: str) -> None:
    await gateway.create(session_id)
    path, query = "/sessions/-", f"?sessionId={quote(session_id, safe='')}"
    assert (await gateway.get(path + query))["sessionId"] == session_id
    event = await gateway.post(f"{path}/events{query}", new_event("e1"), status=201)
    assert event["sessionId"] == session_id
    assert (await gateway.get(f"{path}/events{query}&afterSeq=0"))["lastSeq"] == 1
    assert (await gateway.get(f"{path}/stats{query}"))["sessionId"] == session_id
    amended = await gateway.ask("PATCH", path + query, json={"language": "de"})
    assert (amended["sessionId"], amended["language"]) == (session_id, "de")
    command = {"commandId": "c", "command": "whisper", "payload": {"text": "Hello"}}
    refused = await gateway.refused("POST", f"{path}/commands{query}", 409, json=command)
    assert refused["code"] == "not_accepted"
    bot = await Socket.connect(gateway, f"{path}/publish{query}")
    assert (await bot.next("opened"))["session"]["sessionId"] == session_id
    await bot.close()
    assert (await gateway.post(f"{path}/complete{query}", {}))["sessionId"] == session_id
    async with gateway.request("DELETE", f"{path}{query}&force=true") as response:
        assert response.status == 204
    await gateway.refused("GET", path + query, 404)


@pytest.mark.parametrize(
    ("path", "query", "text"),
    [
        ("other", "sessionId=a", "the path must have -"),
        ("-", "sessionId=a&sessionId=a", "given once"),
        ("-", "sessionId=", "1 to 256 characters"),
        ("-", "sessionId=%FF", "percent-encoded UTF-8"),
        ("-", "sessionId=%2", "percent-encoded UTF-8"),
    ],
)
async def test_a_session_id_in_the_query_is_unmistakable(gateway: Gateway, path: str, query: str, text: str) -> None:
    await gateway.create("a")
    refused = await gateway.refused("GET", f"/sessions/{path}?{query}", 400)
    assert text in str(refused["message"])
    assert (await gateway.get("/sessions/a?sessionId=a"))["sessionId"] == "a"


# --- ending ----------------------------------------------------------------------------------------------------------


async def test_a_session_ends_once_and_repeats_return_the_same_end(gateway: Gateway) -> None:
    session_id = await gateway.create()
    first, replayed = await complete(gateway, session_id, {"status": "failed", "reason": "hangup"})
    assert (first["status"], first["endReason"], replayed) == ("failed", "hangup", None)
    assert parse_time(first["endedAt"]) >= parse_time(first["startedAt"])
    again, replayed = await complete(gateway, session_id, {"status": "completed", "reason": "other"})
    assert (again, replayed) == (first, "true")
    read = await gateway.get(f"/sessions/{session_id}")
    assert {name: read[name] for name in first} == first


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "application/x-www-form-urlencoded"}])
async def test_the_body_of_complete_may_be_absent(gateway: Gateway, headers: dict[str, str]) -> None:
    session_id = await gateway.create()
    session = await gateway.ask("POST", f"/sessions/{session_id}/complete", headers=headers)
    assert (session["status"], session["endReason"]) == ("completed", None)


async def test_an_unknown_session_is_not_found_on_any_route(gateway: Gateway) -> None:
    for method, path in (
        ("GET", ""),
        ("GET", "/events"),
        ("POST", "/complete"),
    ):
        envelope = await gateway.refused(method, f"/sessions/nobody{path}", 404)
        assert envelope["code"] == "not_found"
        assert "nobody" in envelope["message"]
    assert (await gateway.refused("POST", "/sessions/nobody/events", 404, json=new_event("e")))["code"] == "not_found"


# --- listing ---------------------------------------------------------------------------------------------------------


async def insert(gateway: Gateway, started_at: datetime, count: int, **fields: Json) -> list[str]:
    """Store sessions that all started at this moment. Return their ids."""
    ids = [new_id("s") for _ in range(count)]
    for session_id in ids:
        assert await gateway.store.sessions.create(SessionRecord(session_id, "en", started_at, **fields))
    return ids


async def walk(gateway: Gateway, query: str) -> list[Json]:
    """Return all sessions, read page by page."""
    sessions: list[Json] = []
    cursor = ""
    while True:
        page = await gateway.get(f"/sessions?{query}{cursor}")
        sessions += page["sessions"]
        if page["nextCursor"] is None:
            return sessions
        assert page["sessions"]
        cursor = f"&cursor={page['nextCursor']}"


NOON = datetime(2025, 12, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 12, 13, 100])
async def test_pages_of_sessions_are_complete_even_if_many_started_at_once(gateway: Gateway, limit: int) -> None:
    ids = await insert(gateway, NOON, 6)
    later = await insert(gateway, NOON + timedelta(milliseconds=1), 3)
    earlier = await insert(gateway, NOON - timedelta(days=400), 3)
    sessions = await walk(gateway, f"limit={limit}")
    wanted = sorted(later, reverse=True) + sorted(ids, reverse=True) + sorted(earlier, reverse=True)
    assert [session["sessionId"] for session in sessions] == wanted


async def test_sessions_created_while_paging_do_not_shift_the_pages(gateway: Gateway) -> None:
    ids = sorted(await insert(gateway, NOON, 4), reverse=True)
    page = await gateway.get("/sessions?limit=2")
    await gateway.create()
    rest = await gateway.get(f"/sessions?limit=2&cursor={page['nextCursor']}")
    assert [session["sessionId"] for session in page["sessions"] + rest["sessions"]] == ids
    assert rest["nextCursor"] is None


async def test_the_page_with_the_last_session_has_no_cursor(gateway: Gateway) -> None:
    await insert(gateway, NOON, 2)
    assert (await gateway.get("/sessions?limit=2"))["nextCursor"] is None
    assert await gateway.get("/sessions?startedAfter=2030-01-01T00:00:00Z") == {"sessions": [], "nextCursor": None}


async def test_started_after_and_started_before_are_exclusive(gateway: Gateway) -> None:
    for offset in (-2, -1, 0, 1, 2):
        await insert(gateway, NOON + timedelta(milliseconds=offset), 1)
    for query, wanted in (
        ("startedAfter=2025-12-21T12:00:00.000Z", [1, 2]),
        ("startedBefore=2025-12-21T12:00:00.000Z", [-2, -1]),
        ("startedBefore=2025-12-21T12:00:00.000500Z", [-2, -1, 0]),
        ("startedAfter=2025-12-21T11:59:59.999500Z", [0, 1, 2]),
        ("startedAfter=2025-12-21T13:59:59.999%2B02:00&startedBefore=2025-12-21T14:00:00.001%2B02:00", [0]),
        ("startedAfter=2025-12-21T13:59:59.999+02:00&startedBefore=2025-12-21T14:00:00.001+0200", [0]),
        ("startedAfter=2025-12-21T12:00:00.002Z&startedBefore=2025-12-21T12:00:00.001Z", []),
    ):
        sessions = await walk(gateway, f"limit=2&{query}")
        offsets = [(parse_time(each["startedAt"]) - NOON) // timedelta(milliseconds=1) for each in sessions]
        assert offsets == sorted(wanted, reverse=True), query


async def test_sessions_are_filtered_by_status_and_language(gateway: Gateway) -> None:
    initiated = await gateway.create(language="de")
    active = await gateway.create(language="de")
    failed = await gateway.create(language="en")
    await gateway.fill(active, 1)
    await complete(gateway, failed, {"status": "failed"})

    async def ids(query: str) -> set[str]:
        return {session["sessionId"] for session in await walk(gateway, query)}

    assert await ids("") == {initiated, active, failed}
    assert await ids("status=initiated") == {initiated}
    assert await ids("status=active") == {active}
    assert await ids("status=failed") == {failed}
    assert await ids("status=completed") == set()
    assert await ids("language=de") == {initiated, active}
    assert await ids("language=de&status=active") == {active}
    assert await ids("language=fr") == set()


async def test_a_listed_session_equals_the_session_as_read(gateway: Gateway) -> None:
    session_id = await gateway.create(metadata={"x": {"y": None}})
    await gateway.fill(session_id, 3)
    (listed,) = (await gateway.get("/sessions"))["sessions"]
    read = await gateway.get(f"/sessions/{session_id}")
    assert set(listed) == set(Session.__struct_encode_fields__) - {"commands", "archived", "quietMs"}
    assert listed == {name: read[name] for name in listed}
    assert listed["lastSeq"] == 3


async def test_sessions_created_while_paging_are_never_listed_twice(gateway: Gateway) -> None:
    ids = set(await insert(gateway, NOON, 30))

    async def create_some() -> None:
        for _ in range(20):
            await gateway.create()

    creating = asyncio.create_task(create_some())
    found = [session["sessionId"] for session in await walk(gateway, "limit=3")]
    await creating
    assert len(found) == len(set(found))
    assert ids <= set(found)
