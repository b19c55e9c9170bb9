"""Revocations: what each covers, on every gateway, and after a restart."""

from __future__ import annotations

import pytest

from tests.support.revocation_log import MemoryLog
from turnwire.gateway.access.credentials.revocations import RevocationRequest, Revocations, mark_of
from turnwire.gateway.access.principals import Principal
from turnwire.gateway.access.refusals import Refusal
from turnwire.protocol.errors import InvalidMessage, StorageUnavailable

T2020 = "2020-01-01T00:00:00Z"
SECONDS_2020 = 1_577_836_800.0


def holder(*marks: str, issued_at: float | None = SECONDS_2020, kind: str = "token") -> Principal:
    return Principal(id="p", scopes=frozenset(), marks=marks, issued_at=issued_at, kind=kind)  # type: ignore[arg-type]


async def revocations(*requests: RevocationRequest) -> Revocations:
    made = Revocations(MemoryLog())
    for request in requests:
        await made.revoke(request)
    await made.refresh()
    return made


@pytest.mark.parametrize(
    ("request_", "mark"),
    [
        (RevocationRequest(jti="x"), "jti:x"),
        (RevocationRequest(sub="x"), "sub:x"),
        (RevocationRequest(key="x"), "key:x"),
    ],
)
async def test_each_kind_of_revocation_covers_only_its_own(request_: RevocationRequest, mark: str) -> None:
    revoked = await revocations(request_)
    assert {each for each in ("jti:x", "sub:x", "key:x") if revoked.covers(holder(each))} == {mark}
    assert not revoked.covers(holder(f"{mark}y"))
    with pytest.raises(Refusal, match="revoked"):
        revoked.check(holder("jti:other", mark))


async def test_a_revocation_with_before_spares_tokens_issued_later() -> None:
    revoked = await revocations(RevocationRequest(sub="a", before=T2020))
    assert revoked.covers(holder("sub:a", issued_at=SECONDS_2020 - 1))
    assert not revoked.covers(holder("sub:a", issued_at=SECONDS_2020))
    assert revoked.covers(holder("sub:a", issued_at=None))


async def test_a_key_is_revoked_without_before_and_its_tokens_with_or_without() -> None:
    with_time = await revocations(RevocationRequest(key="web", before=T2020))
    assert not with_time.covers(holder("key:web", issued_at=None, kind="key"))
    assert with_time.covers(holder("sub:a", "key:web", issued_at=SECONDS_2020 - 1))
    without = await revocations(RevocationRequest(key="web"))
    assert without.covers(holder("key:web", issued_at=None, kind="key"))
    assert without.covers(holder("sub:a", "key:web", issued_at=SECONDS_2020 + 10**9))


async def test_of_several_revocations_the_widest_counts() -> None:
    revoked = await revocations(
        RevocationRequest(sub="a"), RevocationRequest(sub="a", before=T2020), RevocationRequest(sub="a", before=T2020)
    )
    assert revoked.covers(holder("sub:a", issued_at=SECONDS_2020 + 1))


async def test_revocations_are_known_to_other_gateways_and_after_a_restart() -> None:
    log = MemoryLog()
    here, there = Revocations(log), Revocations(log)
    await there.refresh()
    for number in range(250):
        await here.revoke(RevocationRequest(jti=f"t{number}"))
    assert await there.refresh()
    assert not await there.refresh()
    restarted = Revocations(log)
    await restarted.refresh()
    for each in (here, there, restarted):
        assert all(each.covers(holder(f"jti:t{number}")) for number in range(250))


async def test_no_credential_is_accepted_before_the_revocations_are_known() -> None:
    log = MemoryLog()
    log.away = True
    starting = Revocations(log)
    with pytest.raises(StorageUnavailable):
        await starting.refresh()
    with pytest.raises(StorageUnavailable, match="not been read yet"):
        starting.check(holder("sub:a"))
    log.away = False
    await starting.refresh()
    starting.check(holder("sub:a"))
    log.away = True
    starting.check(holder("sub:a"))


async def test_a_revocation_that_could_not_be_stored_is_not_in_force() -> None:
    log = MemoryLog()
    revoked = Revocations(log)
    log.away = True
    with pytest.raises(StorageUnavailable):
        await revoked.revoke(RevocationRequest(sub="a"))
    assert not revoked.covers(holder("sub:a"))


@pytest.mark.parametrize(
    "wrong",
    [
        RevocationRequest(),
        RevocationRequest(jti="a", sub="b"),
        RevocationRequest(jti=""),
        RevocationRequest(sub="x" * 257),
        RevocationRequest(sub="a", before="yesterday"),
        RevocationRequest(sub="a", before="2020-01-01T00:00:00"),
    ],
)
def test_a_revocation_request_names_one_thing_and_a_time_with_an_offset(wrong: RevocationRequest) -> None:
    with pytest.raises(InvalidMessage):
        mark_of(wrong)
