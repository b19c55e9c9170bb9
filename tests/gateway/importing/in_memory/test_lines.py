"""Lines of NDJSON: read in any pieces, with the events of long ones handed on before the line has ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from turnwire.gateway.importing.lines import BadLine, Line, Lines
from turnwire.protocol.errors import TurnwireError

EVENTS = [{"eventId": f"e{n}", "payload": {"text": 'a "]}," \\ 😀', "events": [[], {"x": "}"}]}} for n in range(300)]


def dump_tight(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def cut(text: bytes, size: int) -> list[bytes]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def lines_of(chunks: Sequence[bytes], *, most_whole: int = 1000, most_element: int = 500) -> tuple[Lines, list[int]]:
    """Return the lines, and a list that grows with the bytes read."""
    left, read = list(chunks), [0]

    async def next_chunk() -> bytes:
        chunk = left.pop(0) if left else b""
        read[0] += len(chunk)
        return chunk

    return Lines(next_chunk, most_whole=most_whole, most_element=most_element), read


async def content(line: Line) -> Any:
    events = [json.loads(each) async for batch in line.events for each in batch]
    return {**json.loads(line.head), "events": events}


@pytest.mark.parametrize("size", [1, 7, 64, 5000])
@pytest.mark.parametrize("dump", [json.dumps, dump_tight])
async def test_lines_are_the_same_in_whatever_pieces_they_come(size: int, dump: Callable[[Any], str]) -> None:
    calls = [
        {"sessionId": "short", "events": EVENTS[:1]},
        {"sessionId": "long", "metadata": {"events": [1, "[", {"events": []}]}, "events": EVENTS},
        {"sessionId": "none", "events": []},
        {"sessionId": "long and last", "events": EVENTS[:30]},
    ]
    text = "\n \n".join(map(dump, calls)).encode()
    lines, _ = lines_of(cut(text, size))
    read = []
    while line := await lines.next():
        assert isinstance(line, Line)
        read.append((line.number, line.whole, await content(line)))
    assert [each for _, _, each in read] == calls
    assert [number for number, _, _ in read] == [1, 3, 5, 7]
    assert [whole for _, whole, _ in read] == [True, False, True, False]


async def test_events_of_a_long_line_are_handed_on_before_the_line_has_ended() -> None:
    text = json.dumps({"sessionId": "long", "events": EVENTS}).encode()
    lines, read = lines_of(cut(text, 100))
    line = await lines.next()
    assert isinstance(line, Line)
    async for _ in line.events:
        break
    assert read[0] < len(text) / 4


async def test_unread_events_of_a_long_line_are_skipped() -> None:
    long = json.dumps({"sessionId": "long", "events": EVENTS})
    lines, _ = lines_of(cut(f'{long}\n{{"sessionId":"next"}}'.encode(), 64))
    assert isinstance(await lines.next(), Line)
    line = await lines.next()
    assert isinstance(line, Line)
    assert await content(line) == {"sessionId": "next", "events": []}


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ('{"sessionId":', "the line is not a session"),
        ('{"events": {}}', "the line is not a session"),
        (json.dumps({"metadata": {"text": "x" * 2000}}), "must have events after its other fields"),
    ],
)
async def test_a_line_that_cannot_be_read_harms_no_other(broken: str, said: str) -> None:
    lines, _ = lines_of(cut(f'{broken}\n{{"sessionId":"next"}}\n'.encode(), 64))
    bad = await lines.next()
    assert isinstance(bad, BadLine)
    assert said in bad.error.message
    assert isinstance(await lines.next(), Line)
    assert await lines.next() is None


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("", "the stream ends within the line"),
        ("\n", "the line ends in the middle of its events"),
        (', "x', "the stream ends within the line"),
        (', "x\n', "the line ends in the middle of its events"),
        ('], "status": "failed"}\n', "events must be the last field"),
        (f', "{"x" * 600}"]}}', "an event has more than 500 bytes"),
    ],
)
async def test_a_long_line_that_breaks_off_says_how(end: str, said: str) -> None:
    text = json.dumps({"events": EVENTS}).removesuffix("]}") + end
    lines, _ = lines_of(cut(text.encode(), 64))
    line = await lines.next()
    assert isinstance(line, Line)
    with pytest.raises(TurnwireError, match=said):
        await content(line)
    assert await lines.next() is None
