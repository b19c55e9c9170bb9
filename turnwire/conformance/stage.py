"""Running a client program against one exercise after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

from aiohttp import web
from msgspec import Struct

from turnwire.conformance.breaks import BREAKS
from turnwire.conformance.exercise import Exercise, session
from turnwire.conformance.following import FOLLOWING
from turnwire.conformance.line import ClientSocket
from turnwire.conformance.publishing import PUBLISHING
from turnwire.protocol.codec import SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK
from turnwire.protocol.errors import ErrorCode

EXERCISES: Final[list[type[Exercise]]] = [*PUBLISHING, *BREAKS, *FOLLOWING]
AT_ONCE = 4
"""The number of exercises played concurrently."""
_PATHS: Final = {"publish": "/sessions/{session_id}/publish", "follow": "/subscribe"}


class Verdict(Struct, frozen=True):
    """What a client did wrong in one exercise; nothing if `faults` is empty."""

    name: str
    meaning: str
    faults: list[str]
    said: str
    """What the client wrote to standard error."""


class Outcome(Struct, frozen=True):
    """How a run of a client ended: its exit status, None if it had to be ended, and what it wrote."""

    status: int | None
    output: str
    errors: str = ""


Client = Callable[[Sequence[str]], Awaitable[Outcome]]
"""Runs a client with these arguments."""


async def examine(client: Client) -> list[Verdict]:
    """Put a client through all exercises. Raises what running it raises."""
    at_once = asyncio.Semaphore(AT_ONCE)

    async def one(exercise: Exercise) -> Verdict:
        async with at_once:
            return await _run(exercise, client)

    return await asyncio.gather(*(one(exercise()) for exercise in EXERCISES))


def program(command: Sequence[str], timeout: float) -> Client:
    """Return a client that runs this program, and kills it after `timeout` seconds. Running it may raise OSError."""

    async def client(arguments: Sequence[str]) -> Outcome:
        pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(*command, *arguments, stdin=null, stdout=pipe, stderr=pipe)
        running = asyncio.create_task(process.communicate())
        _, late = await asyncio.wait({running}, timeout=timeout)
        if late:
            with suppress(ProcessLookupError):
                process.kill()
        output, errors = await running
        return Outcome(
            None if late else process.returncode, output.decode(errors="replace"), errors.decode(errors="replace")
        )

    return client


async def _run(exercise: Exercise, client: Client) -> Verdict:
    runner = web.AppRunner(_app(exercise), handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        outcome = await client([exercise.program, url, exercise.session_id, *exercise.arguments])
    finally:
        await runner.cleanup()
    faults = list(dict.fromkeys(exercise.judge(outcome.status, outcome.output.split())))
    return Verdict(exercise.name, exercise.meaning, faults, outcome.errors.strip())


def _app(exercise: Exercise) -> web.Application:
    def refusal() -> ErrorCode | None:
        return exercise.refusal if len(exercise.moments) <= exercise.refusals else None

    async def serve(request: web.Request) -> web.StreamResponse:
        handshake = request.headers.get("Upgrade", "").lower() == "websocket"
        if handshake:
            exercise.moments.append(asyncio.get_running_loop().time())
        refused = refusal() or _misplaced(request, exercise) or (None if handshake else ErrorCode.INVALID_MESSAGE)
        if refused is not None:
            return _refused(request, refused)
        socket = web.WebSocketResponse(protocols=(SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK), autoping=False, timeout=1.0)
        await socket.prepare(request)
        exercise.connections += 1
        with suppress(ConnectionError):  # the client may leave at any moment
            await exercise.play(ClientSocket(socket, request.transport, exercise.faults))
        return socket

    async def read(request: web.Request) -> web.StreamResponse:
        """Answer a client that cannot see why its handshake was refused."""
        refused = refusal() or _misplaced(request, exercise)
        return web.json_response(session(0)) if refused is None else _refused(request, refused)

    async def elsewhere(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            exercise.faults.append(f"connects to {request.raw_path[:80]}, where there is no WebSocket for it")
        return _refused(request, ErrorCode.NOT_FOUND)

    app = web.Application()
    app.router.add_get(_PATHS[exercise.program], serve)
    app.router.add_get("/sessions/{session_id}", read)
    app.router.add_route("*", "/{path:.*}", elsewhere)
    return app


def _misplaced(request: web.Request, exercise: Exercise) -> ErrorCode | None:
    """Return the code with which a request about another session is refused; None for the right one."""
    asked = request.match_info.get("session_id", exercise.session_id)
    if asked == "-":
        asked = request.query.get("sessionId", asked)
    if asked == exercise.session_id:
        return None
    exercise.faults.append(f"asks for the session {asked[:80]!r}, not for {exercise.session_id!r}")
    return ErrorCode.NOT_FOUND


def _refused(request: web.Request, code: ErrorCode) -> web.Response:
    status = code.facts.status
    facts = {"statusCode": status, "path": request.path, "method": request.method, "code": code}
    headers = {"Retry-After": "1"} if status == 503 else {}
    return web.json_response({**facts, "message": f"played: {code}"}, status=status, headers=headers)
