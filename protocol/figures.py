"""Wire shapes of a conversation's figures: `GET /sessions/{id}/stats`. Definitions: docs/events.md."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

from msgspec import field

from turnwire.protocol.messages import Interruptions, LastLine, Shape

N = TypeVar("N", int, float)


class Turns(Shape):
    """How many turns were taken. A turn is a run of utterances of one side, ordered by their start."""

    total: int = 0
    user: int = 0
    bot: int = 0


class Talk(Shape):
    """Milliseconds of speech by side, over measured utterances. Shares are null unless every utterance is measured."""

    user_ms: int = 0
    bot_ms: int = 0
    overlap_ms: int = 0
    user_share: float | None = None
    bot_share: float | None = None


class Response(Shape):
    """A response: the `seq` of the bot's utterance, and the milliseconds from the end of the user's to its start."""

    seq: int
    ms: int


class Responses(Shape):
    """Response latencies in milliseconds; null without any response. Percentiles are by nearest rank."""

    count: int
    last_ms: int | None
    p50_ms: int | None
    p95_ms: int | None
    max_ms: int | None
    missed: int
    """Utterances of the user that the bot could have answered but did not."""
    each: list[Response]


class Yields(Shape):
    """How long the bot goes on speaking after the user cuts in, in milliseconds; null if the user never does."""

    count: int
    p50_ms: int | None
    p95_ms: int | None
    max_ms: int | None


class Overlaps(Shape):
    """How often each side began to speak while the other was speaking."""

    by_user: int = 0
    by_bot: int = 0


class Usage(Shape):
    """The total usage of one model. `cost` is null if none was reported."""

    kind: str | None
    provider: str | None
    model: str | None
    input_tokens: float = 0
    output_tokens: float = 0
    audio_seconds: float = 0
    characters: float = 0
    cost: float | None = None


class Silences(Shape):
    """Spans of at least `threshold_ms` in which nobody spoke."""

    count: int
    total_ms: int
    longest_ms: int
    threshold_ms: int


class Tools(Shape):
    """Tool calls. `running` counts those that have started and not ended."""

    calls: int
    failed: int
    running: int


class Figures(Shape, kw_only=True):
    """The figures of a conversation, up to the end of its log."""

    duration_ms: int
    turns: Turns
    talk: Talk
    responses: Responses
    yields: Yields = field(name="yield")
    overlaps: Overlaps
    interruptions: Interruptions
    silences: Silences
    tools: Tools
    errors: int
    usage: list[Usage]
    last_line: LastLine | None


class SessionStats(Figures, kw_only=True):
    """The figures of a session, from its events 1 to `last_seq`."""

    session_id: str
    last_seq: int


def percentile(ordered: Sequence[N], share: float) -> N | None:
    """Return the nearest-rank percentile of sorted values; `share` is from 0 to 1. Return None for no values."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def responses_of(responses: list[Response], missed: int) -> Responses:
    ordered = sorted(response.ms for response in responses)
    return Responses(
        count=len(ordered),
        last_ms=responses[-1].ms if responses else None,
        p50_ms=percentile(ordered, 0.5),
        p95_ms=percentile(ordered, 0.95),
        max_ms=percentile(ordered, 1),
        missed=missed,
        each=responses,
    )


def yields_of(ordered: Sequence[int]) -> Yields:
    return Yields(len(ordered), percentile(ordered, 0.5), percentile(ordered, 0.95), percentile(ordered, 1))
