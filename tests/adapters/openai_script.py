"""What OpenAI's Realtime server says in a call, as messages with the second at which each arrives."""

from __future__ import annotations

import base64
from typing import Any

Message = dict[str, Any]
Script = list[tuple[float, Message]]

ANSWER = "Yes, until six. Shall I book a table?"


def audio(milliseconds: int) -> str:
    """Silence of 24 kHz and 16 bits, as the server sends it."""
    return base64.b64encode(bytes(48 * milliseconds)).decode()


def event(name: str, number: int, **fields: Any) -> Message:
    return {"type": name, "event_id": f"event_{number}", **fields}


def created() -> Message:
    detection = {"type": "server_vad", "prefix_padding_ms": 300, "silence_duration_ms": 500, "threshold": 0.5}
    session = {
        "type": "realtime",
        "object": "realtime.session",
        "id": "sess_1",
        "model": "gpt-realtime",
        "audio": {
            "input": {"turn_detection": detection, "format": {"type": "audio/pcm", "rate": 24000}},
            "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "marin"},
        },
    }
    return event("session.created", 1, session=session)


def question(number: int, item: str, start_ms: int, end_ms: int) -> list[Message]:
    """Speech starts and stops; both times contain what the server's voice detection adds."""
    return [
        event("input_audio_buffer.speech_started", number, item_id=item, audio_start_ms=start_ms - 300),
        event("input_audio_buffer.speech_stopped", number + 1, item_id=item, audio_end_ms=end_ms + 500),
    ]


def transcript(number: int, item: str, text: str) -> Message:
    usage = {"type": "tokens", "input_tokens": 20, "output_tokens": 6, "total_tokens": 26}
    return event(
        "conversation.item.input_audio_transcription.completed",
        number,
        item_id=item,
        content_index=0,
        transcript=text,
        usage=usage,
    )


def delta(number: int, response: str, item: str, milliseconds: int) -> Message:
    where = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
    return event("response.output_audio.delta", number, **where, delta=audio(milliseconds))


def words(number: int, response: str, item: str, text: str) -> Message:
    where = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
    return event("response.output_audio_transcript.delta", number, **where, delta=text)


def message_done(number: int, response: str, item: str, text: str, *, status: str = "completed") -> Message:
    done = {
        "id": item,
        "object": "realtime.item",
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": [{"type": "output_audio", "transcript": text}],
    }
    return event("response.output_item.done", number, response_id=response, output_index=0, item=done)


def response(name: str, number: int, response_id: str, **fields: Any) -> Message:
    return event(name, number, response={"object": "realtime.response", "id": response_id, "output": [], **fields})


def done(number: int, response_id: str, *, status: str = "completed", **fields: Any) -> Message:
    usage = {"total_tokens": 150, "input_tokens": 100, "output_tokens": 50}
    return response("response.done", number, response_id, status=status, usage=usage, **fields)


def one_exchange() -> Script:
    """A question from 1.0 to 2.0 s, its answer of four seconds from 2.7 s on, and its transcript after the answer."""
    started, stopped = question(2, "item_u1", 1000, 2000)
    return [
        (0.0, created()),
        (1.1, started),
        (2.5, stopped),
        (2.5, response("response.created", 4, "resp_1", status="in_progress")),
        (2.7, delta(5, "resp_1", "item_b1", 2000)),
        (2.75, words(6, "resp_1", "item_b1", "Yes, until six.")),
        (2.8, delta(7, "resp_1", "item_b1", 2000)),
        (2.85, words(8, "resp_1", "item_b1", " Shall I book a table?")),
        (2.9, message_done(9, "resp_1", "item_b1", ANSWER)),
        (2.95, done(10, "resp_1")),
        (3.4, transcript(11, "item_u1", "Are you open?")),
    ]


def barge_in() -> Script:
    """The user cuts in at 4.0 s; the client has played 1.4 s then, and says so."""
    started, stopped = question(20, "item_u2", 4000, 4500)
    return [
        (4.05, started),
        (
            4.1,
            event("conversation.item.truncated", 22, item_id="item_b1", content_index=0, audio_end_ms=1400),
        ),
        (5.0, stopped),
        (5.2, transcript(24, "item_u2", "No, thanks.")),
    ]


def function_call(number: int, response_id: str) -> Message:
    item = {
        "id": "item_f1",
        "object": "realtime.item",
        "type": "function_call",
        "status": "completed",
        "name": "free_tables",
        "call_id": "call_1",
        "arguments": '{"day": "today"}',
    }
    return event("response.output_item.done", number, response_id=response_id, output_index=0, item=item)


def function_output(number: int, *, name: str = "conversation.item.added") -> Message:
    item = {
        "id": "item_o1",
        "object": "realtime.item",
        "type": "function_call_output",
        "call_id": "call_1",
        "output": '{"free": ["18:00"]}',
        "status": "completed",
    }
    return event(name, number, previous_item_id="item_f1", item=item)
