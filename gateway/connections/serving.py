"""What all connections of a gateway share."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from turnwire.gateway.config import Config
from turnwire.gateway.connections.open_connections import OpenConnections
from turnwire.gateway.turns import Turns
from turnwire.protocol.messages import Limits


class Serving(Struct, frozen=True):
    """Settings, the set of all connections, and the function that counts frames."""

    config: Config
    limits: Limits
    """The limits of `config`, made once, because each connection keeps them."""
    connections: OpenConnections
    clock: Callable[[], float]
    """The loop's clock."""
    frames_received: Callable[[int], None]
    """Called with the number of frames that were read."""
    turns: Turns
