"""Wire shapes of a conversation in a few numbers, as lists of sessions show it. Definitions: docs/events.md."""

from __future__ import annotations

from typing import Literal

from turnwire.protocol.shape import Shape


class LastLine(Shape):
    """The last text spoken, shortened. `duration_ms` is null if the utterance was not measured."""

    seq: int
    side: Literal["user", "bot"]
    text: str
    interrupted: bool = False
    duration_ms: int | None = None


class Interruptions(Shape):
    """How often each side interrupted the other."""

    by_user: int = 0
    by_bot: int = 0


class SessionFigures(Shape, kw_only=True):
    """A session in a few numbers. `talk_ms` is null while the session runs. Definitions: docs/events.md."""

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
    """A conversation in a row of a list, as of `through_seq`. Definitions: docs/events.md."""

    through_seq: int
    turns: int
    last_line: LastLine | None
    response_ms: int | None
    interruptions: Interruptions
    tools_running: int
    tools_failed: int
    errors: int
