"""A gateway that asks nobody for a credential on a public address says so: in its log, and on its page."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import cast

import pytest

from tests.support.gateways import StartGateway
from turnwire.gateway.access.access import Access
from turnwire.gateway.access.mode import Mode
from turnwire.gateway.connections.open_connections import OpenConnections
from turnwire.gateway.pages.dashboard import load_assets, with_warning
from turnwire.gateway.running.periodic import Periodic
from turnwire.gateway.running.rights import RightsWatch


class Pauses:
    """In the place of what runs from time to time: keeps what it was given."""

    def __init__(self) -> None:
        self.work: dict[float, Callable[[], Awaitable[None]]] = {}

    def every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        self.work[seconds] = work


class Unguarded:
    """As much of the access room as the watch looks at."""

    credentials = None

    def __init__(self, warning: str | None) -> None:
        self.mode = Mode(required=False, warning=warning)


async def test_the_warning_is_logged_at_the_start_and_every_ten_minutes(caplog: pytest.LogCaptureFixture) -> None:
    pauses = Pauses()
    watch = RightsWatch(cast("Access", Unguarded("anyone may")), OpenConnections())
    await watch.start(cast("Periodic", pauses))
    assert [record.getMessage() for record in caplog.records] == ["anyone may"]
    await pauses.work[600]()
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [(logging.WARNING, "anyone may")] * 2


async def test_a_gateway_that_is_guarded_or_reached_from_here_alone_has_nothing_to_say(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pauses = Pauses()
    await RightsWatch(cast("Access", Unguarded(None)), OpenConnections()).start(cast("Periodic", pauses))
    assert (caplog.records, pauses.work) == ([], {})


def test_the_dashboard_begins_with_the_warning_as_text() -> None:
    page = load_assets()["index.html"].body
    shown = with_warning(page, "TURNWIRE_AUTH=none on <b>&")
    assert b'<p class="notice" role="alert">TURNWIRE_AUTH=none on &lt;b&gt;&amp;</p>\n<div id="app">' in shown
    assert shown.replace(b'<p class="notice" role="alert">TURNWIRE_AUTH=none on &lt;b&gt;&amp;</p>\n', b"") == page


async def test_the_dashboard_of_a_protected_gateway_has_no_warning(start_gateway: StartGateway) -> None:
    gateway = await start_gateway()
    async with gateway.request("GET", "/") as response:
        assert 'role="alert"' not in await response.text()
