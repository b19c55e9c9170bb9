"""How long clients wait between attempts, and when they stop."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from turnwire import errors
from turnwire.connecting.backoff import LONGEST, Backoff, seconds_asked
from turnwire.connecting.handshake import Lost
from turnwire.connecting.patience import Patience
from turnwire.errors import final_close
from turnwire.protocol.errors import CloseCode, ErrorCode


def delays(count: int, asked: float | None = None) -> list[float]:
    backoff = Backoff()
    return [backoff.next_delay(asked) for _ in range(count)]


def test_reconnect_pauses_double_up_to_a_maximum_with_up_to_a_random_second_more() -> None:
    for index, delay in enumerate(delays(20)):
        longest = min(LONGEST, 0.2 * 2**index)
        assert longest / 2 <= delay <= longest + 1
    assert len({delays(1)[0] for _ in range(50)}) > 40


def test_progress_makes_the_next_reconnect_pause_short_again() -> None:
    backoff = Backoff()
    for _ in range(10):
        backoff.next_delay()
    backoff.reset()
    assert backoff.next_delay() <= 1.2


def test_a_reconnect_waits_at_least_as_long_as_the_gateway_asks() -> None:
    assert all(delay >= 3 for delay in delays(20, asked=3))
    assert delays(1, asked=3)[0] <= 4
    assert delays(1, asked=0)[0] <= 1


@pytest.mark.parametrize("milliseconds", [600_001, 2**40, 10**400])
def test_no_gateway_can_keep_a_client_away_for_longer_than_ten_minutes(milliseconds: int) -> None:
    for by_goaway in (True, False):
        waits = {Backoff().next_delay(seconds_asked(milliseconds), by_goaway=by_goaway) for _ in range(20)}
        assert all(300 <= wait <= 601 for wait in waits)
        assert len(waits) > 1, "they do not all come back together"
    assert 600 <= Backoff().next_delay(seconds_asked(600_000)) <= 601


def test_a_negative_time_to_wait_counts_as_none() -> None:
    assert 0 <= Backoff().next_delay(seconds_asked(-(10**400)), by_goaway=True) <= 0.4


def test_a_client_is_back_as_soon_as_a_leaving_gateway_has_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("turnwire.connecting.backoff.SPREAD", 1.0)
    for asked in (0.0, 0.5):
        backoff = Backoff()
        assert asked <= backoff.next_delay(asked, by_goaway=True) <= asked + 0.4
        assert backoff.next_delay() >= 0.2, "no other gateway was there"


async def test_without_give_up_after_a_client_waits_for_ever() -> None:
    patience = Patience(None, "test")
    await patience.pause(Lost("away"))


async def test_a_client_gives_up_after_its_limit() -> None:
    patience = Patience(0.05, "test")
    with pytest.raises(errors.Unreachable, match=r"gave up after 0\.05 s: away"):
        await patience.pause(Lost("away"))


@pytest.mark.parametrize("code", [1001, 1012, 1013, 4408, 4429, 1006, 1011, 4999])
def test_a_client_reconnects_after_a_temporary_close_code(code: int) -> None:
    assert final_close(code) is None


@pytest.mark.parametrize(
    ("code", "kind", "word"),
    [
        (CloseCode.DONE, errors.Refused, None),
        (CloseCode.UNSUPPORTED_FRAME, errors.Refused, ErrorCode.INVALID_MESSAGE),
        (CloseCode.BAD_UTF8, errors.Refused, ErrorCode.INVALID_JSON),
        (CloseCode.TOO_BIG, errors.Refused, ErrorCode.TOO_LARGE),
        (CloseCode.PROTOCOL_ERROR, errors.Refused, ErrorCode.INVALID_MESSAGE),
        (CloseCode.UNAUTHENTICATED, errors.NotAllowed, ErrorCode.UNAUTHENTICATED),
        (CloseCode.TOKEN_EXPIRED, errors.NotAllowed, ErrorCode.UNAUTHENTICATED),
        (CloseCode.FORBIDDEN, errors.NotAllowed, ErrorCode.FORBIDDEN),
        (CloseCode.NOT_FOUND, errors.SessionNotFound, ErrorCode.NOT_FOUND),
        (CloseCode.SUPERSEDED, errors.Superseded, ErrorCode.SUPERSEDED),
        (CloseCode.SESSION_ENDED, errors.SessionEnded, ErrorCode.SESSION_ENDED),
    ],
)
def test_a_client_stops_after_a_final_close_code_with_its_kind_of_error(
    code: CloseCode, kind: Callable[..., errors.Refused], word: ErrorCode | None
) -> None:
    error = final_close(code, "so it is")
    assert error is not None
    assert type(error) is kind
    assert (error.code, error.close_code) == (word, code)
    assert "so it is" in str(error)
