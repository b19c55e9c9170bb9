"""Where a request comes from: what is counted until there is a principal."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from turnwire.gateway.config.access import UNIX_PEER, Network

_Address = IPv4Address | IPv6Address


class ClientAddresses:
    """Finds a client's address behind the proxies that are trusted."""

    def __init__(self, trusted: str) -> None:
        """`trusted` as in the setting: addresses, networks and `unix`, separated by commas."""
        names = [each for each in trusted.split(",") if each]
        self._trusts_unix = UNIX_PEER in names
        self._networks: list[Network] = [ip_network(each) for each in names if each != UNIX_PEER]

    def find(self, peer: str, forwarded: Sequence[str]) -> str:
        """The client as it is counted: the socket's address, or the rightmost of X-Forwarded-For that is no proxy of
        ours. `peer` is the socket's address, `unix` or empty for a UNIX socket; `forwarded` the header's values."""
        address = _parse(peer)
        if not self._trusts(address):
            return _counted(address)
        hops = [hop.strip() for value in forwarded for hop in value.split(",")]
        for hop in reversed(hops):
            found = _parse_hop(hop)
            if found is None:
                break  # what stands left of nonsense is nobody's word
            address = found
            if not self._trusts(found):
                break
        return _counted(address)

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


def _parse_hop(text: str) -> _Address | None:
    """An address as proxies write it, maybe with a port."""
    text = text.strip('"')
    if text.startswith("["):
        return _parse(text[1:].partition("]")[0])
    return _parse(text.partition(":")[0] if text.count(":") == 1 else text)


def _counted(address: _Address | None) -> str:
    """One household of IPv6 is one client."""
    if address is None:
        return UNIX_PEER
    return str(IPv6Network((address, 64), strict=False)) if isinstance(address, IPv6Address) else str(address)
