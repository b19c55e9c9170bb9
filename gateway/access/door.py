"""The door: the checks that every request must pass first.

In this order: Host 421, Origin 403, a credential in the query 400, credential 401, rate 429. The route then checks the
principal's scope and `sessions` 403, capacity 503, existence 404. So a 403 does not reveal what exists.
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
from turnwire.gateway.access.refusals import Refusal, bad_request, forbidden, no_credential
from turnwire.gateway.config import Config
from turnwire.protocol.errors import ErrorCode, Overloaded


class Opening(Enum):
    """How open a route is."""

    CLOSED = "closed"
    """Needs a credential."""
    PAGE = "page"
    """Needs none: the dashboard's files, /docs, /openapi.json, /asyncapi.json, and every preflight."""
    PROBE = "probe"
    """Skips all checks: /health/live and /health/ready, which answer every Host and under any load."""


_PROBES = frozenset({"/health/live", "/health/ready"})
_PAGES = frozenset({"/", "/docs", "/openapi.json", "/asyncapi.json"})
_FILES = "/static/"
_MOST_HOSTS = 256
"""Values of Host that are kept: a client may send any port."""


def opening_of(method: str, path: str) -> Opening:
    """Return how open a route is. `path`: the decoded path without query."""
    if method in ("GET", "HEAD"):
        if path in _PROBES:
            return Opening.PROBE
        if path in _PAGES or path.startswith(_FILES):
            return Opening.PAGE
    return Opening.PAGE if method == "OPTIONS" else Opening.CLOSED


class Door:
    """Admits requests, or refuses them with a reason. Owned by the event loop's thread."""

    def __init__(
        self,
        config: Config,
        rates: Rates,
        audit: Audit,
        credentials: Credentials | None,
    ) -> None:
        """Without `credentials`, every request with an allowed Host and Origin is admitted as ANONYMOUS."""
        self._hosts = Hosts(config.allowed_hosts, config.host)
        self._good_hosts: set[str] = set()
        """Values of Host that were allowed."""
        self._origins = Origins(config.allowed_origins)
        self._addresses = ClientAddresses(config.trusted_proxies)
        self._rates = rates
        self._audit = audit
        self._credentials = credentials

    def address_of(self, asked: Asked) -> str:
        """Return the client's address, by which limits count and which the audit log shows."""
        return self._addresses.find(asked.peer, asked.forwarded)

    def waits_as(self, asked: Asked) -> str:
        """Return whom a request counts for while it waits to begin: its client's address. Probes count for nobody's."""
        is_probe = opening_of(asked.method, asked.path) is Opening.PROBE
        return "probes" if is_probe else self.address_of(asked)

    async def admit(self, asked: Asked) -> Principal:
        """Return the principal of a request; ANONYMOUS on open routes, whatever credential the request carries.

        Raises Refusal, already audited, and StorageUnavailable as `Credentials.authenticate`.
        """
        opening = opening_of(asked.method, asked.path)
        if opening is Opening.PROBE:
            return ANONYMOUS
        try:
            self._check_host(asked)
            if asked.origins or asked.fetch_site is not None:
                self._check_origin(asked)
            if asked.query:
                check_query(asked)
            if opening is Opening.PAGE or self._credentials is None:
                return ANONYMOUS
            return await self._recognize(asked, self._credentials)
        except Refusal as refusal:
            self.audit_refusal(refusal, asked, None)
            raise

    def audit_refusal(self, refusal: Refusal, asked: Asked, principal: Principal | None) -> None:
        """Audit a refusal. Call this for refusals by routes, too: 403 by scope, 429 by count."""
        who = claimed_key(_readable_credential(asked)) if principal is None else principal.id
        self._audit.refused(refusal, self.address_of(asked), who, asked.method, asked.path)

    def audit_limit(self, error: Overloaded, asked: Asked, principal: Principal) -> None:
        """Audit that a route answered 503 because of a bound of the gateway."""
        if error.limit is not None:
            self._audit.limited(error.limit, principal.id, self.address_of(asked))

    def allows_origin(self, asked: Asked) -> bool:
        """Return whether the page that sent the request may read the answer; False if no page sent it."""
        return len(asked.origins) == 1 and self._origins.allow(asked.origins[0], _only_host(asked))

    def _check_host(self, asked: Asked) -> None:
        host = _only_host(asked)
        if host in self._good_hosts:
            return
        try:
            if self._hosts.allow(host):
                if len(self._good_hosts) < _MOST_HOSTS:
                    self._good_hosts.add(host)
                return
        except ValueError:
            raise bad_request("bad_host", "a request must have one Host, which is a name or an address") from None
        raise Refusal(
            ErrorCode.INVALID_MESSAGE,
            "host",
            "this gateway does not answer to this Host; TURNWIRE_ALLOWED_HOSTS sets its names",
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

    async def _recognize(self, asked: Asked, credentials: Credentials) -> Principal:
        try:
            credential = credential_of(asked)
            if credential is None:
                raise no_credential()
            if not credentials.is_cheap(credential):
                self._rates.check_logins(self.address_of(asked))
            principal = await credentials.authenticate(credential)
        except Refusal as refusal:
            if refusal.code is ErrorCode.UNAUTHENTICATED:
                self._count_failure(asked, failed=refusal.reason != "no_credential")
            raise
        if not asked.is_handshake:
            self._rates.check_request(principal)
        return principal

    def _count_failure(self, asked: Asked, *, failed: bool) -> None:
        """Count a 401. Raises Refusal (429) instead if there were too many of them."""
        address = self.address_of(asked)
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
    except Refusal:
        return None
