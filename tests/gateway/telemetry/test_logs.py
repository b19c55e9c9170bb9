"""What reaches the log, and what must not."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import msgspec
import pytest
from aiohttp.http_exceptions import BadStatusLine

from turnwire.gateway.config import LogFormat
from turnwire.gateway.telemetry.hiding import hide_credentials, hide_password
from turnwire.gateway.telemetry.logs import configure_logging

log = logging.getLogger("turnwire.test")


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root, server = logging.getLogger(), logging.getLogger("aiohttp.server")
    handlers, level, filters = root.handlers[:], root.level, server.filters[:]
    yield
    root.handlers[:], server.filters[:] = handlers, filters
    root.setLevel(level)
    logging.captureWarnings(False)
    for name in ("aiohttp.access", "pymongo"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_without_a_terminal_a_log_record_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "auto")
    log.info("stored %d events", 3)
    log.debug("not shown")
    (line,) = capsys.readouterr().err.splitlines()
    record = msgspec.json.decode(line)
    assert record.pop("timestamp").endswith("Z")
    assert record == {"level": "info", "logger": "turnwire.test", "message": "stored 3 events"}


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_text_from_a_client_cannot_start_a_log_line_or_control_a_terminal(
    log_format: LogFormat, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("info", log_format)
    log.info("session %s", "a\nb\r\x1b[31m\x85\u2028c")
    written = capsys.readouterr().err
    assert written.isascii()
    assert len(written.splitlines()) == 1
    assert "\x1b" not in written


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_passwords_in_uris_are_hidden_in_messages_and_tracebacks(
    log_format: LogFormat, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("info", log_format)
    try:
        raise ValueError("cannot reach mongodb://me:secret@db/")
    except ValueError:
        log.exception("trouble with %s", "mongodb+srv://me:secret@db.example/?x=1")
    written = capsys.readouterr().err
    assert "secret" not in written
    assert "mongodb://me:***@db/" in written
    assert "ValueError" in written


@pytest.mark.parametrize(
    "text", ["http://127.0.0.1:3000/sessions/a@b", "mongodb://db1:27017,db2:27017/?replicaSet=rs0", "a: b@c"]
)
def test_text_that_is_not_a_password_is_logged_unchanged(text: str) -> None:
    assert hide_password(text) == text


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_keys_and_tokens_are_hidden_in_logs(log_format: LogFormat, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", log_format)
    log.info("GET /subscribe?token=%s and %s here", f"tw_bot_{'k' * 43}", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln")
    written = capsys.readouterr().err
    assert "token=tw_bot_*** and eyJ*** here" in written
    assert "c2ln" not in written


@pytest.mark.parametrize("text", ["tw_bot", "a.b.c", "eyJ is how a token begins", "session tw_1_2 of tw_a_b"])
def test_text_that_is_not_a_credential_is_logged_unchanged(text: str) -> None:
    assert hide_credentials(text) == text


def test_a_malformed_request_is_logged_in_one_line_without_its_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "console")
    server = logging.getLogger("aiohttp.server")
    server.error("Error handling request from %s", "10.1.2.3", exc_info=BadStatusLine("bearer-of-secrets"))
    (line,) = capsys.readouterr().err.splitlines()
    assert "[info] refused a malformed request from 10.1.2.3: BadStatusLine" in line
    server.error("Error handling request from %s", "10.1.2.3", exc_info=KeyError("a fault of ours"))
    assert "KeyError: 'a fault of ours'" in capsys.readouterr().err
