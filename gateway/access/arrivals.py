"""All connections from the moment they are accepted: how many may stay, and how many of those without a credential."""

from __future__ import annotations

import asyncio
import sys

from msgspec import Struct

from turnwire.gateway.access.addresses import ClientAddresses
from turnwire.gateway.access.asking import peer_of
from turnwire.gateway.access.principals import Principal
from turnwire.gateway.access.rates import Rates
from turnwire.gateway.access.refusals import rate_limited
from turnwire.gateway.config import Config
from turnwire.protocol.errors import Overloaded

_RESERVED_SHARE = 10
"""With authentication, one place in this many is reserved for connections that have shown a credential."""


class _Arrival(Struct):
    has_place: bool = False
    is_known: bool = False
    """Whether a request on the connection had a valid credential. Until then it is a stranger's."""
    waits_at: str | None = None
    """The address that counts the connection while it is a stranger's."""
    is_one_too_many: bool = False
    """Whether its address already had the maximum number of strangers."""


class Arrivals:
    """Gives each connection a place, idle ones included. Owned by the event loop's thread.

    A connection without a place may still send a request that is a probe, or that has a credential. Any other request
    is refused, and the connection closed. A connection that sends none is closed by the time limit for a request head.
    """

    def __init__(self, config: Config, rates: Rates, *, required: bool) -> None:
        """`required`: whether authentication is on. Without it, every connection is a stranger's, and strangers may
        take all places."""
        self._most = config.max_connections or sys.maxsize
        self._most_strangers = self._most - self._most // _RESERVED_SHARE if required else self._most
        self._required = required
        self._handshakes = rates.open_handshakes
        self._addresses = ClientAddresses(config.trusted_proxies)
        self._arrivals: dict[asyncio.BaseProtocol, _Arrival] = {}
        self._known = self._strangers = 0

    def __len__(self) -> int:
        return len(self._arrivals)

    def came(self, protocol: asyncio.BaseProtocol, transport: asyncio.BaseTransport) -> None:
        """Record a connection that has been accepted."""
        arrival = self._arrivals[protocol] = _Arrival()
        peer = peer_of(transport)
        if self._required and not self._addresses.is_proxy(peer):  # a proxy brings many clients, each with its address
            address = self._addresses.find(peer, ())
            if not self._handshakes.enter(address):
                arrival.is_one_too_many = True
                return
            arrival.waits_at = address
        self._take_place(arrival)

    def left(self, protocol: asyncio.BaseProtocol) -> None:
        """Record that the connection is gone."""
        arrival = self._arrivals.pop(protocol, None)
        if arrival is not None:
            self._give_up_place(arrival)
            self._wait_no_more(arrival)

    def has_place(self, protocol: asyncio.BaseProtocol) -> bool:
        arrival = self._arrivals.get(protocol)
        return arrival is None or arrival.has_place

    def admit(self, protocol: asyncio.BaseProtocol, principal: Principal) -> None:
        """Take in a request of this principal on the connection. Raises Refusal (429), Overloaded."""
        arrival = self._arrivals.get(protocol)
        if arrival is None:
            return
        if principal.kind == "anonymous":
            if arrival.is_one_too_many:
                self.check_stranger(protocol)
        elif not arrival.is_known:
            self._recognize(arrival)
        if not arrival.has_place and not self._take_place(arrival):
            raise Overloaded(
                f"the gateway has {self._most} connections, which is the limit; try again later", "connections"
            )

    def check_stranger(self, protocol: asyncio.BaseProtocol) -> None:
        """Raise Refusal (429) if the connection's address has too many connections that have shown no credential."""
        arrival = self._arrivals.get(protocol)
        if arrival is not None and arrival.is_one_too_many:
            most = self._handshakes.limit
            raise rate_limited(
                "open_handshakes", f"this address has {most} connections without a credential, which is the limit", 1
            )

    def _recognize(self, arrival: _Arrival) -> None:
        """Move the connection from the strangers to those with a credential."""
        self._wait_no_more(arrival)
        self._give_up_place(arrival)
        arrival.is_known, arrival.is_one_too_many = True, False

    def _take_place(self, arrival: _Arrival) -> bool:
        if self._known + self._strangers >= self._most:
            return False
        if arrival.is_known:
            self._known += 1
        elif self._strangers < self._most_strangers:
            self._strangers += 1
        else:
            return False
        arrival.has_place = True
        return True

    def _give_up_place(self, arrival: _Arrival) -> None:
        if arrival.has_place:
            arrival.has_place = False
            if arrival.is_known:
                self._known -= 1
            else:
                self._strangers -= 1

    def _wait_no_more(self, arrival: _Arrival) -> None:
        if arrival.waits_at is not None:
            self._handshakes.leave(arrival.waits_at)
            arrival.waits_at = None
