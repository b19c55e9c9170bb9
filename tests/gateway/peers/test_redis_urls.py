"""Ways to name a Redis: with a user that may do little, over TLS, by host and port, as Sentinel knows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gateway.peers.conftest import POLLS_NEVER, StartPeers, is_up, knows
from tests.support.gateways import StartGateway, new_id
from tests.support.redis import ClusterNode, RedisServer, Sentinel, free_port
from tests.support.sockets import publisher, subscriber, until
from turnwire.gateway.config import ConfigError, load_config
from turnwire.gateway.running.sessions import bus_of

RIGHTS = "+publish +subscribe +unsubscribe +client +hello &turnwire:*"
"""As listed in docs/operations.md."""


async def test_a_redis_user_with_only_the_documented_rights_is_enough(
    start_peers: StartPeers, redis: RedisServer
) -> None:
    assert RIGHTS in (Path(__file__).parents[3] / "docs/operations.md").read_text()
    assert redis.command("ACL", "SETUSER", "gate", "on", ">secret", *RIGHTS.split()) == "+OK"
    gateways = await start_peers(2, redis_url=f"redis://gate:secret@127.0.0.1:{redis.port}/0")
    assert all(map(is_up, gateways))


async def test_a_wrong_redis_password_is_reported_without_showing_it(
    start_gateway: StartGateway, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    assert redis.command("ACL", "SETUSER", "gate", "on", ">secret", *RIGHTS.split()) == "+OK"
    gateway = await start_gateway(redis_url=f"redis://gate:mistaken@127.0.0.1:{redis.port}")
    await until(lambda: "the bus between gateways is away" in caplog.text, "the warning")
    assert "invalid username-password pair" in caplog.text
    assert "mistaken" not in caplog.text
    assert not is_up(gateway)


async def test_redis_can_be_named_by_host_and_port(start_gateway: StartGateway, redis: RedisServer) -> None:
    gateway = await start_gateway(redis_host="127.0.0.1", redis_port=redis.port)
    await until(lambda: is_up(gateway), "the bus")


async def test_redis_can_be_reached_over_tls(
    start_gateway: StartGateway, tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    with RedisServer(tmp_path, tls=certificate) as redis:
        url = f"rediss://localhost:{redis.tls_port}?ssl_ca_certs={certificate[1]}"
        gateway = await start_gateway(redis_url=url)
        await until(lambda: is_up(gateway), "the bus")


async def test_gateways_use_the_master_that_sentinel_names_and_the_next_one_when_it_dies(
    start_peers: StartPeers, redis: RedisServer, tmp_path: Path
) -> None:
    with RedisServer(tmp_path) as other, Sentinel(tmp_path, "turnwire", redis) as sentinel:
        other.command("REPLICAOF", "127.0.0.1", str(redis.port))
        await until(lambda: sentinel.knows_replicas, "that Sentinel knows both")
        missing = free_port()
        url = f"redis+sentinel://127.0.0.1:{missing},127.0.0.1:{sentinel.port}/turnwire"
        gateways = await start_peers(2, redis_url=url)
        redis.kill()
        await until(lambda: not any(map(is_up, gateways)), "that they notice")
        await until(lambda: all(map(is_up, gateways)), "that they find the new master")


async def test_gateways_at_two_nodes_of_a_redis_cluster_hear_each_other(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    with ClusterNode(tmp_path) as first, ClusterNode(tmp_path) as second:
        first.meets(second)
        here, there = [await start_gateway(redis_url=node.url, **POLLS_NEVER) for node in (first, second)]
        await until(lambda: knows(here, 1) and knows(there, 1), "that they know each other")
        session_id = new_id("s")
        bot, board = await publisher(here, session_id), await subscriber(there)
        await board.subscribe(session_id, 0)
        await bot.acked("a")
        assert [event["eventId"] for event in await board.events(1)] == ["a"]


async def test_a_master_is_found_through_sentinel_with_separate_passwords(
    start_gateway: StartGateway, redis: RedisServer, tmp_path: Path
) -> None:
    with Sentinel(tmp_path, "turnwire", redis, password="watch") as sentinel:
        assert redis.command("ACL", "SETUSER", "gate", "on", ">secret", *RIGHTS.split()) == "+OK"
        url = f"redis+sentinel://gate:secret@127.0.0.1:{sentinel.port}/turnwire?sentinel_password=watch"
        gateway = await start_gateway(redis_url=url)
        await until(lambda: is_up(gateway), "the bus")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://localhost", "REDIS_URL: must start with redis://, rediss://"),
        ("redis://localhost?socket_timeout=never", "REDIS_URL cannot be used"),
        ("redis://localhost?colour=red", "REDIS_URL cannot be used"),
        ("redis+sentinel://localhost:26379", "REDIS_URL cannot be used: a Sentinel URL names its servers and the serv"),
        ("redis+sentinel://localhost:many/turnwire", "REDIS_URL cannot be used"),
        ("redis+sentinel://localhost/turnwire?colour=red", "REDIS_URL cannot be used"),
    ],
)
def test_an_unusable_redis_url_is_refused_at_the_start(url: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        bus_of(load_config(None, redis_url=url))
