"""`turnwire conformance`: it finds nothing wrong with the Python client, and everything that a wrong client does."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import aiohttp
import msgspec
import pytest
from typer.testing import CliRunner

from tests.turnwire.conformance import python_client, wrong_client
from turnwire.cli import app
from turnwire.conformance.breaks import Paused
from turnwire.conformance.exercise import COUNT, LEAST_PAUSE, SESSION
from turnwire.conformance.stage import EXERCISES, Client, Outcome, Verdict, examine, program
from turnwire.protocol.codec import SUBPROTOCOL_MSGPACK


def in_process(main: Callable[..., Awaitable[None]], timeout: float) -> Client:
    """Return a client that runs here, which costs no process for each exercise."""

    async def client(arguments: Sequence[str]) -> Outcome:
        lines: list[str] = []
        try:
            async with asyncio.timeout(timeout):
                await main(lambda said: lines.append(str(said)), *arguments)
        except TimeoutError:
            return Outcome(None, "\n".join(lines))
        except Exception as error:
            return Outcome(1, "\n".join(lines), repr(error))
        return Outcome(0, "\n".join(lines))

    return client


def faults_of(verdicts: list[Verdict]) -> dict[str, list[str]]:
    return {verdict.name: verdict.faults for verdict in verdicts if verdict.faults}


@pytest.mark.slow
@pytest.mark.parametrize("codec", ["json", "msgpack"])
async def test_the_python_client_does_nothing_wrong(codec: str) -> None:
    verdicts = await examine(in_process(partial(python_client.main, codec=codec), 60))
    assert faults_of(verdicts) == {}
    assert len(verdicts) == len(EXERCISES)


@pytest.mark.slow
async def test_a_wrong_client_is_told_what_it_does_wrong() -> None:
    found = faults_of(await examine(in_process(wrong_client.main, 2)))
    assert found.keys() == {exercise.name for exercise in EXERCISES} - {"publish", "follow", "follow: the future"}
    (place,) = [fault for fault in found["publish: an id with a slash"] if fault.startswith("connects to")]
    assert place == "connects to /sessions/calls/%C3%BC%201/publish, where there is no WebSocket for it"
    assert found["publish: acks together"][0] == "did not end in time"
    assert "connects again after close code 4403" in found["publish: close 4403"]
    assert found["follow: values"] == [f"prints nothing in place of each seq from 1 to {COUNT} once"]
    assert "does not answer pings" in found["follow: pings"]
    assert "has 20 events unanswered, 3 are allowed" in found["publish: the window"]
    assert "does not answer pings" in found["publish: pings"]
    assert "connects again, and takes the session from the newer publisher" in found["publish: a takeover"]
    assert "did not end in time" in found["publish: a silent connection"]
    assert "ended with status 0, as if its work were done" in found["follow: not allowed"]
    assert found["follow: a restart"][0].startswith("prints 1 2 3 4 5 6 7 1 2 3")


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("publish: no gateway", "tries again without a pause"),
        ("publish: close 1011", "connects again without a pause"),
        ("publish: close 1013", "connects again without a pause"),
        ("publish: close 4429", "connects again without a pause"),
    ],
)
@pytest.mark.parametrize("pause", [0.01, 1.0])
def test_a_client_that_reconnects_without_a_pause_is_reported(name: str, fault: str, pause: float) -> None:
    """The handshakes are at made-up moments: on a loaded machine, even this client would pause."""
    (exercise,) = [each() for each in EXERCISES if each.name == name]
    exercise.moments = [100.0, 100.0 + pause, 100.0 + 2 * pause]
    if isinstance(exercise, Paused):
        exercise.closed_at = 100.0
    assert (fault in exercise.judge(0, [])) == (pause < LEAST_PAUSE)


async def test_a_client_that_packs_records_as_arrays_is_told_so() -> None:
    async def main(say: Callable[[object], None], program: str, url: str, session_id: str, count: str = "0") -> None:
        if program == "publish" and session_id == SESSION:
            async with (
                aiohttp.ClientSession() as http,
                http.ws_connect(f"{url}/sessions/{session_id}/publish", protocols=[SUBPROTOCOL_MSGPACK]) as socket,
            ):
                await socket.receive()
                await socket.send_bytes(msgspec.msgpack.encode(["append", []]))

    found = faults_of(await examine(in_process(main, 5)))
    assert found["publish"][0].startswith("sends an array in place of a map: ")


async def test_a_program_that_runs_too_long_is_ended() -> None:
    outcome = await program([sys.executable, "-c", "print(1, flush=True); import time; time.sleep(60)"], 0.5)(())
    assert outcome.status is None


@pytest.mark.slow
def test_the_command_says_what_a_program_does_wrong_and_fails() -> None:
    result = CliRunner().invoke(app, ["conformance", "--client", "echo"])
    assert result.exit_code == 1
    assert "wrong  publish\n" in result.output
    assert "did not end the session; 0 of 20 events are stored" in result.output
    missing = CliRunner().invoke(app, ["conformance", "--client", "no-such-program"])
    assert missing.exit_code == 1
    assert "cannot run 'no-such-program'" in missing.output
