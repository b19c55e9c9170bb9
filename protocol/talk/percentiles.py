"""The figures of a running conversation that need a pass over all its utterances, and when they are computed again."""

from __future__ import annotations

from typing import Final, NamedTuple

from turnwire.protocol.figures import percentile
from turnwire.protocol.talk.measures import Answers

LONG: Final = 1000
"""From this many utterances on, a pass over all of them (about 3 µs each) should run in another thread."""
KEPT_SHARE: Final = 8
"""The figures are computed again once one utterance in this many has changed."""
_LATEST: Final = 2
"""The same for a long conversation whose figures have not been computed in another thread."""


class Percentiles(NamedTuple):
    """Response times in milliseconds, and how many utterances of the user got no response."""

    changes: int = 0
    """How many changes of the conversation these figures cover."""
    p50_ms: int | None = None
    p95_ms: int | None = None
    missed: int = 0

    def are_due(self, changes: int, utterances: int) -> bool:
        """Return whether the figures should be computed again for a conversation with this many changes and
        utterances."""
        return changes - self.changes >= max(1, utterances // KEPT_SHARE)

    def are_overdue(self, changes: int, utterances: int) -> bool:
        """Return whether the figures must be computed at once, whatever the cost."""
        share = KEPT_SHARE if utterances < LONG else _LATEST
        return changes - self.changes >= max(1, utterances // share)


def percentiles_of(answers: Answers, changes: int) -> Percentiles:
    ordered = sorted(response.ms for response in answers.each)
    return Percentiles(changes, percentile(ordered, 0.5), percentile(ordered, 0.95), answers.missed)
