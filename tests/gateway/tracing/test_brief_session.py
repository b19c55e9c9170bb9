"""What is made of a collector's answers: redirects are failures, and endless answers are not read."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import SpanExportResult

from turnwire.gateway.tracing.brief_session import BriefSession
from turnwire.gateway.tracing.exporting import CountedExporter

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
ENDLESS = b"HTTP/1.1 200 OK\r\n\r\n"
MUCH = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"
MOVED = b"HTTP/1.1 308 Permanent Redirect\r\nLocation: https://other.example/?key=secret\r\nContent-Length: 0\r\n\r\n"
BAD = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno"
ODD = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nno"


class Collector:
    """Answers each request with the same bytes, and goes on sending while `goes_on`."""

    def __init__(self, answer: bytes, *, goes_on: bool) -> None:
        self.url = ""
        self.writers: list[asyncio.StreamWriter] = []
        """One for each connection."""
        self._answer = answer
        self._goes_on = goes_on

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]))
                writer.write(self._answer)
                await writer.drain()
                while self._goes_on and not writer.is_closing():
                    writer.write(b"x" * 65536)
                    await asyncio.sleep(0)
                    await writer.drain()


@asynccontextmanager
async def answering(answer: bytes, *, goes_on: bool = False) -> AsyncIterator[Collector]:
    collector = Collector(answer, goes_on=goes_on)
    server = await asyncio.start_server(collector.serve, "127.0.0.1", 0)
    collector.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/traces"
    yield collector
    for writer in collector.writers:
        writer.close()
    server.close()
    await server.wait_closed()


async def export(collector: Collector, times: int = 1) -> CountedExporter:
    session = BriefSession()
    exporter = CountedExporter(OTLPSpanExporter(collector.url, session=session), session)
    results = [await asyncio.to_thread(exporter.export, []) for _ in range(times)]
    exporter.shutdown()
    assert len({result is SpanExportResult.SUCCESS for result in results}) == 1
    return exporter


@pytest.mark.parametrize("head", [ENDLESS, MUCH], ids=["of unknown length", "of a large length"])
async def test_an_endless_answer_is_not_read(head: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with answering(head, goes_on=True) as collector, asyncio.timeout(10):
        await export(collector, 2)
    assert len(collector.writers) == 2
    assert "do not reach" not in caplog.text


async def test_the_connection_of_a_short_answer_is_used_again() -> None:
    async with answering(OK) as collector:
        await export(collector, 3)
    assert len(collector.writers) == 1


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (MOVED, "(it answered 308; redirects are not followed)"),
        (BAD, "(it answered 400)"),
        (ODD, "(ContentDecodingError)"),
    ],
)
async def test_the_log_says_why_spans_do_not_arrive(answer: bytes, why: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "turnwire.tracing"):
        async with answering(answer) as collector:
            await export(collector, 2)
    [said] = [record.getMessage() for record in caplog.records if record.name == "turnwire.tracing"]
    assert why in said
    assert "secret" not in said


@pytest.mark.parametrize(
    "begin", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n"], ids=["head", "body"]
)
async def test_a_collector_that_answers_byte_by_byte_is_cut_off_in_time(begin: bytes) -> None:
    left = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(begin)
        while not reader.at_eof():
            writer.write(b"x")
            await asyncio.sleep(0.01)
        writer.close()
        left.set()

    session = BriefSession()
    async with asyncio.timeout(10), await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/traces"
        with pytest.raises(requests.RequestException):
            await asyncio.to_thread(session.post, url, data=b"", timeout=0.1)
        session.close()
        await left.wait()
    assert session.fault
