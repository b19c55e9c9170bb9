"""nginx, HAProxy and Caddy, with the sample files of the documentation, in front of the tests' gateways."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tests.support.processes import ROOT
from tests.support.redis import free_port

SAMPLES = ROOT / "docs" / "deploy"
_START_SECONDS = 20
_SERVERS = {
    "nginx.conf": "    server gateway-{number}:3000 max_fails=1 fail_timeout=2s;\n",
    "haproxy.cfg": "  server gateway-{number} gateway-{number}:3000\n",
    "Caddyfile": "\t\tto gateway-{number}:3000\n",
}


class Balancer:
    """A proxy that runs on its own ports, with our gateways and our certificate in place of the sample's.

    The sample has two gateways; more get lines like theirs. Without a certificate, the proxy listens without TLS only.
    """

    def __init__(self, folder: Path, ports: Sequence[int], certificate: tuple[Path, Path] | None = None) -> None:
        """`ports` are those of the gateways; the certificate is (key, certificate)."""
        self.plain_port, self.tls_port = free_port(), free_port()
        self.folder = folder
        self._ports = ports
        self._certificate = certificate

    def urls(self) -> list[str]:
        plain, tls = f"http://localhost:{self.plain_port}", f"https://localhost:{self.tls_port}"
        return [plain, tls, f"{plain}/turnwire", f"{tls}/turnwire"]

    def command(self, name: str) -> list[str]:
        config = self.folder / name
        config.write_text(self._configured(name))
        if name == "haproxy.cfg":
            return ["haproxy", "-db", "-f", str(config)]
        if name == "Caddyfile":
            return ["caddy", "run", "--config", str(config), "--adapter", "caddyfile"]
        rest = f"daemon off; error_log stderr; pid {self.folder}/nginx.pid;"
        return ["nginx", "-p", str(self.folder), "-c", str(config), "-g", rest]

    def _configured(self, name: str) -> str:
        text = (SAMPLES / name).read_text()
        line, last = _SERVERS[name], _SERVERS[name].format(number=2)
        assert last in text, f"the sample {name} has no second gateway"
        more = "".join(line.format(number=number) for number in range(3, len(self._ports) + 1))
        text = text.replace(last, last + more)
        for place, ours in self._places().items():
            text = text.replace(place, ours)
        if self._certificate is None:
            text = re.sub(r".*(ssl_certificate|listen .* ssl;|bind .* ssl crt).*\n", "", text)
        return text

    def _places(self) -> dict[str, str]:
        places = {f"gateway-{number}:3000": f"127.0.0.1:{port}" for number, port in enumerate(self._ports, start=1)}
        places |= {
            "listen 80;": f"listen 127.0.0.1:{self.plain_port};",
            "listen 443 ssl;": f"listen 127.0.0.1:{self.tls_port} ssl;",
            "bind :80": f"bind 127.0.0.1:{self.plain_port}",
            "bind :443": f"bind 127.0.0.1:{self.tls_port}",
        }
        # Caddy must neither keep nor open anything that does not belong to this balancer.
        apart = f"grace_period 1s\n\tadmin off\n\tauto_https off\n\tstorage file_system {self.folder}/caddy\n"
        places["grace_period 10s\n"] = apart
        plain_site = f"http://localhost:{self.plain_port} {{\n\tbind 127.0.0.1\n"
        if self._certificate is None:
            return places | {"gateway.example.com {\n": plain_site}
        key, certificate = self._certificate
        site = f"https://localhost:{self.tls_port} {{\n\tbind 127.0.0.1\n\ttls {certificate} {key}\n"
        places["gateway.example.com {\n"] = f"{plain_site}\timport turnwire\n}}\n\n{site}"
        both = self.folder / "both.pem"
        both.write_text(certificate.read_text() + key.read_text())
        return places | {
            "/etc/nginx/tls/cert.pem": str(certificate),
            "/etc/nginx/tls/key.pem": str(key),
            "/etc/haproxy/tls/turnwire.pem": str(both),
        }


@asynccontextmanager
async def running(balancer: Balancer, name: str) -> AsyncIterator[None]:
    """Run the balancer of this sample for the length of the block. It answers from the beginning."""
    command = balancer.command(name)
    program = shutil.which(command[0], path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    assert program is not None, f"{command[0]} is not installed: `make balancers` does that"
    process = await asyncio.create_subprocess_exec(
        program, *command[1:], stdin=subprocess.DEVNULL, env={**os.environ, "XDG_CONFIG_HOME": str(balancer.folder)}
    )
    try:
        async with aiohttp.ClientSession() as http, asyncio.timeout(_START_SECONDS):
            while not await _answers(http, balancer):
                assert process.returncode is None, f"{command[0]} ended with status {process.returncode}"
                await asyncio.sleep(0.05)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _answers(http: aiohttp.ClientSession, balancer: Balancer) -> bool:
    try:
        async with http.get(f"{balancer.urls()[0]}/health/ready") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False
