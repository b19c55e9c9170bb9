"""Reports what happens to sessions here to the gateways that want to know."""

from __future__ import annotations

from collections.abc import Iterable

from turnwire.gateway.live.state import SessionState
from turnwire.gateway.peers.letters import SignalNews
from turnwire.gateway.peers.post import Post
from turnwire.gateway.peers.readers import Readers
from turnwire.protocol.messages import JsonObject, SessionStatus
from turnwire.protocol.rules import has_ended


class Announcer:
    """Puts news of sessions into the post. Called for every event. If nobody watches elsewhere, this is a dictionary
    lookup."""

    def __init__(self, post: Post, readers: Readers) -> None:
        self._post = post
        self._watching = readers.watching
        self._heads: dict[str, int] = {}
        """Heads reported by other gateways, of sessions that are watched elsewhere. They need not be reported again."""
        self._ends: set[str] = set()

    def note_head(self, session_id: str, seq: int) -> None:
        """Note that another gateway has reported this head of a session's log."""
        if session_id in self._watching:
            self._heads[session_id] = max(seq, self._heads.get(session_id, 0))

    def note_end(self, session_id: str) -> None:
        """Note that another gateway has reported the session's end."""
        self._ends.add(session_id)

    def advanced(self, state: SessionState) -> None:
        topics = self._watching.get(state.session_id)
        if topics:
            self._tell_head(state, topics)

    def _tell_head(self, state: SessionState, topics: Iterable[str]) -> None:
        seq = state.record.last_seq
        if seq > self._heads.get(state.session_id, 0):
            self._heads.pop(state.session_id, None)
            self._post.head(topics, state.session_id, seq)

    def rolled_back(self, state: SessionState) -> None:
        """Forget the head that other gateways have reported, because the log has lost its end."""
        self._heads.pop(state.session_id, None)

    def tell_head(self, session_id: str, seq: int) -> None:
        """Report the head of a session's log to the gateways that watch it."""
        self._post.head(self._watching.get(session_id, ()), session_id, seq)

    def changed(self, state: SessionState, before: SessionStatus) -> None:
        if state.record.status != before and state.ended:
            if state.session_id in self._ends:
                self._ends.discard(state.session_id)
            elif not has_ended(before):
                self._post.end(state.session_id)

    def erased(self, state: SessionState, *, here: bool) -> None:
        """Drop the erased session. The gateway that erased it tells all others."""
        self._post.unwatch(state.session_id)
        self._heads.pop(state.session_id, None)
        self._ends.discard(state.session_id)
        if here:
            self._post.erasure(state.session_id)

    def claimed(self, state: SessionState) -> None:
        self._post.claim(state.session_id, state.record.epoch)

    def amended(self, state: SessionState) -> None:
        """Report that this gateway has stored new metadata, another language, or other commands of this session, or
        that others always store events in it before this gateway can.
        """
        self._post.change(state.session_id)

    def attention_changed(self, state: SessionState) -> None:
        """Report whether the session is watched here: by watchers, or for commands in its log."""
        if state.audience is None and state.commands is None:
            self._post.unwatch(state.session_id)
        else:
            self._post.watch(state.session_id)

    def signalled(self, state: SessionState, key: str, payload: JsonObject) -> None:
        topics = self._watching.get(state.session_id)
        if topics:
            self._post.signal(topics, SignalNews(state.session_id, state.record.epoch, key, payload))

    def silenced(self, state: SessionState, epoch: int) -> None:
        """Report that the publisher of this epoch is gone, and with it its unfinished utterances."""
        topics = self._watching.get(state.session_id)
        if topics:
            self._post.silence(topics, state.session_id, epoch)
