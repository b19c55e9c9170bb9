"""The curl lines of docs/durable-streams.md do what the page says."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from tests.docs.blocks import blocks
from tests.support.gateways import Gateway, StartGateway

PAGE = "docs/durable-streams.md"
WITH_VALUE = {"-X", "-H", "-d"}


def exchanges() -> Iterator[tuple[str, list[str]]]:
    """Yield each curl line of the page, and what it says of the answer."""
    for block in blocks("sh"):
        if block.place.startswith(PAGE):
            for part in re.split(r"^(?=curl )", block.text, flags=re.MULTILINE)[1:]:
                line, *told = part.splitlines()
                yield line, [each.removeprefix("# ") for each in told]


async def play(gateway: Gateway, line: str, told: list[str]) -> None:
    words = iter(shlex.split(line)[1:])
    options = [(word, next(words)) if word in WITH_VALUE else (word, "") for word in words]
    (url,) = (option for option, _ in options if option.startswith("http"))
    headers = dict(value.split(": ", 1) for option, value in options if option == "-H")
    data = next((value for option, value in options if option == "-d"), None)
    default = "HEAD" if ("-I", "") in options else "GET" if data is None else "POST"
    method = next((value for option, value in options if option == "-X"), default)
    path = url.removeprefix("http://localhost:3000")
    async with gateway.request(method, path, headers=headers, data=data) as response:
        status, _, named = told[0].partition(" ")
        assert response.status == int(status), (line, await response.text())
        for name, value in (each.split(": ") for each in named.split(", ") if each):
            assert response.headers[name] == value, line
        if len(told) > 1:
            pattern = ".*".join(map(re.escape, told[1].split("…")))
            assert re.fullmatch(pattern, await response.text()), line


async def test_the_curl_lines_of_the_page_of_durable_streams_do_what_it_says(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(long_poll_timeout=0.01)
    played = list(exchanges())
    for line, told in played:
        await play(gateway, line, told)
    assert len(played) == 12
