"""Wire shapes of a conversation in few numbers: what lists of sessions show. Definitions: docs/events.md."""

from __future__ import annotations

from typing import Literal

from turnwire.protocol.shape import Shape


class LastLine(Shape):
    """The last text spoken: shortened. `duration_ms` is null when the utterance has not been measured."""

    seq: int
    side: Literal["user", "bot"]
    text: str
    interrupted: bool = False
    duration_ms: int | None = None


class Interruptions(Shape):
    """How often who interrupted the other."""

    by_user: int = 0
    by_bot: int = 0


class SessionFigures(Shape, kw_only=True):
    """A session in a few numbers. Definitions: docs/events.md. Of one that goes on, `talk_ms` is null."""

    turns: int
    response_p50_ms: int | None
    response_p95_ms: int | None
    missed: int
    interruptions: Interruptions
    tools_failed: int
    errors: int
    duration_ms: int
    talk_ms: int | None
    last_line: LastLine | None


class Summary(Shape, kw_only=True):
    """What a list of conversations shows of one, as of `through_seq`. Definitions: docs/events.md."""

    through_seq: int
    turns: int
    last_line: LastLine | None
    response_ms: int | None
    interruptions: Interruptions
    tools_running: int
    tools_failed: int
    errors: int
