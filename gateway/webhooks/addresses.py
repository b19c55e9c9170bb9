"""Where messages may go: which URLs may be registered, and which addresses may be connected to."""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, Final

from yarl import URL

from turnwire.protocol.errors import InvalidMessage
from turnwire.protocol.telling.shapes import MAX_URL_CHARS

AddressInfo = tuple[Any, Any, int, str, tuple[Any, ...]]
"""As socket.getaddrinfo returns it: (family, type, proto, canonical name, socket address)."""

_TRANSLATED: Final = IPv6Network("64:ff9b::/96")
_COMPATIBLE: Final = IPv6Network("::/96")
_RESERVED: Final = tuple(
    map(IPv6Network, ("64:ff9b:1::/48", "100:0:0:1::/64", "3fff::/20", "5f00::/16", "2001:20::/28"))
)
"""Translation, dummies, documentation, segment routing, identifiers: some versions of Python call these global."""
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")
_HINT: Final = "TURNWIRE_WEBHOOK_ALLOW_PRIVATE=true allows it"


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Return whether the address belongs to a host on the internet.

    An IPv6 address that leads to an IPv4 address is judged by the latter.
    """
    if isinstance(address, IPv6Address):
        if address.teredo is not None:
            return False
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and (address in _TRANSLATED or address in _COMPATIBLE):
            inner = IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(inner)
        if address.is_site_local or any(address in network for network in _RESERVED):
            return False
    return address.is_global and not address.is_multicast


def guarded_sockets(*, allow_private: bool) -> Callable[[AddressInfo], socket.socket]:
    """Return a socket factory for a connector. It refuses addresses that are not public, unless `allow_private`.

    The factory gets the very address that is connected to next, so an earlier lookup of the name cannot mislead it.
    """

    def make(info: AddressInfo) -> socket.socket:
        family, kind, proto, _, address = info
        host = str(address[0]).partition("%")[0]
        if not allow_private and not is_public(ip_address(host)):
            raise OSError(errno.EACCES, f"{host} is not a public address; {_HINT}")
        return socket.socket(family, kind, proto)

    return make


def check_url(text: str, *, allow_private: bool) -> str:
    """Return the URL. Raises InvalidMessage if no message may be sent to it.

    The address that its name resolves to is checked again for each connection.
    """
    if len(text) > MAX_URL_CHARS:
        raise InvalidMessage(f"url must have at most {MAX_URL_CHARS} characters")
    try:
        url = URL(text)
        port = url.port
    except ValueError as error:
        raise InvalidMessage(f"url is not valid: {error}") from None
    if url.scheme not in ("http", "https") or not url.host or port is None:
        raise InvalidMessage("url must be an https:// URL")
    if port == 0 or not _is_host(url.raw_host or ""):
        raise InvalidMessage("url is not valid: no host can have this name, or this port")
    if url.user is not None or url.password is not None or url.fragment:
        raise InvalidMessage("url must have no user name, password or fragment")
    if not allow_private:
        _check_public(url, url.host)
    return text


def _is_host(name: str) -> bool:
    """Return whether a host may have this name or address. Of all that ends in a number, only addresses may."""
    try:
        return bool(ip_address(name))
    except ValueError:
        return _NAME.fullmatch(name) is not None and not name.rstrip(".").rpartition(".")[2].isdigit()


def _check_public(url: URL, host: str) -> None:
    if url.scheme != "https":
        raise InvalidMessage(f"url must begin with https://; {_HINT}")
    try:
        public = is_public(ip_address(host))
    except ValueError:  # a name
        public = host.rstrip(".").lower() != "localhost"
    if not public:
        raise InvalidMessage(f"url must not lead to {host}, which is not a public address; {_HINT}")
