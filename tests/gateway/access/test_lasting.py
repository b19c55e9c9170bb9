"""Connections end with their credential (expired, revoked, key removed), and live on with a newer token."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway.access.wired import ADMIN, allowed, bearer, start_guarded
from tests.support.credentials import key_line, make_key, token, write_keys
from tests.support.gateways import StartGateway
from tests.support.sockets import Socket, publisher, subscriber
from turnwire.protocol.rights import Scope

EVERYTHING = " ".join(set(Scope) - {"admin"})


def lasting(seconds: float, **claims: Any) -> str:
    """Return a token that ends this many seconds from now, rounded to the whole seconds of `exp`."""
    return token(**{"scope": EVERYTHING, "sessions": ["*"], "exp": int(time.time() + seconds), **claims})


async def test_a_publisher_whose_token_expires_is_settled_and_closed_with_4402(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    gateway = await start_guarded(start_gateway, tmp_path, ping_interval=0.4)
    bot = await publisher(gateway, "a", headers=bearer(lasting(3)))
    assert (await bot.next("expiring"))["expiresAt"]
    assert await bot.acked("e1") == [1]
    messages, code = await bot.rest()
    assert (messages, code) == ([], 4402)
    assert gateway.live["a"].state.publisher is None


@pytest.mark.parametrize("connect", [lambda *args, **kw: publisher(args[0], "a", **kw), subscriber])
async def test_a_connection_lives_on_with_a_newer_token_of_the_same_subject(
    start_gateway: StartGateway, tmp_path: Path, connect: Callable[..., Awaitable[Socket]]
) -> None:
    gateway = await start_guarded(start_gateway, tmp_path, ping_interval=0.4)
    socket = await connect(gateway, headers=bearer(lasting(3)))
    ends = time.time() + 3
    await socket.next("expiring")
    await socket.send({"type": "auth", "token": lasting(100, sub="mallory")})
    assert (await socket.next("error"))["code"] == "forbidden"
    await socket.send({"type": "auth", "token": "nonsense"})
    assert (await socket.next("error"))["code"] == "unauthenticated"
    told = await socket.ask({"type": "auth", "token": lasting(100)}, "authenticated")
    assert told["expiresAt"] > time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ends))
    await asyncio.sleep(ends - time.time())
    assert (await socket.ask({"type": "ping"}, "pong")) == {"type": "pong"}


@pytest.mark.parametrize("revoked", [{"sub": "alice"}, {"jti": "one"}])
async def test_connections_of_a_revoked_credential_are_closed_with_4401_within_five_seconds(
    start_gateway: StartGateway, tmp_path: Path, revoked: dict[str, str]
) -> None:
    gateway = await start_guarded(start_gateway, tmp_path)
    headers = bearer(lasting(100, jti="one"))
    bot, board = await publisher(gateway, "a", headers=headers), await subscriber(gateway, headers=headers)
    other = await subscriber(gateway, headers=bearer(lasting(100, sub="bob", jti="two")))
    stream = await gateway.request("GET", "/sessions/a/events", headers={**headers, "Accept": "text/event-stream"})
    async with gateway.request("POST", "/revocations", json=revoked) as response:
        assert response.status == 204
    async with asyncio.timeout(5):
        assert [await bot.close_code(), await board.close_code()] == [4401, 4401]
        await stream.content.read()
    await gateway.refused("GET", "/sessions", 401, headers=headers)
    assert (await other.ask({"type": "ping"}, "pong")) == {"type": "pong"}


async def test_a_revocation_is_held_to_by_every_gateway_and_forgotten_by_none_that_starts(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    here, there = await start_guarded(start_gateway, tmp_path), await start_guarded(start_gateway, tmp_path)
    headers = bearer(lasting(100, iat=int(time.time()) - 10))
    board, bot = await subscriber(there, headers=headers), await publisher(there, "a", headers=headers)
    later = bearer(lasting(100, iat=int(time.time()) + 10))
    other = await subscriber(there, headers=later)
    before = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    async with here.request("POST", "/revocations", json={"sub": "alice", "before": before}) as response:
        assert response.status == 204
    async with asyncio.timeout(5):
        assert [await board.close_code(), await bot.close_code()] == [4401, 4401]
    assert await other.ask({"type": "ping"}, "pong") == {"type": "pong"}
    started = await start_guarded(start_gateway, tmp_path)
    await started.refused("GET", "/sessions", 401, headers=headers)
    await started.get("/sessions", headers=later)


async def test_a_key_that_is_removed_or_loses_rights_closes_its_connections(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    gone, line_of_gone = make_key("gone", EVERYTHING)
    less, line_of_less = make_key("less", EVERYTHING)
    kept, line_of_kept = make_key("kept", EVERYTHING)
    gateway = await start_guarded(start_gateway, tmp_path, line_of_gone, line_of_less, line_of_kept)
    sockets = [await publisher(gateway, each, headers=bearer(each)) for each in (gone, less, kept)]
    write_keys(tmp_path / "keys", key_line(ADMIN, "admin", []), key_line(less, EVERYTHING, ["b"]), line_of_kept)
    async with asyncio.timeout(5):
        assert [await socket.close_code() for socket in sockets[:2]] == [4401, 4403]
    assert await sockets[2].acked("e1") == [1]


async def test_only_the_same_subject_or_an_admin_may_take_over_a_session(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    gateway = await start_guarded(start_gateway, tmp_path)
    first = await publisher(gateway, "a", headers=allowed(EVERYTHING, sub="alice"))
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await publisher(gateway, "a", headers=allowed(EVERYTHING, sub="bob"))
    assert refused.value.status == 409
    assert await first.acked("e1") == [1]
    again = await publisher(gateway, "a", headers=allowed(EVERYTHING, sub="alice"))
    assert await first.close_code() == 4409
    await publisher(gateway, "a")
    assert await again.close_code() == 4409


async def test_a_publisher_that_has_left_does_not_block_another_subject(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    gateway = await start_guarded(start_gateway, tmp_path)
    first = await publisher(gateway, "a", headers=allowed(EVERYTHING, sub="alice"))
    await first.close()
    second = await publisher(gateway, "a", headers=allowed(EVERYTHING, sub="bob"))
    assert await second.acked("e1") == [1]


async def test_feeds_and_subscriptions_show_only_covered_sessions(start_gateway: StartGateway, tmp_path: Path) -> None:
    gateway = await start_guarded(start_gateway, tmp_path, feed_interval=0.05)
    await gateway.create("a1")
    await gateway.create("b1")
    board = await subscriber(gateway, headers=allowed("session:read session:list", "a*"))
    await board.ask({"type": "subscribe", "ref": "f", "feed": "sessions"}, "subscribed")
    snapshot = await board.next("sessions")
    assert [each["sessionId"] for each in snapshot["sessions"]] == ["a1"]
    await gateway.create("b2")
    await gateway.create("a2")
    assert (await board.next("session"))["session"]["sessionId"] == "a2"
    for session_id in ("b1", "nowhere"):
        told = await board.ask({"type": "subscribe", "ref": "x", "sessionId": session_id}, "error")
        assert (told["code"], told["ref"]) == ("forbidden", "x")


async def test_the_audit_has_a_line_for_each_event(
    start_gateway: StartGateway, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = await start_guarded(start_gateway, tmp_path)
    secret = allowed(EVERYTHING, sub="alice")["Authorization"]
    with caplog.at_level("INFO", "turnwire.audit"):
        await gateway.create("a")
        bot = await publisher(gateway, "a", headers={"Authorization": secret})
        await bot.acked({"eventId": "e", "type": "system", "payload": {"spoken": "words"}})
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await publisher(gateway, "a", headers=allowed(EVERYTHING, sub="bob"))
        await publisher(gateway, "a")
        await bot.close_code()
        await gateway.post("/sessions/a/complete", {"reason": "done"})
        await gateway.refused("GET", "/sessions/a", 403, headers=allowed("session:list"))
        await gateway.post("/tokens", {"sub": "s", "scope": "", "sessions": []}, status=201)
        board = await subscriber(gateway, headers=allowed("session:read", "b"))
        await board.ask({"type": "subscribe", "ref": "r", "sessionId": "a"}, "error")
        for method, path, body in (("POST", "/revocations", {"jti": "j"}), ("DELETE", "/sessions/a?force=true", None)):
            async with gateway.request(method, path, json=body) as response:
                assert response.status == 204
    rows = [json.loads(record.getMessage()) for record in caplog.records if record.name == "turnwire.audit"]
    assert [(row["audit"], row.get("who")) for row in rows if row["audit"] != "connection_closed"] == [
        ("session_created", "key:root"),
        ("connection_opened", "sub:alice"),
        ("refused", "sub:bob"),
        ("connection_opened", "key:root"),
        ("takeover", "key:root"),
        ("session_ended", "key:root"),
        ("refused", "sub:alice"),
        ("token_minted", "key:root"),
        ("connection_opened", "sub:alice"),
        ("refused", "sub:alice"),
        ("revoked", "key:root"),
        ("session_erased", "key:root"),
    ]
    assert [row["reason"] for row in rows if row["audit"] == "refused"] == ["session_taken", "scope", "sessions"]
    assert next(row["before"] for row in rows if row["audit"] == "takeover") == "sub:alice"
    closed = [row for row in rows if row["audit"] == "connection_closed"]
    assert ("sub:alice", 4409) in [(row["who"], row["code"]) for row in closed]
    assert "words" not in caplog.text
    assert secret.split()[1] not in caplog.text
