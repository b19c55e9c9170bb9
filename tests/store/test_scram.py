"""The client's side of SCRAM-SHA-256, by the example of RFC 7677, and against whoever does not know the password."""

from __future__ import annotations

import pytest

from turnwire.store.embedded.scram import DatabaseUser, ScramExchange, new_credentials

NONCE = "rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


@pytest.fixture
def exchange(monkeypatch: pytest.MonkeyPatch) -> ScramExchange:
    monkeypatch.setattr("secrets.token_urlsafe", lambda _: NONCE)
    return ScramExchange(DatabaseUser("user", "pencil"))


def test_scram_messages_are_those_of_the_rfc(exchange: ScramExchange) -> None:
    assert exchange.first() == f"n,,n=user,r={NONCE}".encode()
    assert exchange.final(SERVER_FIRST) == (
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    exchange.confirm(SERVER_FINAL)


@pytest.mark.parametrize(
    "answer", [SERVER_FIRST.replace(NONCE.encode(), b"another"), SERVER_FIRST.replace(b"4096", b"1")]
)
def test_an_answer_to_something_else_or_with_too_few_rounds_is_refused(exchange: ScramExchange, answer: bytes) -> None:
    with pytest.raises(ValueError, match="does not belong to the question"):
        exchange.final(answer)


@pytest.mark.parametrize("answer", [b"v=AAAA", b"e=other-error", b""])
def test_a_server_that_does_not_know_the_password_is_refused(exchange: ScramExchange, answer: bytes) -> None:
    exchange.final(SERVER_FIRST)
    with pytest.raises(ValueError, match="does not know"):
        exchange.confirm(answer)


def test_the_password_is_long_random_and_not_shown() -> None:
    made = new_credentials()
    assert len(made.password) == 64
    assert made.password not in repr(made)
    assert new_credentials() != made
