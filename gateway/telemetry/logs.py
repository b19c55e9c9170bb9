"""Logging: one line for each record on standard error, readable on a terminal, JSON elsewhere.

All modules log through the standard library; structlog renders. Passwords in URIs, credentials, and line breaks in
text from clients do not reach the log.
"""

from __future__ import annotations

import logging
import sys
from typing import Final

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from turnwire.gateway.config import LogFormat, LogLevel
from turnwire.gateway.standard_error import log_handler
from turnwire.gateway.telemetry.hiding import hide_credentials, hide_password

_CONTROLS: Final = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}


def configure_logging(level: LogLevel, log_format: LogFormat, *adding: Processor) -> None:
    """Send all logging of this process to standard error. May be called again. `adding`: processors that add to each
    record."""
    terminal = sys.stderr.isatty()
    as_json = log_format == "json" or (log_format == "auto" and not terminal)
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso" if as_json else "%H:%M:%S", utc=as_json),
        *adding,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _clean,
            *(_as_json() if as_json else [_on_console(colors=terminal)]),
        ],
    )
    handler = log_handler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    server = logging.getLogger("aiohttp.server")
    server.filters[:] = [_shorten_malformed_request]
    # Requests are counted by the metrics; a line for each is for debugging.
    logging.getLogger("aiohttp.access").setLevel(logging.INFO if level == "debug" else logging.WARNING)
    # The driver logs every failed heartbeat; the gateway logs once that the storage is away.
    logging.getLogger("pymongo").setLevel(logging.ERROR)
    logging.captureWarnings(True)


def _as_json() -> list[Processor]:
    return [
        structlog.processors.EventRenamer("message"),
        structlog.processors.JSONRenderer(serializer=lambda record, **_: msgspec.json.encode(record).decode()),
    ]


def _on_console(*, colors: bool) -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=colors, pad_event_to=0, pad_level=False, exception_formatter=structlog.dev.plain_traceback
    )


def _clean(_logger: WrappedLogger, _method: str, record: EventDict) -> EventDict:
    """Remove credentials from a record, and escape characters that would start a line or control a terminal."""
    for name, value in record.items():
        if isinstance(value, str):
            text = hide_credentials(hide_password(value))
            lines = text.splitlines() if name == "exception" else [text]
            record[name] = "\n".join(line.translate(_CONTROLS) for line in lines)
    return record


def _shorten_malformed_request(record: logging.LogRecord) -> bool:
    """Log a request that is not HTTP as one line, without a traceback that quotes the client's bytes."""
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return logging.getLogger().isEnabledFor(record.levelno)
    from aiohttp.http_exceptions import HttpProcessingError  # noqa: PLC0415 -- the embedded database starts before it

    if isinstance(error, HttpProcessingError):
        remote = record.args[0] if isinstance(record.args, tuple) and record.args else "unknown"
        record.msg, record.args = "refused a malformed request from %s: %s", (remote, type(error).__name__)
        record.exc_info = None
        record.levelno, record.levelname = logging.INFO, "INFO"
    return logging.getLogger().isEnabledFor(record.levelno)
