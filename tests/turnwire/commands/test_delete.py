"""`turnwire delete` against a gateway."""

from __future__ import annotations

import asyncio

from typer.testing import CliRunner, Result

from tests.support.gateways import Gateway
from tests.support.sockets import publisher
from turnwire.cli import app


async def turnwire(gateway: Gateway, *args: str) -> Result:
    env = {"TURNWIRE_URL": gateway.url, "TURNWIRE_TOKEN": ""}
    return await asyncio.to_thread(CliRunner().invoke, app, ["delete", *args], env=env)


async def test_a_session_is_erased_and_a_live_one_by_force_alone(gateway: Gateway) -> None:
    bot = await publisher(gateway, "a")
    refused = await turnwire(gateway, "a")
    assert (refused.exit_code, "has a publisher" in refused.output) == (1, True)
    assert (await turnwire(gateway, "a", "--force")).output == "Session 'a' is erased.\n"
    assert await bot.close_code() == 4404
    assert (await turnwire(gateway, "a")).exit_code == 0
