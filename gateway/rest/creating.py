"""Creates sessions for principals, within their quotas."""

from __future__ import annotations

from datetime import datetime

from turnwire.gateway.access.principals import Principal
from turnwire.gateway.access.session_quotas import SessionQuotas
from turnwire.gateway.sessions.requests import Requests
from turnwire.protocol.messages import InitialStatus, JsonObject, Session


class Creating:
    """The only way for an HTTP request to create a session. Holds no state."""

    def __init__(self, quotas: SessionQuotas, requests: Requests) -> None:
        self._quotas = quotas
        self._requests = requests

    async def create(
        self,
        principal: Principal,
        session_id: str,
        language: str,
        metadata: JsonObject,
        *,
        status: InitialStatus = "initiated",
        started_at: datetime | None = None,
        creation: str | None = None,
    ) -> tuple[Session, bool]:
        """Create the session, unless it exists, as `Requests.create` does. Return its current state, and whether it was
        created.

        Raises Refusal (429), StorageUnavailable, Overloaded.
        """
        self._quotas.check_live(principal, session_id)
        await self._quotas.check(principal, session_id)
        session, created = await self._requests.create(
            session_id=session_id,
            language=language,
            metadata=metadata,
            status=status,
            started_at=started_at,
            creation=creation,
        )
        if created:
            self._quotas.created(principal, session_id)
        return session, created
