"""Minted tokens: never more than the minter has, by any sequence."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.credentials import SECRET, Clock
from tests.support.revocation_log import MemoryLog
from turnwire.gateway.access.credentials.minting import MAX_TTL, Minting, MintRequest
from turnwire.gateway.access.credentials.revocations import RevocationRequest, Revocations
from turnwire.gateway.access.credentials.secret import JwtSecret
from turnwire.gateway.access.credentials.tokens import Tokens
from turnwire.gateway.access.principals import ANONYMOUS, Principal
from turnwire.gateway.access.refusals import Refusal
from turnwire.protocol.errors import InvalidMessage
from turnwire.protocol.rights import Scope, parse_scope

TOKENS = Tokens(JwtSecret(SECRET), None, None, None)


def minting(now: float | None = None) -> Minting:
    return Minting(JwtSecret(SECRET), None, None, Clock(time.time() if now is None else now))


def key(scope: str = "token:mint session:read", *sessions: str, **fields: Any) -> Principal:
    return Principal(
        id="key:web", scopes=parse_scope(scope), sessions=sessions or ("a*",), kind="key", marks=("key:web",), **fields
    )


async def minted(
    minter: Principal,
    *,
    scope: str = "session:read",
    sessions: tuple[str, ...] = ("a*",),
    ttl: int = 600,
    sub: str = "alice",
) -> Principal:
    asked = MintRequest(sub=sub, scope=scope, sessions=list(sessions), ttl=ttl)
    return await TOKENS.authenticate(minting().mint(minter, asked).token)


async def test_a_minted_token_is_its_own_principal_with_the_requested_rights() -> None:
    principal = await minted(key(), sessions=("abc", "ad*"))
    assert principal.id == "minted:key:web/sub:alice"
    assert principal.scopes == {Scope.READ}
    assert principal.sessions == ("abc", "ad*")
    assert principal.expires_at is not None
    assert 590 < principal.expires_at - time.time() <= 600


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"scope": "session:publish"}, "mint_scope"),
        ({"scope": "session:read admin"}, "mint_scope"),
        ({"sessions": ["*"]}, "mint_sessions"),
        ({"sessions": ["b"]}, "mint_sessions"),
        ({"sessions": ["a*", "b*"]}, "mint_sessions"),
    ],
)
def test_minting_rights_that_the_minter_lacks_is_refused(asked: dict[str, Any], reason: str) -> None:
    request = MintRequest(**{"sub": "alice", "scope": "session:read", "sessions": ["a*"], **asked})
    with pytest.raises(Refusal) as refused:
        minting().mint(key(), request)
    assert (refused.value.status, refused.value.reason) == (403, reason)


def test_minting_needs_the_scope_token_mint() -> None:
    with pytest.raises(Refusal, match="token:mint"):
        minting().mint(key("session:read"), MintRequest(sub="alice", scope="session:read", sessions=[]))


def test_without_a_secret_minting_is_refused_with_the_reason() -> None:
    asked = MintRequest(sub="alice", scope="", sessions=[])
    with pytest.raises(Refusal, match="TURNWIRE_JWT_SECRET_FILE") as refused:
        Minting(None, None, None, Clock()).mint(ANONYMOUS, asked)
    assert refused.value.status == 403


async def test_an_admin_mints_for_sessions_beyond_its_own_list() -> None:
    principal = await minted(key("admin", "x"), scope="session:read token:mint", sessions=("*",))
    assert principal.covers("anything")
    assert not principal.is_admin


async def test_a_minted_token_ends_no_later_than_its_minter() -> None:
    end = time.time() + 100
    principal = await minted(key(expires_at=end), ttl=600)
    assert principal.expires_at == int(end)


@pytest.mark.parametrize("ttl", [0, -1, MAX_TTL + 1])
def test_a_minted_token_lasts_an_hour_at_most(ttl: int) -> None:
    body = msgspec.json.encode({"sub": "a", "scope": "", "sessions": [], "ttl": ttl})
    with pytest.raises(msgspec.ValidationError, match="ttl"):
        msgspec.json.decode(body, type=MintRequest)


def test_a_token_that_would_be_too_long_is_not_minted() -> None:
    asked = MintRequest(sub="a", scope="", sessions=[f"a{n}{'x' * 200}" for n in range(30)])
    with pytest.raises(InvalidMessage, match="over the limit of 4096"):
        minting().mint(key(), asked)


async def test_minted_tokens_have_the_required_issuer_and_audience() -> None:
    made = Minting(JwtSecret(SECRET), "https://idp.example", "turnwire", Clock(time.time()))
    text = made.mint(key(), MintRequest(sub="alice", scope="", sessions=[])).token
    tokens = Tokens(JwtSecret(SECRET), None, "https://idp.example", "turnwire")
    assert (await tokens.authenticate(text)).id == "minted:key:web/sub:alice"


async def test_a_minted_token_cannot_impersonate_another_principal() -> None:
    other = Principal(id="sub:bot-7", scopes=frozenset({Scope.PUBLISH}), sessions=("a*",))
    mine = await minted(key("token:mint session:publish"), scope="session:publish", sub="bot-7")
    assert not mine.may_take_over_from(other.id)
    again = await minted(key("token:mint session:publish"), scope="", sub="bot-7")
    assert mine.may_take_over_from(again.id)


# Any sequence

SESSION_IDS = ["", "a", "ab", "abc", "b", "a*", "ab*", "*"]
PATTERNS = st.lists(st.sampled_from(["a", "ab", "abc", "b", "*", "a*", "ab*", "b*", "a**", "*a"]), max_size=3)
SCOPES = st.sets(st.sampled_from(list(Scope)), max_size=len(Scope)).map(lambda some: some | {Scope.MINT})


@given(
    first=st.tuples(SCOPES, PATTERNS),
    steps=st.lists(st.tuples(SCOPES, PATTERNS, st.integers(1, MAX_TTL)), min_size=1, max_size=4),
)
async def test_no_sequence_of_minted_tokens_widens_rights(
    first: tuple[set[Scope], list[str]], steps: list[tuple[set[Scope], list[str], int]]
) -> None:
    root = key(" ".join(first[0]), *(first[1] or ["none"]), expires_at=time.time() + 1800)
    revocations = Revocations(MemoryLog())
    await revocations.refresh()
    await revocations.revoke(RevocationRequest(key="web"))
    minter = root
    for number, (scopes, sessions, ttl) in enumerate(steps):
        asked = MintRequest(sub=f"s{number}", scope=" ".join(sorted(scopes)), sessions=sessions, ttl=ttl)
        try:
            token = minting().mint(minter, asked).token
        except Refusal as refused:
            assert refused.status == 403  # noqa: PT017 -- refusing is right as often as not
            continue
        child = await TOKENS.authenticate(token)
        assert child.expires_at is not None
        assert minter.expires_at is not None
        assert child.expires_at <= minter.expires_at
        for scope in Scope:
            assert not child.may(scope) or minter.may(scope)
            for session_id in SESSION_IDS:
                assert not child.may(scope, session_id) or (
                    root.may(scope, session_id) and minter.may(scope, session_id)
                )
        assert not child.covers_all or minter.covers_all
        assert child.id.startswith(f"minted:{minter.id}/")
        assert revocations.covers(child)
        minter = child
