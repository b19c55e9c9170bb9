"""What docs/security.md tells people to type lets in whom it says, and nobody else."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import WSMsgType
from typer.testing import CliRunner

from tests.docs.blocks import Block, blocks
from tests.support.gateways import Gateway, StartGateway
from turnwire.cli import app
from turnwire.gateway.config import Config, environment_name

PAGE = "docs/security.md:"
HOST = "gateway.example.com"


def of_page(*languages: str) -> list[Block]:
    return [block for block in blocks(*languages) if block.place.startswith(PAGE)]


def shell_lines() -> Iterator[str]:
    """The commands of the page, those over several lines as one."""
    for block in of_page("sh"):
        yield from block.text.replace("\\\n", " ").splitlines()


def make_files(folder: Path) -> dict[str, str]:
    """The files that the page makes, as it says; the keys by their ids."""
    keys: dict[str, str] = {}
    for line in shell_lines():
        command, _, file = line.partition(">>" if ">>" in line else " >")
        if command.startswith("turnwire key "):
            made = CliRunner().invoke(app, shlex.split(command)[1:])
            assert made.exit_code == 0, made.output
            with (folder / file.strip()).open("a") as keys_file:
                keys_file.write(made.stdout)
            keys[shlex.split(command)[2]] = made.stderr.split()[-1]
        elif command.startswith("openssl rand -hex 32"):
            (folder / file.strip(" >")).write_text("0123456789abcdef" * 4 + "\n")
    for each in folder.iterdir():
        each.chmod(0o600)  # as after `umask 077`
    return keys


def settings(folder: Path) -> dict[str, Any]:
    """Those of the page's `turnwire serve`, but for the address."""
    names = {environment_name(field): field for field in Config.model_fields}
    (line,) = (each for each in shell_lines() if each.endswith("turnwire serve"))
    given = dict(word.split("=", 1) for word in shlex.split(line) if "=" in word)
    assert given.pop("HOST") == "0.0.0.0"
    return {names[name]: folder / value if (folder / value).exists() else value for name, value in given.items()}


async def curl(gateway: Gateway, line: str, keys: dict[str, str]) -> tuple[int, bytes]:
    """Status and body of what a `curl` of the page asks."""
    for name, key in keys.items():
        line = line.replace(f"${name}", key)
    words = shlex.split(line)[1:]
    options = {"-H": [], "-d": []}  # type: dict[str, list[str]]
    while words[0] in options:
        options[words[0]].append(words[1])
        words = words[2:]
    (url,) = words
    headers = dict(header.split(": ", 1) for header in options["-H"])
    path = url.removeprefix(f"https://{HOST}")
    body = options["-d"][0] if options["-d"] else None
    request = gateway.request("POST" if body else "GET", path, headers={**headers, "Host": HOST}, data=body)
    async with request as response:
        return response.status, await response.read()


def socket_of(token: str) -> tuple[str, Sequence[str]]:
    """Path and subprotocols of the page's WebSocket."""
    (block,) = of_page("js")
    found = re.search(r'new WebSocket\("wss://gateway\.example\.com(/\w+)", (\[.*?\])\)', block.text)
    assert found is not None
    return found[1], json.loads(found[2].replace("`", '"').replace("${token}", token))


async def test_the_commands_of_the_security_page_let_in_a_bot_a_backend_a_browser_and_prometheus(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    keys = make_files(tmp_path)
    assert set(keys) == {"bot", "backend", "prometheus", "operator"}
    gateway = await start_gateway(**settings(tmp_path))
    admin = {"Authorization": f"Bearer {keys['operator']}", "Host": HOST}
    await gateway.post("/sessions", {"sessionId": "call-17", "language": "en"}, headers=admin)

    sessions, tokens, revocation = (line for line in shell_lines() if line.startswith("curl "))
    assert (await curl(gateway, sessions, {"KEY": keys["backend"]}))[0] == 200
    assert (await curl(gateway, sessions, {"KEY": keys["bot"]}))[0] == 403
    assert (await curl(gateway, sessions, {"KEY": keys["bot"] + "x"}))[0] == 401

    status, body = await curl(gateway, tokens, {"BACKEND_KEY": keys["backend"]})
    assert status == 201
    path, protocols = socket_of(json.loads(body)["token"])
    socket = await gateway.client.ws_connect(gateway.url + path, protocols=protocols, headers={"Host": HOST})
    await socket.send_json({"type": "subscribe", "ref": "a", "sessionId": "call-17"})
    assert (await socket.receive_json(timeout=10))["type"] == "subscribed"

    (scrape,) = of_page("yaml")
    (job,) = msgspec.yaml.decode(scrape.text)["scrape_configs"]
    assert Path(job["authorization"]["credentials_file"]).is_absolute()
    (target,) = job["static_configs"][0]["targets"]
    headers = {"Authorization": f"Bearer {keys['prometheus']}", "Host": target}
    async with gateway.request("GET", "/metrics", headers=headers) as response:
        assert response.status == 200

    assert (await curl(gateway, revocation, {"OPERATOR_KEY": keys["backend"]}))[0] == 403
    assert (await curl(gateway, revocation, {"OPERATOR_KEY": keys["operator"]}))[0] == 204
    while (message := await socket.receive(timeout=10)).type is not WSMsgType.CLOSE:
        pass
    assert message.data == 4401
    await socket.close()


@pytest.mark.parametrize("page", ["SECURITY.md", "docs/security.md"])
def test_settings_that_a_page_names_exist(page: str) -> None:
    known = {environment_name(field) for field in Config.model_fields} | {"TURNWIRE_TOKEN"}
    text = (Path(__file__).resolve().parents[2] / page).read_text(encoding="utf-8")
    named = set(re.findall(r"\bTURNWIRE_[A-Z_]*[A-Z](?![A-Z_…])", text))
    assert named <= known, named - known
