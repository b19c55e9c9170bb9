"""The figures of a running conversation that take a pass over all its utterances, and when they are made again."""

from __future__ import annotations

from typing import Final, NamedTuple

from turnwire.protocol.figures import percentile
from turnwire.protocol.talk.measures import Answers

LONG: Final = 1000
"""From this many utterances on, a pass over all of them (about 3 µs each) is better made in another thread."""
KEPT_SHARE: Final = 8
"""They are made again once one utterance in this many has changed."""
_LATEST: Final = 2
"""The same of a long conversation, if nobody has made them elsewhere."""


class Percentiles(NamedTuple):
    """Response times in milliseconds, and how many utterances of the user got no response."""

    changes: int = 0
    """How many changes of the conversation they know."""
    p50_ms: int | None = None
    p95_ms: int | None = None
    missed: int = 0

    def are_due(self, changes: int, utterances: int) -> bool:
        """Return whether they should be made again, of a conversation with so many changes and utterances."""
        return changes - self.changes >= max(1, utterances // KEPT_SHARE)

    def are_overdue(self, changes: int, utterances: int) -> bool:
        """Return whether they must be made at once, whatever it takes."""
        share = KEPT_SHARE if utterances < LONG else _LATEST
        return changes - self.changes >= max(1, utterances // share)


def percentiles_of(answers: Answers, changes: int) -> Percentiles:
    ordered = sorted(response.ms for response in answers.each)
    return Percentiles(changes, percentile(ordered, 0.5), percentile(ordered, 0.95), answers.missed)
