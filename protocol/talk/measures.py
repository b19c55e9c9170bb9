"""The figures of speech that compare many utterances. All lists are in the order of the utterances' starts."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from turnwire.protocol.figures import Overlaps, Response, Silences, Talk
from turnwire.protocol.talk.utterances import Utterance

SILENCE_MS = 3000
"""The shortest pause that counts as a silence."""

Span = tuple[int, int]


class Answers(NamedTuple):
    """The bot's responses, and the number of the user's utterances that got none."""

    each: list[Response]
    missed: int


def answers(users: Sequence[Utterance], bots: Sequence[Utterance], reported: Mapping[int, int]) -> Answers:
    """Find the response to each utterance of the user that ended while the bot was silent.

    The response is the first utterance of the bot that starts at or after that end, and before the next such utterance
    of the user. If nothing follows the last one, it counts as neither answered nor missed. `reported` holds response
    times in milliseconds by turn, used unless both utterances are measured.
    """
    starts = [bot.start for bot in bots]
    farthest = list(accumulate((bot.end for bot in bots), max))
    asked = [user for user in users if not _speaks(starts, farthest, user.end)]
    found, missed = [], 0
    for index, user in enumerate(asked):
        earliest = Utterance(user.end, user.seq if user.start == user.end else 0, 0, False, None, False)
        first = bisect_left(bots, earliest)
        following = asked[index + 1] if index + 1 < len(asked) else None
        if first < len(bots) and (following is None or bots[first] < following):
            found.append(_response(user, bots[first], reported))
        elif first < len(bots) or following is not None:
            missed += 1
    return Answers(found, missed)


def _speaks(starts: Sequence[int], farthest: Sequence[int], moment: int) -> bool:
    """Return whether an utterance that began before `moment` continues after it."""
    begun = bisect_left(starts, moment)
    return begun > 0 and farthest[begun - 1] > moment


def _response(user: Utterance, bot: Utterance, reported: Mapping[int, int]) -> Response:
    waited = bot.start - user.end
    if not (user.measured and bot.measured) and bot.turn is not None:
        waited = reported.get(bot.turn, waited)
    return Response(bot.seq, waited)


def yields(
    users: Sequence[Utterance], planned: Sequence[Utterance], heard: Sequence[Utterance], turns: Collection[int | None]
) -> list[int]:
    """Return how long the bot spoke on each time the user cut in, in milliseconds, sorted.

    `planned` holds the bot's utterances as reported, `heard` the same up to where they were cut short, and `turns` the
    turns that the user is reported to have interrupted.
    """
    starts = [user.start for user in users if user.measured]
    found = []
    for plan, bot in zip(planned, heard, strict=True):
        if plan.cut or bot.end < plan.end or (bot.turn is not None and bot.turn in turns):
            first = bisect_right(starts, bot.start)
            if first < len(starts) and starts[first] <= bot.end:
                found.append(bot.end - starts[first])
    return sorted(found)


def overlaps(users: Sequence[Utterance], bots: Sequence[Utterance]) -> Overlaps:
    """Count how often each side began while the other was speaking."""
    return Overlaps(by_user=_begun_during(users, bots), by_bot=_begun_during(bots, users))


def _begun_during(those: Sequence[Utterance], others: Sequence[Utterance]) -> int:
    starts = [other.start for other in others]
    farthest = list(accumulate((other.end for other in others), max))
    return sum(each.measured and _speaks(starts, farthest, each.start) for each in those)


def spans(utterances: Iterable[Utterance]) -> Iterator[Span]:
    """Iterate over the spans in which somebody spoke: measured utterances, merged where they overlap."""
    start = end = -1
    for utterance in utterances:
        if not utterance.measured:
            continue
        if utterance.start > end:
            if end > start:
                yield start, end
            start, end = utterance.start, utterance.end
        else:
            end = max(end, utterance.end)
    if end > start:
        yield start, end


def talk(users: Sequence[Utterance], bots: Sequence[Utterance], *, whole: bool) -> Talk:
    """Sum up the speech of both sides. Leave the shares unset unless `whole`: every utterance is measured."""
    user, bot = (sum(end - start for start, end in spans(side)) for side in (users, bots))
    together = user + bot
    overlap = together - sum(end - start for start, end in spans(sorted([*users, *bots])))
    if not together or not whole:
        return Talk(user, bot, overlap)
    user_share = round(user / together, 4)
    return Talk(user, bot, overlap, user_share, round(1 - user_share, 4))


def silences(utterances: Sequence[Utterance]) -> Silences:
    """Find the long gaps between spans of speech in which no unmeasured utterance lies either."""
    points = [each.start for each in utterances if not each.measured]
    gaps = [
        after[0] - before[1]
        for before, after in pairwise(spans(utterances))
        if after[0] - before[1] >= SILENCE_MS and not _any_between(points, before[1], after[0])
    ]
    return Silences(len(gaps), sum(gaps), max(gaps, default=0), SILENCE_MS)


def _any_between(ordered: Sequence[int], low: int, high: int) -> bool:
    index = bisect_left(ordered, low)
    return index < len(ordered) and ordered[index] <= high
