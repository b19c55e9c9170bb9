"""The alert rules and the board of the documentation ask for what gateways really export."""

from __future__ import annotations

import pytest

from tests.gateway.peers.conftest import StartPeers
from tests.support.gateways import Gateway, new_id
from tests.support.monitoring import DEPLOY, alerts, asked_for, board, exported, expressions
from tests.support.sockets import publisher


async def used(gateway: Gateway) -> None:
    """Have a gateway store, refuse and end something, so that each of its series has a value."""
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    await bot.acked("a")
    await bot.ask({"type": "append", "events": [{"eventId": "b", "type": "no such type", "payload": {}}]}, "nack")
    await gateway.post(f"/sessions/{session_id}/complete", {})


async def test_every_metric_and_label_that_rules_and_board_ask_for_is_exported(start_peers: StartPeers) -> None:
    gateway, _ = await start_peers(2)
    await used(gateway)
    async with gateway.request("GET", "/metrics") as response:
        there = exported(await response.text())
    for expression in expressions():
        for name, labels in asked_for(expression).items():
            assert name in there, expression
            assert labels <= there[name], f"{name} has only {there[name]}: {expression}"


def test_an_expression_that_is_not_promql_is_refused() -> None:
    assert asked_for('sum by (role) (rate(a_total{code="x"}[1m]))') == {"a_total": {"role", "code"}}
    with pytest.raises(ValueError, match="unexpected"):
        asked_for("rate(a_total[1m)")


def test_every_alert_says_what_is_wrong_and_has_a_row_in_the_page() -> None:
    page = (DEPLOY / "alerts.md").read_text()
    rows = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `Turnwire")]
    assert rows == [rule["alert"] for rule in alerts()]
    for rule in alerts():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"]


def test_the_panels_of_the_board_have_a_place_of_their_own_and_something_to_show() -> None:
    panels = board()["panels"]
    places = [panel["gridPos"] for panel in panels]
    taken = [
        (place["x"] + right, place["y"] + down)
        for place in places
        for right in range(place["w"])
        for down in range(place["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(right for right, _ in taken) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel.get("targets") for panel in panels if panel["type"] != "row")
