"""Rates: what a bucket gives, that the number of buckets is bounded, and what the headers say."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.credentials import Clock
from turnwire.gateway.access.buckets import Bucket, Buckets, ClientCounts
from turnwire.gateway.access.principals import Principal
from turnwire.gateway.access.rates import Rates, rate_headers
from turnwire.gateway.access.refusals import Refusal
from turnwire.gateway.config import Config
from turnwire.gateway.config.rate import OFF, Rate

ALICE = Principal(id="sub:alice", scopes=frozenset())
BOB = Principal(id="sub:bob", scopes=frozenset())


def test_a_bucket_gives_its_burst_then_its_rate() -> None:
    bucket = Bucket(Rate(10, 20), 0.0)
    assert sum(bucket.take(0.0) for _ in range(100)) == 20
    assert bucket.wait(0.0) == pytest.approx(0.1)
    assert sum(bucket.take(1.0) for _ in range(100)) == 10
    assert sum(bucket.take(1000.0) for _ in range(100)) == 20
    assert bucket.left(1000.5) == 5


def test_a_bucket_takes_a_whole_amount_or_nothing() -> None:
    bucket = Bucket(Rate(1, 5), 0.0)
    assert not bucket.take(0.0, 6)
    assert bucket.take(0.0, 5)


def test_events_over_their_rate_cause_a_pause_and_are_not_dropped() -> None:
    bucket = Bucket(Rate(500, 2000), 0.0)
    assert bucket.spend(0.0, 2000) == 0
    assert bucket.spend(0.0, 500) == pytest.approx(1.0)
    assert bucket.spend(1.0, 0) == pytest.approx(0.0)


@given(steps=st.lists(st.tuples(st.floats(0, 10), st.integers(1, 30)), max_size=50))
def test_no_pattern_of_requests_gets_more_than_burst_and_rate(steps: list[tuple[float, int]]) -> None:
    bucket = Bucket(Rate(3, 7), 0.0)
    now, taken = 0.0, 0
    for pause, count in steps:
        now += pause
        taken += count if bucket.take(now, count) else 0
        assert taken <= 7 + 3 * now + 1e-6


def test_each_client_has_a_bucket_and_the_number_of_buckets_is_bounded() -> None:
    buckets = Buckets(Rate(1, 1), max_tracked=100)
    for number in range(1000):
        assert buckets.take(f"address-{number}", 0.0) == 0
    assert len(buckets) == 100
    assert buckets.take("address-999", 0.0) == pytest.approx(1.0)


def test_the_bucket_of_a_frequent_client_is_kept_when_many_others_come_once() -> None:
    buckets = Buckets(Rate(1, 1), max_tracked=10)
    buckets.take("busy", 0.0)
    for number in range(100):
        buckets.take(f"address-{number}", 0.0)
        assert buckets.take("busy", 0.0) > 0


def test_a_rate_that_is_off_allows_everything_and_tracks_no_client() -> None:
    buckets = Buckets(OFF)
    assert not any(buckets.take("a", 0.0) for _ in range(1000))
    assert len(buckets) == 0


def test_a_count_has_a_limit_and_leaves_no_entry_at_zero() -> None:
    counts = ClientCounts(2)
    assert [counts.enter("a") for _ in range(3)] == [True, True, False]
    assert counts.enter("b")
    counts.leave("a")
    assert counts.enter("a")
    for _ in range(2):
        counts.leave("a")
    counts.leave("b")
    assert (counts.of("a"), counts.of("b"), counts._counts) == (0, 0, {})
    assert all(ClientCounts(0).enter("a") for _ in range(10))


def test_ratelimit_headers_give_the_policy_and_the_remainder() -> None:
    assert rate_headers("requests", Rate(1000, 2000), 17, 0.2) == {
        "RateLimit-Policy": '"requests";q=2000;w=2',
        "RateLimit": '"requests";r=17;t=1',
    }


@pytest.mark.parametrize(
    ("check", "burst"),
    [
        (lambda rates: rates.check_request(ALICE), 1000),
        (lambda rates: rates.check_anonymous_request("192.0.2.1"), 20),
        (lambda rates: rates.check_handshake("192.0.2.1"), 50),
    ],
)
def test_exceeding_any_rate_gives_429_with_the_time_to_wait(check: Callable[[Rates], None], burst: int) -> None:
    rates = Rates(Config(), Clock(), on=True)
    for _ in range(burst):
        check(rates)
    with pytest.raises(Refusal) as refused:
        check(rates)
    assert (refused.value.status, refused.value.retryable) == (429, True)
    assert refused.value.retry_after == 1
    assert refused.value.headers["RateLimit"].endswith("r=0;t=1")
    assert f"q={burst};" in refused.value.headers["RateLimit-Policy"]


def test_ten_failed_logins_in_a_minute_are_allowed_and_the_next_is_limited() -> None:
    clock = Clock()
    rates = Rates(Config(), clock, on=True)
    assert [rates.failed_login("192.0.2.1") for _ in range(10)] == [None] * 10
    assert rates.failed_login("192.0.2.1") is not None
    assert rates.failed_login("192.0.2.2") is None
    clock.now += 6.1
    assert rates.failed_login("192.0.2.1") is None


def test_one_principal_does_not_consume_the_rate_of_another() -> None:
    rates = Rates(Config(rate_requests="1/1"), Clock(), on=True)
    rates.check_request(ALICE)
    rates.check_request(BOB)
    with pytest.raises(Refusal):
        rates.check_request(ALICE)


def test_connections_are_counted_by_principal() -> None:
    rates = Rates(Config(max_connections_per_principal=1), Clock(), on=True)
    rates.enter(ALICE, rates.connections, "connections")
    rates.enter(BOB, rates.connections, "connections")
    with pytest.raises(Refusal, match="1 connections"):
        rates.enter(ALICE, rates.connections, "connections")
    rates.connections.leave(ALICE.id)
    rates.enter(ALICE, rates.connections, "connections")


def test_each_connection_has_its_own_buckets() -> None:
    rates = Rates(Config(), Clock(), on=True)
    events, signals = rates.events(), rates.signals()
    commands, control = rates.commands(), rates.control_frames()
    assert events is not None
    assert signals is not None
    assert commands is not None
    assert control is not None
    assert (events.rate, signals.rate) == (Rate(500, 2000), Rate(100, 200))
    assert (commands.rate, control.rate) == (Rate(50, 200), Rate(10, 50))
    assert rates.events() is not events


def test_rates_are_off_without_authentication() -> None:
    rates = Rates(Config(), Clock(), on=False)
    for _ in range(3000):
        rates.check_request(ALICE)
        rates.check_anonymous_request("192.0.2.1")
        assert rates.failed_login("192.0.2.1") is None
    assert (rates.events(), rates.signals(), rates.commands(), rates.control_frames()) == (None,) * 4
    assert rates.connections.limit == rates.open_handshakes.limit == 0
