"""What is sent on one WebSocket: its codec and its outbox."""

from __future__ import annotations

from turnwire.gateway.connections.frames import server_frame
from turnwire.gateway.connections.outbox import FrameOutbox
from turnwire.protocol.codec import JSON, Codec
from turnwire.protocol.errors import TurnwireError
from turnwire.protocol.messages import Error, Message


class Output:
    """The sending half of a WebSocket. Any code may `send`; whoever opens the socket sets the codec and the outbox."""

    __slots__ = ("_outbox", "codec")

    def __init__(self) -> None:
        self.codec: Codec = JSON
        self._outbox: FrameOutbox | None = None

    @property
    def is_open(self) -> bool:
        """Whether the handshake was done. Stays True after closing."""
        return self._outbox is not None

    @property
    def outbox(self) -> FrameOutbox:
        assert self._outbox is not None, "the connection is not open yet"
        return self._outbox

    @property
    def waiting_bytes(self) -> int:
        return self.outbox.size

    def send(self, message: Message) -> None:
        """Put a message into the outbox."""
        self.outbox.put(self.framed(message))

    def framed(self, message: Message) -> bytes:
        return self.frame(self.codec.encode(message))

    def frame(self, payload: bytes) -> bytes:
        return server_frame(payload, text=self.codec.text)

    def send_error(self, error: TurnwireError, ref: str | None = None) -> None:
        self.send(Error(error.code, error.message, error.retryable, ref))
