"""The door: the order in which a request is looked at before anything else is.

Host 421, Origin 403, a credential in the query 400, credential 401, rate 429. What follows asks the principal: scope
and `sessions` 403, then capacity 503, then existence 404; so 403 says nothing about what exists.
"""

from __future__ import annotations

from enum import Enum

from turnwire.gateway.access.addresses import ClientAddresses
from turnwire.gateway.access.asked import Asked, check_query, credential_of
from turnwire.gateway.access.audit import Audit, claimed_key
from turnwire.gateway.access.credentials.credentials import Credentials
from turnwire.gateway.access.hosts import Hosts, Origins
from turnwire.gateway.access.principals import ANONYMOUS, Principal
from turnwire.gateway.access.rates import Rates
from turnwire.gateway.access.refusals import Refused, bad_request, forbidden, no_credential
from turnwire.gateway.config import Config
from turnwire.protocol.errors import ErrorCode


class Opening(Enum):
    """How far a route is open to everybody."""

    CLOSED = "closed"
    """It asks for a credential."""
    PAGE = "page"
    """It asks for none: the dashboard's files, /docs, /openapi.json, /asyncapi.json; and every preflight."""
    PROBE = "probe"
    """It asks for nothing at all: /health/live and /health/ready, which answer at every cap and to every Host."""


_PROBES = frozenset({"/health/live", "/health/ready"})
_PAGES = frozenset({"/", "/docs", "/openapi.json", "/asyncapi.json"})
_FILES = "/static/"


def opening_of(method: str, path: str) -> Opening:
    """How far a route is open. `path` is the decoded path, without query."""
    if method in ("GET", "HEAD"):
        if path in _PROBES:
            return Opening.PROBE
        if path in _PAGES or path.startswith(_FILES):
            return Opening.PAGE
    return Opening.PAGE if method == "OPTIONS" else Opening.CLOSED


class Door:
    """Lets requests in, or says why not. Owner: the event loop's thread."""

    def __init__(
        self,
        config: Config,
        rates: Rates,
        audit: Audit,
        credentials: Credentials | None,
    ) -> None:
        """Without credentials everybody is let in, as ANONYMOUS, who comes by a Host and an Origin that are allowed."""
        self._hosts = Hosts(config.allowed_hosts, config.host)
        self._origins = Origins(config.allowed_origins)
        self._addresses = ClientAddresses(config.trusted_proxies)
        self._rates = rates
        self._audit = audit
        self._credentials = credentials

    def address_of(self, asked: Asked) -> str:
        """The client's address as it is counted and audited."""
        return self._addresses.find(asked.peer, asked.forwarded)

    async def admit(self, asked: Asked) -> Principal:
        """Who is asking. Raises Refused, which has been audited; StorageUnavailable as `Credentials.authenticate`.

        On a route that is open to everybody it is ANONYMOUS, whatever credential came along.
        """
        address = self.address_of(asked)
        opening = opening_of(asked.method, asked.path)
        try:
            return await self._admit(asked, opening, address)
        except Refused as refused:
            self.tell(refused, asked, None)
            raise

    def tell(self, refused: Refused, asked: Asked, principal: Principal | None) -> None:
        """Audit a refusal. To be called for those behind the door, too: 403 by scope, 429 by count."""
        who = claimed_key(_readable_credential(asked)) if principal is None else principal.id
        self._audit.refused(refused, self.address_of(asked), who, asked.method, asked.path)

    def allows_origin(self, asked: Asked) -> bool:
        """Whether an answer may be read by the page that asked for it; False when no page did."""
        return len(asked.origins) == 1 and self._origins.allow(asked.origins[0], _only_host(asked))

    async def _admit(self, asked: Asked, opening: Opening, address: str) -> Principal:
        if opening is Opening.PROBE:
            return ANONYMOUS
        self._check_host(asked)
        self._check_origin(asked)
        check_query(asked)
        if opening is Opening.PAGE or self._credentials is None:
            return ANONYMOUS
        principal = await self._authenticate(asked, address, self._credentials)
        if not asked.is_handshake:
            self._rates.check_request(principal)
        return principal

    def _check_host(self, asked: Asked) -> None:
        try:
            if self._hosts.allow(_only_host(asked)):
                return
        except ValueError:
            raise bad_request("bad_host", "a request has one Host, which is a name or an address") from None
        raise Refused(
            ErrorCode.INVALID_MESSAGE,
            "host",
            "this gateway does not answer to that Host; its names are set by TURNWIRE_ALLOWED_HOSTS",
            status=421,
        )

    def _check_origin(self, asked: Asked) -> None:
        if asked.is_safe:
            return
        if asked.origins:
            if not self.allows_origin(asked):
                raise forbidden("origin", "pages of this origin may not use the gateway; see TURNWIRE_ALLOWED_ORIGINS")
        elif asked.fetch_site == "cross-site":
            raise forbidden("cross_site", "pages of other sites may not use the gateway")

    async def _authenticate(self, asked: Asked, address: str, credentials: Credentials) -> Principal:
        try:
            credential = credential_of(asked)
            if credential is None:
                raise no_credential()
            if not credentials.is_cheap(credential):
                self._rates.check_logins(address)
            return await credentials.authenticate(credential)
        except Refused as refused:
            if refused.code is ErrorCode.UNAUTHENTICATED:
                self._count_failure(asked, address, failed=refused.reason != "no_credential")
            raise

    def _count_failure(self, asked: Asked, address: str, *, failed: bool) -> None:
        """Raises Refused (429) instead of the 401 that was due when there were too many of them."""
        if failed and (too_many := self._rates.failed_login(address)) is not None:
            raise too_many from None
        if asked.is_handshake:
            self._rates.check_handshake(address)
        else:
            self._rates.check_anonymous_request(address)


def _only_host(asked: Asked) -> str:
    return asked.hosts[0] if len(asked.hosts) == 1 else ""


def _readable_credential(asked: Asked) -> str | None:
    try:
        return credential_of(asked)
    except Refused:
        return None
