"""The receiver of docs/webhooks.md, as it stands, gets every message, also of a gateway that is killed."""

from __future__ import annotations

import json
import threading
import urllib.request
from contextlib import closing
from pathlib import Path
from socket import socket
from typing import Any

import pytest

from tests.docs.blocks import blocks
from tests.support.processes import GatewayProcess, running_python, wait_until

pytestmark = pytest.mark.e2e


def free_port() -> int:
    with closing(socket()) as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


def ask(gateway: GatewayProcess, path: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        gateway.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read())


def call(gateway: GatewayProcess, session_id: str) -> None:
    ask(gateway, "/sessions", {"sessionId": session_id, "language": "en"})
    ask(gateway, f"/sessions/{session_id}/complete", {})


def test_the_receiver_of_the_page_gets_all_messages_of_a_gateway_that_is_killed(tmp_path: Path) -> None:
    (receiver,) = (block.text for block in blocks("py") if block.place.startswith("docs/webhooks.md"))
    script = tmp_path / "receiver.py"
    script.write_text(receiver)
    port = free_port()
    env = {"TURNWIRE_WEBHOOK_ALLOW_PRIVATE": "true"}
    with GatewayProcess(tmp_path / "data", env=env) as gateway:
        url = f"http://127.0.0.1:{port}/turnwire"
        secret = ask(gateway, "/webhooks", {"url": url, "events": ["session.*"]})["secret"]
        call(gateway, "call-1")
        gateway.kill()  # nobody received anything yet
        with running_python(str(script), env={"PORT": str(port), "WEBHOOK_SECRET": secret}) as service:
            gateway.start()
            call(gateway, "call-2")
            lines: list[str] = []
            assert service.stdout is not None
            reader = threading.Thread(target=lambda out: lines.extend(iter(out.readline, "")), args=(service.stdout,))
            reader.start()
            expected = {f"session.{what} call-{n}\n" for n in (1, 2) for what in ("created", "completed")}
            wait_until(lambda: set(lines) >= expected, f"all messages, of {lines}", 40)
            service.kill()
            reader.join()
    assert sorted(lines) == sorted(expected)
