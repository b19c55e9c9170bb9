"""Every route requires its scope and a covered session, and reveals nothing of what exists to anyone else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSServerHandshakeError

from tests.gateway.access.wired import allowed, start_guarded
from tests.support.gateways import Gateway, StartGateway
from tests.support.sockets import publish_path
from turnwire.gateway.access.door import Opening, opening_of
from turnwire.protocol.rights import Scope

ROUTES: list[tuple[str, str, Any, str]] = [
    ("POST", "/sessions", {"language": "en", "sessionId": "a1"}, "session:create"),
    ("GET", "/sessions", None, "session:list"),
    ("GET", "/sessions/a1", None, "session:read"),
    ("GET", "/sessions/a1/events", None, "session:read"),
    ("GET", "/sessions/a1/stats", None, "session:read"),
    ("POST", "/sessions/a1/events", {"eventId": "e", "type": "system", "payload": {}}, "session:publish"),
    ("POST", "/sessions/a1/complete", {}, "session:complete"),
    ("GET", "/streams/a1", None, "session:read"),
    ("POST", "/streams/a1", {"text": "a value"}, "session:publish"),
    ("DELETE", "/streams/a1", None, "session:delete"),
    ("POST", "/tokens", {"sub": "browser", "scope": "", "sessions": []}, "token:mint"),
    ("GET", "/metrics", None, "metrics"),
    ("GET", "/metrics/recent", None, "metrics"),
    ("GET", "/health", None, "metrics"),
]


@pytest.fixture
async def guarded(start_gateway: StartGateway, tmp_path: Path) -> Gateway:
    return await start_guarded(start_gateway, tmp_path)


@pytest.mark.parametrize(("method", "path", "body", "scope"), ROUTES)
async def test_each_route_requires_its_scope_and_accepts_no_other(
    guarded: Gateway, method: str, path: str, body: Any, scope: str
) -> None:
    await guarded.create("a1")
    arguments = {} if body is None else {"json": body}
    others = " ".join(set(Scope) - {scope, "admin"})
    refused = await guarded.refused(method, path, 403, headers=allowed(others), **arguments)
    assert scope in refused["message"]
    async with guarded.request(method, path, headers=allowed(scope), **arguments) as response:
        assert response.status in (200, 201, 204), await response.text()


@pytest.mark.parametrize(("method", "path", "body", "scope"), [each for each in ROUTES if "a1" in str(each)])
async def test_an_uncovered_session_is_refused_whether_it_exists_or_not(
    guarded: Gateway, method: str, path: str, body: Any, scope: str
) -> None:
    arguments = {} if body is None else {"json": body}
    texts = []
    for _ in range(2):
        refused = await guarded.refused(method, path, 403, headers=allowed(scope, "b*"), **arguments)
        texts.append(refused["message"])
        await guarded.create("a1")
    assert texts[0] == texts[1]


@pytest.mark.parametrize("path", ["/revocations", "/sessions/a1/events"])
async def test_every_route_without_a_credential_answers_with_a_challenge(guarded: Gateway, path: str) -> None:
    guarded.client.headers.popall("Authorization")
    async with guarded.request("POST", path, json={"sub": "x"}) as response:
        assert response.status == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer")


async def test_only_an_admin_may_revoke(guarded: Gateway) -> None:
    every_other = " ".join(set(Scope) - {"admin"})
    await guarded.refused("POST", "/revocations", 403, headers=allowed(every_other), json={"sub": "x"})
    async with guarded.request("POST", "/revocations", json={"sub": "x"}) as response:
        assert response.status == 204


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/docs", "/openapi.json", "/asyncapi.json", "/"])
async def test_public_pages_need_no_credential(guarded: Gateway, path: str) -> None:
    guarded.client.headers.popall("Authorization")
    async with guarded.request("GET", path) as response:
        assert response.status == 200


async def test_a_list_shows_only_covered_sessions_in_full_pages(guarded: Gateway) -> None:
    for number in range(6):
        await guarded.create(f"a{number}")
        await guarded.create(f"b{number}")
    for sessions, wanted in (
        (("a*",), [f"a{n}" for n in range(6)]),
        (("a3", "b1", "c*"), ["a3", "b1"]),
        (("c",), []),
    ):
        headers = allowed("session:list", *sessions)
        found, cursor = [], ""
        while True:
            page = await guarded.get(f"/sessions?limit=2{cursor}", headers=headers)
            found += [each["sessionId"] for each in page["sessions"]]
            if page["nextCursor"] is None:
                break
            assert len(page["sessions"]) == 2
            cursor = f"&cursor={page['nextCursor']}"
        assert sorted(found) == wanted
    assert (await guarded.get("/sessions", headers=allowed("session:list", "a*"), params={"limit": 1}))["nextCursor"]


async def test_creating_a_session_without_an_id_needs_a_credential_for_all_sessions(guarded: Gateway) -> None:
    body = {"language": "en"}
    await guarded.refused("POST", "/sessions", 403, headers=allowed("session:create", "a*"), json=body)
    await guarded.ask("POST", "/sessions", headers=allowed("session:create"), json=body)


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/sessions/a1/publish", allowed("session:read session:create")),
        ("/sessions/a1/publish", allowed("session:publish", "b*")),
        ("/sessions/a1/publish?language=en", allowed("session:publish")),
        ("/sessions/nowhere/publish", allowed("session:publish", "a*")),
        ("/subscribe", allowed("session:publish")),
    ],
)
async def test_websockets_without_the_rights_are_refused_before_the_upgrade(
    guarded: Gateway, path: str, headers: dict[str, str]
) -> None:
    await guarded.create("a1")
    with pytest.raises(WSServerHandshakeError) as refused:
        await guarded.client.ws_connect(guarded.url + path, headers=headers)
    assert refused.value.status == 403


async def test_a_minted_token_grants_its_rights_and_no_others(guarded: Gateway) -> None:
    await guarded.create("a1")
    await guarded.create("b1")
    minter = allowed("token:mint session:read session:list", "a*")
    minted = await guarded.post(
        "/tokens", {"sub": "page", "scope": "session:read", "sessions": ["a1"], "ttl": 60}, status=201, headers=minter
    )
    headers = {"Authorization": f"Bearer {minted['token']}"}
    assert (await guarded.get("/sessions/a1", headers=headers))["sessionId"] == "a1"
    await guarded.refused("GET", "/sessions/b1", 403, headers=headers)
    await guarded.refused("GET", "/sessions", 403, headers=headers)
    beyond = {"sub": "page", "scope": "session:read", "sessions": ["b1"]}
    await guarded.refused("POST", "/tokens", 403, headers=minter, json=beyond)


async def test_every_route_refuses_a_credential_without_any_scope(guarded: Gateway) -> None:
    """Every route that is not public refuses a credential without any scope."""
    nobody = allowed("")
    checked = 0
    for route in guarded.app.router.routes():
        if route.resource is None or route.method == "OPTIONS":
            continue
        path = route.resource.canonical.replace("{session_id}", "a1")
        if "{" in path or opening_of(route.method, path) is not Opening.CLOSED:
            continue
        body: dict[str, Any] = {"json": {}} if route.method in ("POST", "PATCH", "PUT") else {}
        async with guarded.request(route.method, path, headers=nobody, **body) as response:
            assert response.status == 403, (route.method, path, await response.text())
        checked += 1
    assert checked > 10


async def test_beyond_the_connection_limit_a_forbidden_request_gets_403_and_any_other_503(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    """Also on a path that does not exist: the answer tells no more than the credential does."""
    gateway = await start_guarded(start_gateway, tmp_path, max_connections=1)
    routes = [*ROUTES, ("GET", publish_path("a1", "en"), None, "session:publish session:create")]
    async with gateway.client.ws_connect(gateway.url + "/subscribe"):
        for method, path, body, scope in routes:
            arguments = {} if body is None else {"json": body}
            wrong = allowed("session:delete" if scope == "metrics" else "metrics")
            await gateway.refused(method, path, 403, headers=wrong, **arguments)
            refused = await gateway.refused(method, path, 503, headers=allowed(scope), **arguments)
            assert refused["code"] == "overloaded"
        await gateway.refused("GET", publish_path("a1", "en"), 403, headers=allowed("session:publish"))
        await gateway.refused("GET", "/nowhere", 503, headers=allowed("metrics"))
        await gateway.refused("GET", "/sessions/b1", 403, headers=allowed("session:read", "a*"))
    assert await gateway.get("/sessions") == {"sessions": [], "nextCursor": None}
