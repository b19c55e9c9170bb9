"""A principal has a limited number of sessions in memory. One that has left memory is no longer counted."""

from __future__ import annotations

from typing import cast

import pytest

from turnwire.gateway.access.audit import Audit
from turnwire.gateway.access.principals import Principal
from turnwire.gateway.access.rates import Rates
from turnwire.gateway.access.refusals import Refusal
from turnwire.gateway.access.session_quotas import SessionQuotas

ALICE, BOB = (Principal(id=f"sub:{name}", scopes=frozenset()) for name in ("alice", "bob"))


class Limit:
    """Rates without any limit except for the number of live sessions."""

    max_live_sessions = 2


class Memory:
    """The sessions in memory. Counts how often it is asked for one."""

    def __init__(self, *session_ids: str) -> None:
        self.live = set(session_ids)
        self.looks = 0
        self.quotas = SessionQuotas(
            cast("Rates", Limit()), cast("Audit", None), is_live=self.is_live, exists=self._exists
        )

    def is_live(self, session_id: str) -> bool:
        self.looks += 1
        return session_id in self.live

    async def _exists(self, _session_id: str) -> bool:
        raise AssertionError("asked the store")

    def leave(self, session_id: str) -> None:
        self.live.discard(session_id)
        self.quotas.left(session_id)

    def is_refused(self, principal: Principal, session_id: str) -> bool:
        try:
            self.quotas.check_live(principal, session_id)
        except Refusal:
            return True
        return False


@pytest.fixture
def memory() -> Memory:
    memory = Memory("a", "b", "c")
    for session_id in ("a", "b"):
        memory.quotas.owns(ALICE, session_id)
    memory.looks = 0
    return memory


def test_a_refusal_looks_at_no_session(memory: Memory) -> None:
    assert all(memory.is_refused(ALICE, "c") for _ in range(3))
    assert memory.looks == 0
    assert not memory.is_refused(ALICE, "a"), "it is counted already"
    assert not memory.is_refused(BOB, "c")


def test_a_session_that_leaves_memory_makes_room_at_once_for_each_that_holds_it(memory: Memory) -> None:
    for session_id in ("a", "c"):
        memory.quotas.owns(BOB, session_id)
    assert memory.is_refused(BOB, "b")
    memory.leave("a")
    assert not memory.is_refused(ALICE, "d")
    assert not memory.is_refused(BOB, "d")
    memory.leave("a")
    memory.leave("nobody's")
    memory.quotas.owns(ALICE, "c")
    assert memory.is_refused(ALICE, "d")


def test_a_session_that_has_left_memory_before_it_is_noted_is_not_counted(memory: Memory) -> None:
    memory.leave("c")
    memory.quotas.owns(BOB, "a")
    memory.quotas.owns(BOB, "c")
    assert not memory.is_refused(BOB, "d")


def test_nothing_is_kept_of_sessions_that_have_left(memory: Memory) -> None:
    for session_id in ("a", "b", "c"):
        memory.leave(session_id)
    assert (memory.quotas._held, memory.quotas._holders) == ({}, {})
