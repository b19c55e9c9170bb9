"""The Host names that the gateway answers to, and the origins whose pages may use it."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

_HOST: Final = re.compile(r"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{0,5})?")
_ORIGIN: Final = re.compile(r"(https?)://([^/?#\s@]+)")
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
ANY: Final = "*"


def is_local_bind(host: str) -> bool:
    """Return whether only this machine can reach the host: a loopback name or address, or a UNIX socket."""
    return host.startswith(("/", "unix:")) or is_loopback(host)


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    name = host.strip("[]").lower()
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


class Hosts:
    """The names that a Host header may hold."""

    def __init__(self, allowed: str, bound_to: str) -> None:
        """`allowed` as in the setting. If empty, loopback names and `bound_to`, the listening host, are allowed."""
        self._names = frozenset(each for each in allowed.split(",") if each)
        self._bound_to = bound_to.lower()

    def allow(self, host: str) -> bool:
        """Return whether the header's value, with or without a port, is allowed. Raises ValueError if it is not a
        host."""
        name = _name_in(host)
        if name is None:
            raise ValueError("no host")
        if not self._names:
            return is_loopback(name) or name.strip("[]") == self._bound_to.strip("[]")
        return ANY in self._names or name in self._names or host.lower() in self._names


@lru_cache(maxsize=256)
def _name_in(host: str) -> str | None:
    """Return the name in a Host header, in lower case; None if it is not a host. Cached: a client always sends the
    same."""
    found = _HOST.fullmatch(host)
    return None if found is None else found[1].lower().removesuffix(".")


class Origins:
    """The origins of pages that may use the gateway: its own, and those in the setting."""

    def __init__(self, allowed: str) -> None:
        self._allowed = frozenset(each for each in allowed.split(",") if each)

    def allow(self, origin: str, host: str) -> bool:
        """Return whether a page of this origin may use the gateway.

        `host`: the Host header, already allowed; it is the origin of pages loaded from the gateway itself. The origin
        `null` is never allowed, because it may be anybody's.
        """
        if origin in self._allowed:
            return True
        found = _ORIGIN.fullmatch(origin)
        return found is not None and _without_port(found[2], found[1]) == _without_port(host, found[1])


def _without_port(authority: str, scheme: str) -> str:
    return authority.lower().removesuffix(f":{_DEFAULT_PORTS[scheme]}")
