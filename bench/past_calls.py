"""Measures the cost of finding past calls: `python -m bench.past_calls --calls 1000000`.

Creates this many ended sessions, with words spoken in them, in its own data folder. Then asks a gateway on it for
pages, words and sums while ten publishers stream, and prints the latencies of the answers and of the acks.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Annotated, Any

import aiohttp
import typer
from msgspec import Struct, field
from pymongo import MongoClient, WriteConcern

from turnwire.protocol.messages import Interruptions, LastLine, SessionFigures
from turnwire.store.embedded.server import EmbeddedDatabase
from turnwire.store.search.catalog import Catalog, Said
from turnwire.store.search.tables import FILE_NAME
from turnwire.store.session_record import document_of, kept_figures
from turnwire.store.sessions import SessionRecord

BATCH = 1000
ASKED_SECONDS = 1.0
"""For how long a query is sent again and again in each round."""
PUBLISHERS, EVENTS_A_SECOND = 10, 5
CALLS_A_DAY = 20_000
_TALK = """
hello yes no please thanks table two eight tomorrow today monday order number account invoice refund card address
delivery appointment doctor cancel change help problem internet router price offer contract spell again wait
"""
_WORDS = _TALK.split()
_RARE = 50_000
"""The number of different names. Each occurs in few calls."""


def calls(count: int, random: Random) -> Iterator[tuple[SessionRecord, Said]]:
    """Make ended sessions with their texts, oldest first, CALLS_A_DAY for each day until now."""
    step = timedelta(days=1) / CALLS_A_DAY
    now = datetime.now(UTC).replace(microsecond=0)
    for number in range(count):
        started = now - (count - number) * step
        length = timedelta(seconds=random.randint(10, 600))
        p50 = int(random.lognormvariate(6.5, 0.4))
        text = " ".join(random.choices(_WORDS, k=60)) + f" name{random.randrange(_RARE)}"
        figures = SessionFigures(
            turns=random.randint(2, 60),
            response_p50_ms=p50,
            response_p95_ms=p50 * 2,
            missed=0,
            interruptions=Interruptions(random.randrange(4), 0),
            tools_failed=int(random.random() < 0.01),
            errors=int(random.random() < 0.001),
            duration_ms=int(length / timedelta(milliseconds=1)),
            talk_ms=int(length / timedelta(milliseconds=2)),
            last_line=LastLine(20, "bot", text[:40]),
        )
        failed = random.random() < 0.05
        record = SessionRecord(
            session_id=f"call-{number:08d}",
            language=random.choice(("en", "de", "fr")),
            started_at=started,
            status="failed" if failed else "completed",
            ended_at=started + length,
            end_reason="hangup" if failed else None,
            metadata={"customerId": f"c{random.randrange(count // 5 + 1)}", "bot": random.choice(("ann", "bob"))},
            last_seq=20,
            last_event_at=started + length,
            figures=figures,
        )
        yield record, Said(record.session_id, 1, 20, text)


async def make_calls(folder: Path, count: int) -> None:
    database = EmbeddedDatabase(folder)
    await database.start()
    client: MongoClient[dict[str, Any]] = MongoClient(database.uri)
    sessions = client["turnwire"].get_collection("sessions", write_concern=WriteConcern(w=1))
    for fields in (("startedAt", "_id"), ("status", "startedAt", "_id")):
        sessions.create_index([(field, 1) for field in fields])
    catalog = Catalog(folder / FILE_NAME)
    batch: list[tuple[SessionRecord, Said]] = []
    for made in calls(count, Random(1)):
        batch.append(made)
        if len(batch) == BATCH or made[0].session_id == f"call-{count - 1:08d}":
            sessions.insert_many([_document(record) for record, _ in batch], ordered=False)
            catalog.take([record for record, _ in batch], [said for _, said in batch])
            batch.clear()
    catalog.note_complete()
    catalog.close()
    client.close()
    await database.stop()


def _document(record: SessionRecord) -> dict[str, Any]:
    document = document_of(record)
    assert record.ended_at is not None
    return {
        **document,
        **kept_figures(record),
        "durationMs": int((record.ended_at - record.started_at) / timedelta(milliseconds=1)),
    }


def questions(count: int) -> dict[str, str]:
    """Return the queries: name → path. The first one is the baseline."""
    day = datetime.now(UTC) - timedelta(days=1)
    ever = datetime.now(UTC) - timedelta(days=count / CALLS_A_DAY + 1)
    return {
        "newest calls": "/sessions?limit=50",
        "status": "/sessions?limit=50&status=failed&order=desc",
        "end reason": "/sessions?limit=50&endReason=hangup",
        "metadata, 5 calls": "/sessions?limit=50&metadata.customerId=c7",
        "metadata, half of all": "/sessions?limit=50&metadata.bot=ann",
        "id prefix": f"/sessions?limit=50&idPrefix=call-{count // 2:08d}",
        "with errors": "/sessions?limit=50&hasErrors=true",
        "p95 at least 3 s": "/sessions?limit=50&minResponseP95Ms=3000",
        "3 interruptions or more": "/sessions?limit=50&minInterruptions=3",
        "reason, bot and language": "/sessions?limit=50&endReason=hangup&metadata.bot=ann&language=de",
        "oldest first": "/sessions?limit=50&order=asc",
        "count up to 1,000": "/sessions?limit=50&endReason=hangup&countUpTo=1000",
        "q, a common word": "/sessions?limit=50&q=hello",
        "q, a rare word": "/sessions?limit=50&q=name7",
        "q, common and rare": "/sessions?limit=50&q=hello+name7",
        "q, no such word": "/sessions?limit=50&q=nobody",
        "q, three common words": "/sessions?limit=50&q=table+refund+doctor",
        "sums by customer": f"/stats?startedAfter={ever:%Y-%m-%dT%H:%M:%SZ}&groupBy=metadata.customerId",
        "sums of a day": f"/stats?startedAfter={day:%Y-%m-%dT%H:%M:%SZ}&groupBy=hour",
    }


class Answers(Struct):
    """What was measured for one question, in seconds."""

    took: list[float] = field(default_factory=list)
    acks: list[float] = field(default_factory=list)

    def row(self, name: str) -> str:
        took, late = self.took or [0.0], sorted(self.acks)
        figures = statistics.median(took), max(took), statistics.median(late), late[int(len(late) * 0.99)]
        return f"{name:<26}" + "".join(f"{each * 1000:>10.1f}" for each in figures)


async def ask(url: str, asked: dict[str, str], rounds: int) -> None:
    """Ask by turns, so that whatever else the machine does in the meantime concerns all questions alike."""
    answers = {name: Answers() for name in ("nothing", *asked)}
    async with aiohttp.ClientSession() as client:
        acks: list[float] = []
        publishing = [asyncio.create_task(_publish(client, url, number, acks)) for number in range(PUBLISHERS)]
        for _ in range(rounds):
            for name, each in answers.items():
                acks.clear()
                each.took += await _ask_on(client, url + asked[name] if name in asked else "")
                each.acks += acks
        for task in publishing:
            task.cancel()
        await asyncio.gather(*publishing, return_exceptions=True)
    print(f"{'question':<26}{'p50 ms':>10}{'max ms':>10}{'ack p50':>10}{'ack p99':>10}")
    for name, each in answers.items():
        print(each.row(name))


async def _ask_on(client: aiohttp.ClientSession, url: str) -> list[float]:
    """Send the query again and again, and return the latencies in seconds. Without a URL, only let the time pass."""
    took: list[float] = []
    until = time.perf_counter() + ASKED_SECONDS
    while time.perf_counter() < until:
        if url:
            took.append(await _ask_once(client, url))
        else:
            await asyncio.sleep(ASKED_SECONDS / 10)
    return took


async def _ask_once(client: aiohttp.ClientSession, url: str) -> float:
    began = time.perf_counter()
    async with client.get(url) as response:
        await response.read()
        assert response.status == 200, await response.text()
    return time.perf_counter() - began


async def _publish(client: aiohttp.ClientSession, url: str, publisher: int, acks: list[float]) -> None:
    """Publish EVENTS_A_SECOND in a separate session, and collect the latencies of the acks in seconds."""
    pause = 1 / EVENTS_A_SECOND
    await asyncio.sleep(pause * publisher / PUBLISHERS)
    async with client.ws_connect(f"{url}/sessions/publisher-{publisher}/publish?language=en") as socket:
        await socket.receive_json()
        number = 0
        while True:
            number += 1
            began = time.perf_counter()
            event = {"eventId": f"e{number}-{began}", "type": "user_speech", "payload": {"text": "hello"}}
            await socket.send_json({"type": "append", "events": [event]})
            await socket.receive_json()
            acks.append(time.perf_counter() - began)
            await asyncio.sleep(max(0.0, began + pause - time.perf_counter()))


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[str]:
    """Serve the calls in this folder, and yield the URL of the gateway."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "turnwire", "serve", "--port", "0", "--data-dir", str(folder)),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        url = ""
        while not url:
            line = (await process.stderr.readline()).decode()
            assert line, "the gateway has ended"
            if "listening on " in line:
                url = "http://" + line.split("http://", 1)[1].split()[0].strip('",}')
        drained = asyncio.create_task(process.stderr.read())
        await asyncio.sleep(5)  # until the search has opened its file
        yield url
    finally:
        process.terminate()
        await process.wait()
    await drained


async def _serve_and_ask(folder: Path, asked: dict[str, str], rounds: int) -> None:
    async with serving(folder) as url:
        await ask(url, asked, rounds)


def _chosen(count: int, words: list[str]) -> dict[str, str]:
    """Return the questions whose names contain one of these words; all if there are none."""
    return {name: path for name, path in questions(count).items() if not words or any(each in name for each in words)}


def main(
    calls: Annotated[int, typer.Option(min=1000, help="Ended sessions to make.")] = 1_000_000,
    folder: Annotated[Path | None, typer.Option(help="A folder to keep them in, and to reuse.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Ask only questions whose names contain this.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often each question gets a second.")] = 5,
) -> None:
    """Create past calls, then measure the cost of finding them."""
    place = folder or Path(tempfile.mkdtemp(prefix="turnwire-past-calls-"))
    try:
        if not (place / FILE_NAME).exists():
            began = time.perf_counter()
            asyncio.run(make_calls(place, calls))
            print(f"created {calls:,} calls in {time.perf_counter() - began:.0f} s; {_size(place):,} MiB")
        asyncio.run(_serve_and_ask(place, _chosen(calls, only or []), rounds))
    finally:
        if folder is None:
            shutil.rmtree(place, ignore_errors=True)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) // 2**20


if __name__ == "__main__":
    typer.run(main)
