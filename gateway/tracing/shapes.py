"""The shapes of spans, before OpenTelemetry makes any of them. Times are in milliseconds since 1970."""

from __future__ import annotations

from msgspec import Struct, field

Value = str | int | float | bool


class SpanEvent(Struct):
    """An event at one moment of a span."""

    name: str
    at: int
    attributes: dict[str, Value]


class SpanShape(Struct):
    """A span to be made, with the spans inside it."""

    name: str
    start: int
    end: int
    attributes: dict[str, Value] = field(default_factory=dict)
    error: str | None = None
    """The class of the error that ended the span; None if it ended well."""
    message: str | None = None
    """The text of the error."""
    marks: list[SpanEvent] = field(default_factory=list)
    children: list[SpanShape] = field(default_factory=list)

    def count(self) -> int:
        """Return the number of spans, this one included."""
        return 1 + sum(child.count() for child in self.children)
