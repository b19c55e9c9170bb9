"""What clients of other session services rely on when they move to Turnwire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.support.gateways import Gateway, Json, new_event

ROUTES: list[tuple[str, str, Json]] = [
    ("GET", "", None),
    ("PATCH", "", {"language": "en"}),
    ("GET", "/events", None),
    ("POST", "/events", new_event("e1")),
    ("POST", "/complete", None),
    ("POST", "/commands", {"commandId": "c", "command": "wave", "payload": {}}),
    ("GET", "/stats", None),
]


async def test_every_route_says_which_session_is_not_found(gateway: Gateway) -> None:
    for method, path, body in ROUTES:
        arguments = {} if body is None else {"json": body}
        refused = await gateway.refused(method, f"/sessions/call-17{path}", 404, **arguments)
        assert refused["message"] == "Session call-17 not found"


async def test_any_status_is_accepted_for_an_existing_session_which_stays_as_it_is(gateway: Gateway) -> None:
    await gateway.create("s")
    for status in ("initiated", "active", "completed", "failed"):
        body = {"sessionId": "s", "language": "fr", "status": status}
        async with gateway.request("POST", "/sessions", json=body) as response:
            session = await response.json()
            assert (response.status, response.headers["Idempotent-Replayed"]) == (200, "true")
        assert (session["status"], session["language"], session["endedAt"]) == ("initiated", "en", None)


async def test_a_new_session_cannot_begin_with_its_end(gateway: Gateway) -> None:
    for session_id in ("new", None):
        body = {"sessionId": session_id, "language": "en", "status": "completed"}
        refused = await gateway.refused("POST", "/sessions", 400, json=body)
        assert "cannot begin with its end" in str(refused["message"])


async def test_a_session_may_have_begun_in_the_past(gateway: Gateway) -> None:
    await gateway.create("s", startedAt="2023-05-01T12:00:00.1239+02:00")
    await gateway.post("/sessions/s/events", new_event("e1"), status=201)
    ended = await gateway.post("/sessions/s/complete", None)
    assert ended["startedAt"] == "2023-05-01T10:00:00.123Z"
    listed = await gateway.get("/sessions?startedBefore=2023-05-02T00:00:00Z")
    assert [each["sessionId"] for each in listed["sessions"]] == ["s"]


async def test_a_session_does_not_begin_in_the_future(gateway: Gateway) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    body = {"language": "en", "startedAt": tomorrow}
    refused = await gateway.refused("POST", "/sessions", 400, json=body)
    assert "startedAt must not be in the future" in str(refused["message"])
