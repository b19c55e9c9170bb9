"""What an operator does with webhook endpoints: add, list, change, test, replay and remove them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from msgspec import UNSET
from msgspec.structs import replace

from turnwire.gateway.clock import utc_now
from turnwire.gateway.webhooks.addresses import check_url
from turnwire.gateway.webhooks.choosing import check_events
from turnwire.gateway.webhooks.messages import trial_message
from turnwire.gateway.webhooks.secrets import new_secret
from turnwire.gateway.webhooks.sending import NotTaken, Sending
from turnwire.protocol.errors import ErrorCode, InvalidMessage, Overloaded, TurnwireError
from turnwire.protocol.telling.shapes import AmendWebhook, NewWebhook, Webhook, WebhookTrial, WebhookWithSecret
from turnwire.protocol.times import format_time, parse_time
from turnwire.store.telling.endpoints import Endpoint, EndpointStore, Report, Secret
from turnwire.store.telling.progress import ProgressStore

LONGEST_CALL: Final = timedelta(days=30)
"""How long before the start of a replay a call may have begun to be part of it."""
MAX_DESCRIPTION_CHARS: Final = 256
_MAX_SECRETS: Final = 4
"""The most secrets that sign at the same time. If secrets are rotated faster, the oldest ones end early."""
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class NoSuchWebhook(TurnwireError):
    def __init__(self, webhook_id: str) -> None:
        super().__init__(ErrorCode.NOT_FOUND, f"Webhook {webhook_id} not found")


class Registry:
    """The endpoints in the store. Methods raise StorageUnavailable, and NoSuchWebhook for an unknown id."""

    def __init__(
        self,
        endpoints: EndpointStore,
        progress: ProgressStore,
        sending: Sending,
        changed: Callable[[], None],
        *,
        most: int,
        allow_private: bool,
    ) -> None:
        """`changed` is called when an endpoint has changed in the store. `most`: the most endpoints that may exist."""
        self._endpoints = endpoints
        self._progress = progress
        self._sending = sending
        self._changed = changed
        self._most = most
        self._allow_private = allow_private
        self.newest_report: Callable[[Endpoint], Report | None] = lambda _: None
        """Returns the state of an endpoint that this gateway serves."""

    async def add(self, asked: NewWebhook) -> tuple[Webhook, bool]:
        """Register an endpoint. Return it with its secret and True, or the existing one of that id without its secret
        and False.

        Raises InvalidMessage, and Overloaded if there are as many endpoints as there may be.
        """
        endpoint = self._new(asked)
        known = await self._endpoints.all()
        same = next((each for each in known if each.webhook_id == endpoint.webhook_id), None)
        if same is not None:
            return self._shown(same), False
        if len(known) >= self._most:
            raise Overloaded(f"there are {len(known)} webhooks, which is the limit", "webhooks")
        if not await self._endpoints.add(endpoint):
            return self._shown(await self._load(endpoint.webhook_id)), False
        self._changed()
        return self._with_secret(endpoint), True

    def _new(self, asked: NewWebhook) -> Endpoint:
        webhook_id = asked.webhook_id or f"wh_{uuid4().hex[:20]}"
        if not _ID.fullmatch(webhook_id):
            raise InvalidMessage("webhookId must be 1 to 64 letters, digits, - and _")
        now = utc_now()
        return Endpoint(
            webhook_id=webhook_id,
            url=check_url(asked.url, allow_private=self._allow_private),
            events=check_events(asked.events),
            description=_checked(asked.description),
            secrets=[Secret(new_secret())],
            created_at=now,
            floor=now,
            seen_until=now,
            enabled_at=now,
        )

    async def list(self) -> list[Webhook]:
        return [self._shown(endpoint) for endpoint in await self._endpoints.all()]

    async def get(self, webhook_id: str) -> Webhook:
        return self._shown(await self._load(webhook_id))

    async def amend(self, webhook_id: str, asked: AmendWebhook) -> Webhook:
        """Change the given fields. Raises InvalidMessage."""
        endpoint = await self._load(webhook_id)
        if asked.url is not UNSET:
            endpoint.url = check_url(asked.url, allow_private=self._allow_private)
        if asked.events is not UNSET:
            endpoint.events = check_events(asked.events)
        if asked.description is not UNSET:
            endpoint.description = _checked(asked.description)
        if asked.enabled is True and endpoint.disabled_at is not None:
            _enable(endpoint)
        elif asked.enabled is False and endpoint.disabled_at is None:
            endpoint.disabled_at, endpoint.disabled_reason = utc_now(), "an operator has disabled it"
        return self._shown(await self._configure(endpoint))

    async def rotate(self, webhook_id: str, overlap_seconds: int) -> Webhook:
        """Give the endpoint a new secret, and return it. The older secrets go on signing for `overlap_seconds`."""
        endpoint = await self._load(webhook_id)
        now = utc_now()
        until = now + timedelta(seconds=overlap_seconds)
        older = [replace(each, until=min(each.until or until, until)) for each in endpoint.secrets]
        valid = [each for each in older if each.until is not None and now < each.until]
        endpoint.secrets = [Secret(new_secret()), *valid[: _MAX_SECRETS - 1]]
        return self._with_secret(await self._configure(endpoint))

    async def _configure(self, endpoint: Endpoint) -> Endpoint:
        if not await self._endpoints.configure(endpoint):
            raise NoSuchWebhook(endpoint.webhook_id)
        self._changed()
        return endpoint

    async def replay(self, webhook_id: str, since: str) -> Webhook:
        """Tell everything again that has happened since this time, and enable the endpoint. Raises InvalidMessage."""
        try:
            floor = parse_time(since)
            seen_until = floor - LONGEST_CALL
        except (ValueError, OverflowError):
            raise InvalidMessage("since must be an ISO-8601 time with an offset") from None
        endpoint = await self._load(webhook_id)
        before = endpoint.progress_key
        endpoint.floor, endpoint.seen_until, endpoint.round = floor, seen_until, endpoint.round + 1
        endpoint.report = replace(endpoint.report, told_until=seen_until)
        _enable(endpoint)
        if not await self._endpoints.restart(endpoint):
            raise NoSuchWebhook(webhook_id)
        await self._progress.clear(before)
        self._changed()
        return self._shown(endpoint)

    async def remove(self, webhook_id: str) -> bool:
        """Remove the endpoint. Return whether there was one."""
        endpoint = await self._endpoints.load(webhook_id)
        removed = await self._endpoints.remove(webhook_id)
        if endpoint is not None:
            await self._progress.clear(endpoint.progress_key)
        self._changed()
        return removed

    async def test(self, webhook_id: str) -> WebhookTrial:
        """Send one test message, without retries, and return the result."""
        endpoint = await self._load(webhook_id)
        loop = asyncio.get_running_loop()
        now, began = utc_now(), loop.time()
        error = None
        try:
            message = trial_message(webhook_id, now, uuid4().hex)
            await self._sending.send(endpoint.url, message, endpoint.secrets_at(now))
        except NotTaken as failure:
            error = str(failure)
        return WebhookTrial(error is None, round((loop.time() - began) * 1000), error)

    async def _load(self, webhook_id: str) -> Endpoint:
        endpoint = await self._endpoints.load(webhook_id)
        if endpoint is None:
            raise NoSuchWebhook(webhook_id)
        return endpoint

    def _shown(self, endpoint: Endpoint) -> Webhook:
        return Webhook(**self._fields(endpoint))

    def _with_secret(self, endpoint: Endpoint) -> WebhookWithSecret:
        return WebhookWithSecret(**self._fields(endpoint), secret=endpoint.secrets[0].text)

    def _fields(self, endpoint: Endpoint) -> dict[str, Any]:
        report = self.newest_report(endpoint) or endpoint.report
        return {
            "webhook_id": endpoint.webhook_id,
            "url": endpoint.url,
            "events": endpoint.events,
            "description": endpoint.description,
            "created_at": format_time(endpoint.created_at),
            "state": "active" if endpoint.disabled_at is None else "disabled",
            "disabled_at": _time(endpoint.disabled_at),
            "disabled_reason": endpoint.disabled_reason,
            "waiting": report.waiting,
            "failing": report.failing,
            "delivered_at": _time(report.delivered_at),
            "last_error": report.last_error,
            "told_until": format_time(report.told_until or endpoint.seen_until),
        }


def _enable(endpoint: Endpoint) -> None:
    endpoint.disabled_at = endpoint.disabled_reason = None
    endpoint.enabled_at = utc_now()


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(moment)


def _checked(description: str | None) -> str | None:
    if description is not None and len(description) > MAX_DESCRIPTION_CHARS:
        raise InvalidMessage(f"description must have at most {MAX_DESCRIPTION_CHARS} characters")
    return description
