"""Credentials over time: what a change of keys or a revocation does to connected principals, and renewal."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.credentials import (
    SECRET,
    Clock,
    key_line,
    key_set,
    make_key,
    public_jwk,
    token,
    write_keys,
    write_secret,
)
from tests.support.doors import KEY, ask, refused, start, with_key
from tests.support.revocation_log import MemoryLog
from turnwire.gateway.access.access import Access, build_access
from turnwire.gateway.access.credentials import jwks, keys
from turnwire.gateway.access.credentials.credentials import Credentials
from turnwire.gateway.access.credentials.jwks import KeySetFile
from turnwire.gateway.access.credentials.minting import MintRequest
from turnwire.gateway.access.credentials.revocations import RevocationRequest
from turnwire.gateway.access.principals import ANONYMOUS
from turnwire.gateway.access.refusals import Refusal
from turnwire.gateway.config import Config, ConfigError
from turnwire.protocol.rights import Scope


def credentials_of(access: Access) -> Credentials:
    assert access.credentials is not None
    return access.credentials


def reason_now(access: Access, principal: Any) -> str:
    with pytest.raises(Refusal) as told:
        credentials_of(access).current(principal)
    assert told.value.status == 401
    return told.value.reason


async def test_removing_a_key_ends_its_holders_and_the_tokens_it_minted(tmp_path: Path) -> None:
    access = await start(tmp_path)
    write_keys(tmp_path / "keys", key_line(KEY, "admin"))
    await access.refresh()
    holder = await access.door.admit(with_key())
    text = access.minting.mint(holder, MintRequest(sub="alice", scope="session:read", sessions=["*"])).token
    browser = await access.door.admit(ask(authorizations=[f"Bearer {text}"]))
    generation = credentials_of(access).generation
    write_keys(tmp_path / "keys", make_key("other")[1])
    await access.refresh()
    assert credentials_of(access).generation > generation
    assert reason_now(access, holder) == "key_gone"
    assert reason_now(access, browser) == "key_gone"
    assert (await refused(access, ask(authorizations=[f"Bearer {text}"]))).reason == "key_gone"


async def test_holders_of_a_key_get_its_new_rights(tmp_path: Path) -> None:
    access = await start(tmp_path)
    holder = await access.door.admit(with_key())
    write_keys(tmp_path / "keys", key_line(KEY, "session:list"))
    await access.refresh()
    assert credentials_of(access).current(holder).scopes == {Scope.LIST}


async def test_reading_unchanged_credentials_again_keeps_their_generation(guarded: Access) -> None:
    generation = credentials_of(guarded).generation
    await guarded.refresh()
    await guarded.refresh_key_set()
    assert credentials_of(guarded).generation == generation
    assert credentials_of(guarded).current(ANONYMOUS) is ANONYMOUS


async def test_a_revocation_on_another_gateway_ends_connected_principals(tmp_path: Path) -> None:
    log = MemoryLog()
    config = Config(jwt_secret_file=write_secret(tmp_path / "secret"))
    here, there = (build_access(config, log, Clock()) for _ in range(2))
    await here.refresh()
    await there.refresh()
    asked = ask(authorizations=[f"Bearer {token(jti='t1')}"])
    holder = await there.door.admit(asked)
    await here.revocations.revoke(RevocationRequest(jti="t1"))
    await there.refresh()
    assert credentials_of(there).generation == 1
    assert reason_now(there, holder) == "revoked"
    assert (await refused(there, asked)).reason == "revoked"


async def test_while_the_storage_is_away_known_revocations_stay_in_force(tmp_path: Path) -> None:
    log = MemoryLog()
    access = build_access(Config(jwt_secret_file=write_secret(tmp_path / "secret")), log, Clock())
    await access.refresh()
    await access.revocations.revoke(RevocationRequest(sub="bob"))
    log.away = True
    await access.refresh()
    await access.door.admit(ask(authorizations=[f"Bearer {token()}"]))
    assert (await refused(access, ask(authorizations=[f"Bearer {token(sub='bob')}"]))).reason == "revoked"


async def test_a_connection_can_be_renewed_only_by_a_token_of_the_same_sub(guarded: Access) -> None:
    judge = credentials_of(guarded)
    holder = await judge.authenticate(token())
    newer = token(scope="session:read session:list")
    assert (await judge.renew(holder, newer)).scopes == {Scope.READ, Scope.LIST}
    with pytest.raises(Refusal, match="same sub") as told:
        await judge.renew(holder, token(sub="bob"))
    assert told.value.status == 403
    with pytest.raises(Refusal) as told:
        await judge.renew(holder, token(exp=1_000_000_000))
    assert told.value.status == 401


async def test_a_cached_token_still_expires_on_time(tmp_path: Path) -> None:
    now = Clock(1_000_000_000)
    access = build_access(Config(jwt_secret_file=write_secret(tmp_path / "secret")), MemoryLog(), Clock(), now=now)
    await access.refresh()
    text = token(exp=4_000_000_000)
    first = await credentials_of(access).authenticate(text)
    assert await credentials_of(access).authenticate(text) is first
    now.now = 4_000_000_000
    assert await credentials_of(access).authenticate(text) is not first


async def test_a_changed_key_set_clears_the_cache_of_its_tokens(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(key_set(public_jwk("ES256")))
    access = build_access(Config(jwks=str(path)), MemoryLog(), Clock())
    await access.refresh()
    text = token("ES256")
    assert (await credentials_of(access).authenticate(text)).id == "sub:alice"
    path.write_bytes(key_set(public_jwk("RS256")))
    await access.refresh_key_set()
    with pytest.raises(Refusal, match="this gateway does not know"):
        await credentials_of(access).authenticate(text)


async def test_a_token_whose_key_has_left_the_set_is_refused_whoever_caused_the_fetch(tmp_path: Path) -> None:
    answers, clock = [key_set(public_jwk("ES256")), key_set(public_jwk("RS256"))], Clock()

    async def fetch(_url: str) -> bytes:
        return answers.pop(0)

    access = build_access(Config(jwks="https://idp.example/keys"), MemoryLog(), clock, fetch=fetch)
    await access.refresh()
    former = token("ES256")
    await credentials_of(access).authenticate(former)
    assert credentials_of(access).is_cheap(former)
    clock.now += 60
    await credentials_of(access).authenticate(token("RS256"))
    assert not credentials_of(access).is_cheap(former)
    with pytest.raises(Refusal, match="this gateway does not know"):
        await credentials_of(access).authenticate(former)


async def test_when_a_key_set_has_been_kept_for_a_day_tokens_verified_with_it_end_too(tmp_path: Path) -> None:
    answers, clock = [key_set(public_jwk("ES256"))], Clock()

    async def fetch(_url: str) -> bytes:
        if not answers:
            raise OSError("no route")
        return answers.pop()

    access = build_access(Config(jwks="https://idp.example/keys"), MemoryLog(), clock, fetch=fetch)
    await access.refresh()
    text = token("ES256")
    await credentials_of(access).authenticate(text)
    clock.now += 86_400
    await access.refresh_key_set()
    await credentials_of(access).authenticate(text)
    clock.now += 1
    await access.refresh_key_set()
    with pytest.raises(Refusal, match="could not be fetched") as told:
        await credentials_of(access).authenticate(text)
    assert told.value.status == 503


async def test_a_key_set_that_cannot_be_fetched_is_answered_503(tmp_path: Path) -> None:
    async def nothing(url: str) -> bytes:
        raise OSError("no route")

    access = build_access(Config(jwks="https://idp.example/keys"), MemoryLog(), Clock(), fetch=nothing)
    await access.refresh()
    await access.refresh_key_set()
    told = await refused(access, ask(authorizations=[f"Bearer {token('ES256')}"]))
    assert (told.status, told.reason, told.retryable) == (503, "no_keys", True)


async def test_with_only_api_keys_or_only_tokens_configured_the_other_kind_is_refused(tmp_path: Path) -> None:
    tokens_only = build_access(Config(jwt_secret_file=write_secret(tmp_path / "secret")), MemoryLog(), Clock())
    keys_only = build_access(Config(api_keys_file=write_keys(tmp_path / "keys", key_line(KEY))), MemoryLog(), Clock())
    assert (await refused(tokens_only, with_key())).reason == "unknown_key"
    assert (await refused(keys_only, ask(authorizations=[f"Bearer {token()}"]))).reason == "no_tokens"


async def test_a_change_of_keys_is_audited(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    access = await start(tmp_path)
    with caplog.at_level(logging.INFO, "turnwire.audit"):
        await access.refresh(force=True)
        assert not caplog.records
        write_keys(tmp_path / "keys", make_key("other")[1])
        await access.refresh()
    assert "keys_changed" in caplog.text


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"api_keys_file": "none"}, "TURNWIRE_API_KEYS_FILE: none cannot be read"),
        ({"jwt_secret_file": "none"}, "TURNWIRE_JWT_SECRET_FILE: none cannot be read"),
        ({"jwks": "none"}, "TURNWIRE_JWKS: none cannot be read"),
    ],
)
def test_unusable_credential_files_are_refused_at_the_start(
    settings: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=said):
        build_access(Config(**settings), MemoryLog(), Clock())


def test_without_authentication_there_are_no_credentials(unguarded: Access) -> None:
    assert unguarded.credentials is None
    assert not unguarded.mode.required
    assert SECRET.decode() not in repr(unguarded)


async def test_changed_keys_are_parsed_outside_the_event_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    access = await start(tmp_path)
    key_set_file = KeySetFile(write_key_set(tmp_path, "RS256"))
    threads = list[threading.Thread]()
    for module, name in ((keys, "_parse"), (jwks, "read_key_set")):
        plain = getattr(module, name)

        def parse(*given: Any, plain: Callable[..., Any] = plain) -> Any:
            threads.append(threading.current_thread())
            return plain(*given)

        monkeypatch.setattr(module, name, parse)
    write_keys(tmp_path / "keys", key_line(KEY, "session:list"))
    await access.refresh()
    write_key_set(tmp_path, "ES256")
    await key_set_file.refresh()
    assert key_set_file.generation == 1
    assert len(threads) == 2
    assert threading.main_thread() not in threads


def write_key_set(folder: Path, algorithm: str) -> Path:
    path = folder / "jwks"
    path.write_bytes(key_set(public_jwk(algorithm)))
    return path
