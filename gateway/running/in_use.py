"""What a scrape asks of a gateway's parts: its connections by role, and how much of each bound is in use."""

from __future__ import annotations

from collections.abc import Mapping, Sized

from turnwire.gateway.config import Config
from turnwire.gateway.connections.open_connections import OpenConnections
from turnwire.gateway.running.sessions import SessionParts


class InUse:
    """Counts what is in use, at each scrape."""

    def __init__(self, config: Config, parts: SessionParts, connections: OpenConnections, arrivals: Sized) -> None:
        """`connections`: WebSockets and streams. `arrivals`: all connections, idle ones included."""
        self._config = config
        self._arrivals = arrivals
        self._parts = parts
        self._connections = connections

    def connections(self) -> Mapping[str, int]:
        """Return the open connections by role: `publisher`, `subscriber`, and `stream` for NDJSON and SSE."""
        connections = self._connections
        return {
            "publisher": connections.count("publisher"),
            "subscriber": connections.count("subscriber"),
            "stream": len(connections.followers),
        }

    def bounds(self) -> Mapping[str, float]:
        """Return the share in use of each bound, by the name of its setting without TURNWIRE_MAX_. Leave out bounds
        that are turned off."""
        config, parts, connections = self._config, self._parts, self._connections
        used = {
            "connections": (len(self._arrivals), config.max_connections),
            "streams": (len(connections.followers), config.max_streams),
            "live_sessions": (len(parts.sessions.live), config.max_live_sessions),
            "live_bytes": (parts.sessions.memory.size, config.max_live_bytes),
            "waiting_bytes": (parts.context.waiting.size, config.max_waiting_bytes),
            "all_outbox_bytes": (connections.bytes_seen, config.max_all_outbox_bytes),
        }
        return {name: size / most for name, (size, most) in used.items() if most}
