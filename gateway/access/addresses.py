"""The address a request comes from, which limits count by until there is a principal."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from itertools import islice
from typing import Final

from turnwire.gateway.config.access import UNIX_PEER, Network

_Address = IPv4Address | IPv6Address
_MOST_HOPS: Final = 32
"""How many addresses of X-Forwarded-For are looked at. A client may send thousands that look like trusted proxies."""


class ClientAddresses:
    """Finds a client's address behind trusted proxies."""

    def __init__(self, trusted: str) -> None:
        """`trusted` as in the setting: addresses, networks and `unix`, separated by commas."""
        names = [each for each in trusted.split(",") if each]
        self._trusts_unix = UNIX_PEER in names
        self._networks: list[Network] = [ip_network(each) for each in names if each != UNIX_PEER]

    def find(self, peer: str, forwarded: Sequence[str]) -> str:
        """Return the client's address: the socket's, or the rightmost in X-Forwarded-For that is not a trusted proxy.

        `peer`: the socket's address; `unix` or empty for a UNIX socket. `forwarded`: the header's values. Of an IPv6
        address, the /64 network is returned.
        """
        if not (self._networks or self._trusts_unix) or not self._trusts(address := _parse_peer(peer)):
            return _counted_peer(peer)
        hops = (hop for value in reversed(forwarded) for hop in reversed(value.split(",")))
        for hop in islice(hops, _MOST_HOPS):
            found = _parse_hop(hop.strip())
            if found is None:
                break  # nothing vouches for what precedes an invalid hop
            address = found
            if not self._trusts(found):
                break
        return _counted(address)

    def is_proxy(self, peer: str) -> bool:
        """Return whether the socket's address is that of a trusted proxy."""
        return self._trusts(_parse_peer(peer))

    def _trusts(self, address: _Address | None) -> bool:
        if address is None:
            return self._trusts_unix
        return any(address in network for network in self._networks if network.version == address.version)


def _parse(text: str) -> _Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


@lru_cache(maxsize=1024)
def _parse_peer(text: str) -> _Address | None:
    """Return the address of a socket. The requests of a connection all ask for the same one."""
    return _parse(text)


@lru_cache(maxsize=1024)
def _counted_peer(text: str) -> str:
    return _counted(_parse_peer(text))


def _parse_hop(text: str) -> _Address | None:
    """Return an address as proxies write it, possibly with a port; None if it is invalid."""
    text = text.strip('"')
    if text.startswith("["):
        return _parse(text[1:].partition("]")[0])
    return _parse(text.partition(":")[0] if text.count(":") == 1 else text)


def _counted(address: _Address | None) -> str:
    """Return the text to count by. All addresses of an IPv6 /64 network count as one client."""
    if address is None:
        return UNIX_PEER
    return str(IPv6Network((address, 64), strict=False)) if isinstance(address, IPv6Address) else str(address)
