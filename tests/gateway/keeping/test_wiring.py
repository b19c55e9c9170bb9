"""Retention in a gateway that serves."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

import pytest

from tests.gateway.rest.test_imports import bring, ndjson, past_call
from tests.support.gateways import StartGateway
from turnwire.gateway.config import ConfigError


async def test_a_call_whose_time_is_over_is_erased_and_audited(
    start_gateway: StartGateway, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "turnwire.audit")
    gateway = await start_gateway(retention_days=30, retention_interval=1)
    await gateway.create("now")
    await gateway.post("/sessions/now/complete", None)
    await bring(gateway, ndjson(past_call("old", "Hello?")))
    async with asyncio.timeout(20):
        while len((await gateway.get("/sessions"))["sessions"]) > 1:
            await asyncio.sleep(0.05)
        while not (rows := [json.loads(row.message) for row in caplog.records if "session_erased" in row.message]):
            await asyncio.sleep(0.05)
    await gateway.refused("GET", "/sessions/old", 404)
    assert [(row["sessionId"], row["who"]) for row in rows] == [("old", "retention")]


async def test_a_gateway_does_not_start_with_wrong_rules(start_gateway: StartGateway, tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text("[[keep]]\ndays = 1\n")
    with pytest.raises(ConfigError, match=r"TURNWIRE_RETENTION_RULES: .* a rule needs a status or metadata"):
        await start_gateway(retention_days=30, retention_rules=path)
