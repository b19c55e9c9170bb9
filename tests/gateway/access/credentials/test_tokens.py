"""Tokens: which are accepted, and that none chooses how it is verified."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.support.credentials import SECRET, claims, ec_key, key_set, pem_of, public_jwk, rsa_key, token
from turnwire.gateway.access.credentials.jwks import KeySetFile
from turnwire.gateway.access.credentials.secret import JwtSecret
from turnwire.gateway.access.credentials.tokens import MAX_BYTES, Tokens
from turnwire.gateway.access.refusals import Refusal
from turnwire.protocol.rights import Scope

ALGORITHMS = ("RS256", "ES256", "EdDSA")


def source_of(tmp_path: Path, *jwks: dict[str, Any]) -> KeySetFile:
    path = tmp_path / "jwks.json"
    path.write_bytes(key_set(*(jwks or [public_jwk(algorithm) for algorithm in ALGORITHMS])))
    return KeySetFile(path)


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    """Judged by the secret, and by a key of each kind."""
    return Tokens(JwtSecret(SECRET), source_of(tmp_path), None, None)


async def reason_of(tokens: Tokens, text: str) -> str:
    with pytest.raises(Refusal) as refused:
        await tokens.authenticate(text)
    assert refused.value.status == 401
    assert refused.value.headers["WWW-Authenticate"].startswith("Bearer")
    return refused.value.reason


def unsigned(head: dict[str, Any], payload: dict[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(head).encode(), json.dumps(payload).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


@pytest.mark.parametrize("algorithm", ["HS256", *ALGORITHMS])
async def test_tokens_of_each_kind_of_key_give_a_principal(tokens: Tokens, algorithm: str) -> None:
    expires_at = int(time.time()) + 60
    principal = await tokens.authenticate(
        token(algorithm, exp=expires_at, scope="session:read openid", sessions=["a*", "b"], jti="t1")
    )
    assert principal.id == "sub:alice"
    assert principal.scopes == {Scope.READ}
    assert principal.sessions == ("a*", "b")
    assert principal.expires_at == expires_at
    assert set(principal.marks) == {"sub:alice", "jti:t1"}


async def test_a_token_without_the_claim_sessions_covers_none(tokens: Tokens) -> None:
    principal = await tokens.authenticate(token(sessions=None, scope=None))
    assert not principal.covers("a")
    assert principal.scopes == frozenset()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"exp": None}, "token_claims"),
        ({"sub": None}, "token_claims"),
        ({"exp": 1_000_000_000}, "token_expired"),
        ({"nbf": 4_000_000_000}, "token_early"),
        ({"iat": 4_000_000_000}, "token_early"),
        ({"aud": "somebody"}, "token_audience"),
        ({"sub": ""}, "token_claims"),
        ({"sub": 7}, "token_malformed"),
        ({"sub": "x" * 257}, "token_claims"),
        ({"sub": "\ud800"}, "token_claims"),
        ({"exp": "9999999999"}, "token_claims"),
        ({"exp": True}, "token_expired"),
        ({"exp": 10**400}, "token_claims"),
        ({"exp": 10**20}, "token_claims"),
        ({"exp": float("inf")}, "token_malformed"),
        ({"exp": float("nan")}, "token_malformed"),
        ({"scope": ["session:read"]}, "token_claims"),
        ({"sessions": "*"}, "token_claims"),
        ({"sessions": [1]}, "token_claims"),
        ({"jti": 1}, "token_malformed"),
    ],
)
async def test_tokens_with_missing_or_wrong_claims_are_refused(
    tokens: Tokens, fields: dict[str, Any], reason: str
) -> None:
    assert await reason_of(tokens, token(**fields)) == reason


async def test_an_issuer_learns_what_a_token_that_it_has_signed_must_have(tokens: Tokens) -> None:
    with pytest.raises(Refusal) as refused:
        await tokens.authenticate(token(scope=["session:read"]))
    assert "scope must be a string of scopes separated by spaces" in str(refused.value)


async def test_token_times_may_be_off_by_half_a_minute(tokens: Tokens) -> None:
    now = int(time.time())
    await tokens.authenticate(token(exp=now - 20, iat=now - 90))
    await tokens.authenticate(token(nbf=now + 20, iat=now + 20))
    assert await reason_of(tokens, token(exp=now - 31)) == "token_expired"
    assert await reason_of(tokens, token(nbf=now + 90)) == "token_early"


async def test_issuer_and_audience_are_required_when_configured(tmp_path: Path) -> None:
    tokens = Tokens(JwtSecret(SECRET), None, "https://idp.example", "turnwire")
    good: dict[str, Any] = {"iss": "https://idp.example", "aud": ["other", "turnwire"]}
    assert (await tokens.authenticate(token(**good))).id == "sub:alice"
    assert await reason_of(tokens, token(**{**good, "iss": "https://evil.example"})) == "token_issuer"
    assert await reason_of(tokens, token(**{**good, "aud": "other"})) == "token_audience"
    assert await reason_of(tokens, token(aud="turnwire")) in ("token_claims", "token_issuer")
    assert await reason_of(tokens, token(iss="https://idp.example")) == "token_claims"


async def test_a_token_over_four_kibibytes_is_refused(tokens: Tokens) -> None:
    assert await reason_of(tokens, token(filler="x" * MAX_BYTES)) == "token_malformed"


# Confusion of algorithms and keys


def forged_hmac(secret: bytes, head: dict[str, Any]) -> str:
    """An HS256 token with any bytes as its secret, which PyJWT itself would not sign with."""
    text = unsigned({"typ": "JWT", "alg": "HS256", **head}, claims()).rpartition(".")[0]
    signature = hmac.new(secret, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_public_key_is_never_taken_for_a_secret(tokens: Tokens, algorithm: str) -> None:
    for secret in (pem_of(algorithm), pem_of(algorithm).strip(), json.dumps(public_jwk(algorithm)).encode()):
        assert await reason_of(tokens, forged_hmac(secret, {"kid": algorithm})) == "token_signature"
        assert await reason_of(tokens, forged_hmac(secret, {})) == "token_signature"


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "nOnE", "", None, 0, ["HS256"], "HS384", "PS256", "ES256K"]
)
async def test_a_token_with_another_algorithm_than_its_keys_is_refused(tokens: Tokens, algorithm: Any) -> None:
    for kid in ({}, *({"kid": each} for each in ALGORITHMS)):
        for signature in (b"", b"\0" * 32):
            reason = await reason_of(tokens, unsigned({"alg": algorithm, **kid}, claims(), signature))
            assert reason in ("token_signature", "token_malformed")


async def test_a_token_without_an_algorithm_is_refused(tokens: Tokens) -> None:
    assert await reason_of(tokens, unsigned({"typ": "JWT"}, claims(), b"\0" * 32)) == "token_signature"


async def test_a_token_with_another_algorithm_of_the_same_family_is_refused(tokens: Tokens) -> None:
    assert await reason_of(tokens, token("HS512", SECRET * 2)) == "token_signature"
    assert await reason_of(tokens, token("HS384", SECRET * 2)) == "token_signature"
    for algorithm in ("RS512", "PS256"):
        assert await reason_of(tokens, token(algorithm, rsa_key(), {"kid": "RS256"})) == "token_signature"


async def test_a_token_is_not_verified_by_a_key_with_another_kid(tokens: Tokens) -> None:
    assert await reason_of(tokens, token("RS256", rsa_key(), {"kid": "ES256"})) == "token_signature"
    assert await reason_of(tokens, token("RS256", rsa_key(), {"kid": "nobody"})) == "token_key"


async def test_a_token_of_the_secret_must_have_no_kid(tokens: Tokens) -> None:
    assert await reason_of(tokens, token(head={"kid": "secret"})) == "token_key"
    assert await reason_of(tokens, token(head={"kid": "RS256"})) == "token_signature"
    assert await reason_of(tokens, token("RS256", rsa_key(), {})) == "token_signature"


@pytest.mark.parametrize("name", ["jku", "x5u", "jwk", "x5c"])
async def test_keys_inside_a_token_are_ignored(tokens: Tokens, name: str) -> None:
    brought = {
        "jku": "https://evil.example/keys",
        "x5u": "https://evil.example/c",
        "jwk": public_jwk("ES256"),
        "x5c": ["MII"],
    }
    head = {name: brought[name]}
    assert await reason_of(tokens, token("ES256", ec_key(), head)) == "token_signature"
    assert (await tokens.authenticate(token(head=head))).id == "sub:alice"


@pytest.mark.parametrize("crit", [["exp"], ["b64"], [], "x", None, ["http://example.com/UNDEFINED"]])
async def test_a_token_with_critical_headers_is_refused(tokens: Tokens, crit: Any) -> None:
    head = {"alg": "HS256", "crit": crit, "exp": 1, "b64": True}
    assert await reason_of(tokens, unsigned(head, claims())) in ("token_crit", "token_malformed")


async def test_a_token_with_an_unencoded_payload_is_refused(tokens: Tokens) -> None:
    text = jwt.api_jws.encode(json.dumps(claims()).encode(), SECRET, "HS256", {"b64": False})
    assert await reason_of(tokens, text) == "token_malformed"
    assert await reason_of(tokens, text.replace("..", ".e30.")) in ("token_crit", "token_malformed")


async def test_one_changed_bit_makes_a_token_invalid(tokens: Tokens) -> None:
    good = token()
    head, payload, signature = good.split(".")
    other = claims(scope="admin")
    changed = base64.urlsafe_b64encode(json.dumps(other).encode()).rstrip(b"=").decode()
    assert await reason_of(tokens, f"{head}.{changed}.{signature}") == "token_signature"
    assert await reason_of(tokens, f"{head}.{payload}.{'A' * len(signature)}") == "token_signature"
    assert await reason_of(tokens, f"{head}.{payload}.{signature[:-3]}") == "token_signature"


async def test_the_claim_by_is_trusted_only_in_tokens_minted_here(tokens: Tokens) -> None:
    by = ["key:web", "key:web"]
    ours = await tokens.authenticate(token(by=by))
    assert ours.id == "minted:key:web/sub:alice"
    assert "key:web" in ours.marks
    theirs = await tokens.authenticate(token("ES256", by=by, since=5))
    assert theirs.id == "sub:alice"
    assert "key:web" not in theirs.marks


async def test_no_sub_can_be_spelled_to_match_another_principal(tokens: Tokens) -> None:
    spelled = await tokens.authenticate(token(sub="a/sub:b"))
    minted = await tokens.authenticate(token(sub="b", by=["sub:a", "sub:a"]))
    assert spelled.id != minted.id.removeprefix("minted:")
    assert (await tokens.authenticate(token(sub="a%2Fb"))).id != (await tokens.authenticate(token(sub="a/b"))).id


async def test_a_token_without_kid_is_accepted_if_the_key_set_has_only_one_key(tmp_path: Path) -> None:
    one = Tokens(None, source_of(tmp_path, public_jwk("ES256")), None, None)
    assert (await one.authenticate(token("ES256", ec_key(), {}))).id == "sub:alice"
    assert await reason_of(one, token()) == "token_signature"
    several = Tokens(None, source_of(tmp_path), None, None)
    assert await reason_of(several, token("ES256", ec_key(), {})) == "token_key"
