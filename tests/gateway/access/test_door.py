"""The door of a gateway: which requests it refuses, in which order, and which it admits."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.credentials import Clock, key_line, token, write_keys
from tests.support.doors import HOST, KEY, OWN, ask, refused, with_key
from tests.support.revocation_log import MemoryLog
from turnwire.gateway.access.access import Access, build_access
from turnwire.gateway.access.asking import asked_of
from turnwire.gateway.access.door import Opening, opening_of
from turnwire.gateway.access.principals import ANONYMOUS
from turnwire.gateway.config import Config
from turnwire.protocol.errors import ErrorCode, StorageUnavailable
from turnwire.protocol.rights import new_key


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
async def test_an_api_key_is_accepted_in_the_authorization_header(guarded: Access, scheme: str) -> None:
    principal = await guarded.door.admit(ask(authorizations=[f"{scheme} {KEY}"]))
    assert principal.id == "key:bot"


async def test_a_token_is_accepted_in_the_authorization_header(guarded: Access) -> None:
    assert (await guarded.door.admit(ask(authorizations=[f"Bearer {token()}"]))).id == "sub:alice"


@pytest.mark.parametrize(
    "offered", [["turnwire.v1.json, turnwire.bearer.{}"], ["turnwire.bearer.{}", "turnwire.v1.json"]]
)
@pytest.mark.parametrize("credential", [KEY, None])
async def test_a_websocket_may_carry_its_credential_in_a_subprotocol(
    guarded: Access, offered: list[str], credential: str | None
) -> None:
    text = credential or token()
    asked = ask("/subscribe", is_upgrade=True, protocols=[value.format(text) for value in offered])
    assert (await guarded.door.admit(asked)).id in ("key:bot", "sub:alice")


async def test_a_subprotocol_is_not_a_credential_outside_a_handshake(guarded: Access) -> None:
    told = await refused(guarded, ask(protocols=[f"turnwire.bearer.{KEY}"]))
    assert told.reason == "no_credential"


async def test_without_a_credential_the_answer_is_401_with_a_challenge(guarded: Access) -> None:
    told = await refused(guarded, ask())
    assert (told.status, told.code) == (401, ErrorCode.UNAUTHENTICATED)
    assert told.headers == {"WWW-Authenticate": 'Bearer realm="turnwire"'}


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer ", "Basic dTpw", KEY, f"Bearer {KEY} x", "Bearer a,b", "Bearer é"]
)
async def test_an_authorization_header_that_is_not_bearer_is_refused(guarded: Access, value: str) -> None:
    assert (await refused(guarded, ask(authorizations=[value]))).reason == "not_bearer"


async def test_a_request_with_two_credentials_is_refused(guarded: Access) -> None:
    for asked in (
        ask(authorizations=[f"Bearer {KEY}"] * 2),
        with_key("/subscribe", is_upgrade=True, protocols=[f"turnwire.bearer.{KEY}"]),
    ):
        assert (await refused(guarded, asked)).status == 400


@pytest.mark.parametrize(
    "query",
    [
        [("token", "x")],
        [("access_token", "x")],
        [("Authorization", "x")],
        [("q", KEY)],
        [("limit", "5"), ("q", token())],
    ],
)
async def test_a_credential_in_the_query_is_refused_even_beside_a_good_one(
    guarded: Access, unguarded: Access, query: list[tuple[str, str]]
) -> None:
    for access in (guarded, unguarded):
        told = await refused(access, with_key(query=query))
        assert (told.status, told.reason) == (400, "token_in_query")
        assert all(value not in str(told) for _, value in query if len(value) > 1)


async def test_ordinary_query_parameters_are_not_mistaken_for_credentials(guarded: Access) -> None:
    await guarded.door.admit(with_key(query=[("limit", "5"), ("cursor", "WzE3LCJhIl0"), ("language", "en")]))


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
async def test_health_probes_are_answered_whatever_headers_they_have(guarded: Access, path: str) -> None:
    asked = ask(path, hosts=["10.1.2.3:3000"], query=[("token", "x")], authorizations=["Basic x"])
    for _ in range(3000):
        assert await guarded.door.admit(asked) is ANONYMOUS
    assert (await refused(guarded, ask(path, method="POST"))).status == 401


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/asyncapi.json", "/static/app.js"])
async def test_public_pages_need_the_right_host_and_no_credential(guarded: Access, path: str) -> None:
    assert await guarded.door.admit(ask(path)) is ANONYMOUS
    assert (await refused(guarded, ask(path, hosts=["rebind.example"]))).status == 421


async def test_a_wrong_host_is_refused_however_many_right_ones_came_before(unguarded: Access) -> None:
    for port in range(300):
        assert await unguarded.door.admit(ask(hosts=[f"localhost:{port}"])) is ANONYMOUS
    for hosts in (["rebind.example"], ["localhost", "localhost"], ["localhost:1 "], []):
        for _ in range(2):
            assert (await refused(unguarded, ask(hosts=hosts))).status in (400, 421)


@pytest.mark.parametrize(
    "path",
    ["/health", "/metrics", "/sessions", "/sessions/s", "/subscribe", "/tokens", "/nope", "/static", "//", "/docs/"],
)
async def test_every_other_path_needs_a_credential(guarded: Access, path: str) -> None:
    assert (await refused(guarded, ask(path))).status == 401
    assert opening_of("GET", path) is Opening.CLOSED


async def test_a_cors_preflight_needs_no_credential(guarded: Access) -> None:
    assert await guarded.door.admit(ask(method="OPTIONS", origins=["https://evil.example"])) is ANONYMOUS


async def test_refusals_check_host_then_origin_then_query_then_credential(guarded: Access) -> None:
    wrong: dict[str, Any] = {
        "hosts": ["rebind.example"],
        "origins": ["https://evil.example"],
        "query": [("token", "x")],
        "authorizations": ["Bearer nobody"],
    }
    statuses = []
    for name, right in (("hosts", [HOST]), ("origins", [OWN]), ("query", []), ("authorizations", [f"Bearer {KEY}"])):
        statuses.append((await refused(guarded, ask(method="POST", **wrong))).status)
        wrong[name] = right
    assert statuses == [421, 403, 400, 401]
    assert (await guarded.door.admit(ask(method="POST", **wrong))).id == "key:bot"


async def test_refusals_are_audited_without_the_credential(guarded: Access, caplog: pytest.LogCaptureFixture) -> None:
    guess = new_key("bot")
    with caplog.at_level(logging.INFO, "turnwire.audit"):
        await refused(guarded, ask(authorizations=[f"Bearer {guess}"]))
        await refused(guarded, ask(authorizations=[f"Bearer {token(exp=5)}"]))
    first, second = [record.getMessage() for record in caplog.records]
    assert '"reason":"unknown_key"' in first
    assert '"who":"key:bot"' in first
    assert '"address":"192.0.2.1"' in first
    assert '"reason":"token_expired"' in second
    assert guess not in caplog.text
    assert "eyJ" not in caplog.text


async def test_before_the_revocations_are_known_every_credential_gets_503(tmp_path: Path) -> None:
    keys = write_keys(tmp_path / "keys", key_line(KEY))
    access = build_access(Config(api_keys_file=keys), MemoryLog(), Clock())
    with pytest.raises(StorageUnavailable):
        await access.door.admit(with_key())
    await access.refresh()
    await access.door.admit(with_key())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    authorizations=st.lists(
        st.one_of(
            st.text(max_size=80),
            st.text(max_size=80).map(lambda text: f"Bearer {text}"),
            st.from_regex(r"Bearer [A-Za-z0-9_-]{1,60}\.[A-Za-z0-9_-]{1,60}\.[A-Za-z0-9_-]{0,60}", fullmatch=True),
            st.from_regex(r"Bearer tw_[a-z0-9_]{0,40}", fullmatch=True),
        ),
        max_size=2,
    ),
    host=st.one_of(st.just(HOST), st.text(max_size=30)),
    origins=st.lists(st.text(max_size=30), max_size=2),
    protocols=st.lists(st.text(max_size=60).map(lambda text: f"turnwire.bearer.{text}"), max_size=1),
)
async def test_nonsense_requests_are_refused_and_never_raise(
    guarded: Access, authorizations: list[str], host: str, origins: list[str], protocols: list[str]
) -> None:
    asked = ask(
        hosts=[host], authorizations=authorizations, origins=origins, protocols=protocols, is_upgrade=bool(protocols)
    )
    assert 400 <= (await refused(guarded, asked)).status < 500


def test_the_facts_for_admission_are_read_from_a_request() -> None:
    request = make_mocked_request(
        "GET",
        "/sessions/a%2Fb/publish?language=en&x=%C3%A9",
        headers=[
            ("Host", HOST),
            ("Origin", OWN),
            ("Sec-Fetch-Site", "same-origin"),
            ("X-Forwarded-For", "203.0.113.1"),
            ("X-Forwarded-For", "10.0.0.2"),
            ("Authorization", "Bearer x"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Protocol", "turnwire.v1.json, turnwire.bearer.x"),
        ],
    )
    asked = asked_of(request)
    assert (asked.method, asked.path, asked.hosts, asked.origins) == ("GET", "/sessions/a/b/publish", [HOST], [OWN])
    assert asked.forwarded == ["203.0.113.1", "10.0.0.2"]
    assert asked.authorizations == ["Bearer x"]
    assert asked.protocols == ["turnwire.v1.json, turnwire.bearer.x"]
    assert asked.query == (("language", "en"), ("x", "é"))
    assert (asked.fetch_site, asked.is_upgrade, asked.is_safe) == ("same-origin", True, False)
    assert asked.is_handshake


@pytest.mark.parametrize("path", ["/sessions", "/sessions/a%2Fpublish", "/sessions/a/b/publish", "/tokens", "/", "//"])
def test_an_upgrade_on_any_other_path_is_a_request(path: str) -> None:
    asked = asked_of(make_mocked_request("GET", path, headers=[("Upgrade", "websocket")]))
    assert (asked.is_upgrade, asked.is_handshake) == (True, False)


def test_a_probe_waits_for_nobodys_requests_to_begin(guarded: Access) -> None:
    waits_as = guarded.door.waits_as
    assert waits_as(ask()) == waits_as(with_key("/stats")) == "192.0.2.1"
    assert waits_as(ask("/health/live")) == waits_as(ask("/health/ready", peer="192.0.2.2")) != "192.0.2.1"
