"""When a client is told that its credential is about to expire."""

from __future__ import annotations

import pytest

from turnwire.gateway.access.lifetimes import Lifetime
from turnwire.gateway.access.principals import ANONYMOUS, Principal


def lifetime(seconds: float) -> Lifetime:
    return Lifetime(Principal(id="p", scopes=frozenset(), expires_at=1000 + seconds), 1000.0)


@pytest.mark.parametrize(("seconds", "notice"), [(600, 540), (120, 60), (100, 50), (10, 5)])
def test_the_expiry_notice_is_due_a_minute_before_the_end_or_at_half_life(seconds: float, notice: float) -> None:
    life = lifetime(seconds)
    assert life.due(1000 + notice - 0.1) is None
    assert life.due(1000 + notice) == "expiring"
    assert life.due(1000 + notice + 0.1) is None
    assert life.due(1000 + seconds) == "expired"
    assert life.due(1000 + seconds + 1) == "expired"


def test_a_credential_without_an_expiry_is_never_due() -> None:
    assert Lifetime(ANONYMOUS, 1000.0).due(10**12) is None


def test_an_expired_credential_is_due_at_once() -> None:
    assert lifetime(-5).due(1000) == "expired"
