"""The frames in which a publisher is answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

from turnwire.protocol.limits import FRAME_BYTES
from turnwire.protocol.messages import Ack, AckItem, Message, Nack, NackItem


def reply_frames(replies: Sequence[AckItem | NackItem], framed: Callable[[Message], bytes]) -> Iterator[bytes]:
    """Return the frames of acks and nacks in the order of the events: one for each run of either kind, or several if
    their ids or reasons are long."""
    for kind, run in groupby(replies, type):
        yield from frames_of(Ack if kind is AckItem else Nack, list(run), framed)


def frames_of(
    kind: Callable[[list[Any]], Ack | Nack], replies: list[Any], framed: Callable[[Message], bytes]
) -> Iterator[bytes]:
    """Return the frames of replies of one kind."""
    frame = framed(kind(replies))
    if len(frame) <= FRAME_BYTES or len(replies) == 1:
        yield frame
        return
    half = len(replies) // 2
    yield from frames_of(kind, replies[:half], framed)
    yield from frames_of(kind, replies[half:], framed)
