"""What the server uses of aiohttp without being promised it is still there, and does what it did.

When a test fails after a new release of aiohttp, each says what to do. Until that is done, bound aiohttp below that
release in pyproject.toml.
"""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from aiohttp import ClientSession, WSMsgType, web
from multidict import CIMultiDict

from tests.house.tree import source_files
from tests.support.processes import ROOT
from turnwire.gateway.aiohttp_private import (
    Answer,
    HttpProtocol,
    NoAnswer,
    PlainServer,
    QuickRoutes,
    Runner,
    Server,
    answer_as_http11,
    was_routed,
)
from turnwire.gateway.aiohttp_websocket_private import WebSocket

MODULES = tuple(f"turnwire.gateway.aiohttp_{part}private" for part in ("", "websocket_", "client_"))
AIOHTTP = ("web.", "aiohttp.")
DERIVED = re.compile(r"^class \w+\([^)]*\b(?:web|aiohttp)\.", re.MULTILINE)


def files_of_the_gateway() -> dict[str, str]:
    """Module → text, of all modules but those for private names."""
    files = source_files(ROOT).items()
    return {
        module: path.read_text(encoding="utf-8")
        for module, path in files
        if module.startswith("turnwire.gateway.") and module not in MODULES
    }


def is_foreign(node: ast.AST, ours: set[str]) -> bool:
    """Whether it uses a private name of another's. `os._exit` is public, whatever it looks like."""
    if not isinstance(node, ast.Attribute) or not node.attr.startswith("_") or node.attr.startswith("__"):
        return False
    return node.attr not in ours and not (isinstance(node.value, ast.Name) and node.value.id == "os")


def own_names(tree: ast.Module) -> Iterator[str]:
    """Names with an underscore that a file makes itself: by assignment, definition, slot or annotation."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def uses_of_foreign_names(texts: Mapping[str, str]) -> Iterator[str]:
    """Uses of private names, in files that name aiohttp, that no file of these makes itself."""
    trees = {module: ast.parse(text) for module, text in texts.items() if "aiohttp" in text}
    ours = {name for tree in trees.values() for name in own_names(tree)}
    uses = [(module, node) for module, tree in trees.items() for node in ast.walk(tree) if is_foreign(node, ours)]
    left = {node.attr for _, node in uses if isinstance(node, ast.Attribute)}
    others = [text for module, text in texts.items() if module not in trees and any(name in text for name in left)]
    ours = {name for text in others for name in own_names(ast.parse(text))}
    return (f"{module}: {ast.unparse(node)}" for module, node in uses if is_foreign(node, ours))


def derived_classes(texts: Mapping[str, str]) -> Iterator[str]:
    for module, text in texts.items():
        for node in ast.walk(ast.parse(text)) if DERIVED.search(text) else ():
            if isinstance(node, ast.ClassDef) and any(ast.unparse(base).startswith(AIOHTTP) for base in node.bases):
                yield f"{module}: {node.name}"


def test_no_other_file_uses_a_private_name_of_aiohttp_or_derives_from_its_classes() -> None:
    texts = files_of_the_gateway()
    assert (list(uses_of_foreign_names(texts)), list(derived_classes(texts))) == ([], [])


def test_a_seeded_use_of_a_private_name_or_base_of_aiohttp_is_found() -> None:
    texts = {
        "a": "from aiohttp import web\nclass Mine(\n    web.View\n): ...\n",
        "b": "from aiohttp import web\ndef f(request, own):\n    return request._loop, own._made_elsewhere\n",
        "c": "class Own:\n    def __init__(self):\n        self._made_elsewhere = 1\n",
    }
    assert list(uses_of_foreign_names(texts)) == ["b: request._loop"]
    assert list(derived_classes(texts)) == ["a: Mine"]


class Seen(HttpProtocol):
    """Notes what it is asked at each step."""

    __slots__ = ("before", "notes")

    def __init__(self, manager: web.Server, notes: list[tuple[int, bool]], **options: object) -> None:
        super().__init__(manager, **options)  # type: ignore[arg-type]
        self.notes = notes

    def data_received(self, data: bytes) -> None:
        self.notes.append((self.heads_read, self.expects_head))
        super().data_received(data)

    def reading_resumed(self) -> None:
        self.notes.append((self.heads_read, self.is_held))

    def ignore_input(self) -> None: ...


class SeeingServer(Server):
    def __init__(self, plain: PlainServer, notes: list[tuple[int, bool]]) -> None:
        super().__init__(plain.handle, **plain.options)
        self.notes = notes

    def make_protocol(self, **options: object) -> HttpProtocol:
        return Seen(self, self.notes, **options)


class SeeingRunner(Runner):
    def __init__(self, app: web.Application) -> None:
        super().__init__(app)
        self.notes: list[tuple[int, bool]] = []
        self.protocols: list[HttpProtocol] = []

    def make_server(self, plain: PlainServer) -> web.Server:
        return SeeingServer(plain, self.notes)


class Nowhere:
    """A parser that keeps what it is fed."""

    data = b""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.data += data
        return False, b""

    def feed_eof(self) -> None: ...


class Served:
    """A small application behind the classes under test."""

    def __init__(self) -> None:
        self.app = web.Application()
        self.runner = SeeingRunner(self.app)
        self.ended = asyncio.Event()
        self.socket: WebSocket | None = None
        self.routed: list[bool] = []
        self.protocol: web.RequestHandler | None = None

    async def start(self) -> int:
        self.app.router.add_get("/", self.answer)
        self.app.router.add_get("/ws", self.serve_socket)
        self.app.router.add_get("/none", self.end)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        return int(self.runner.addresses[0][1])

    async def answer(self, request: web.Request) -> web.Response:
        self.routed.append(was_routed(request))
        self.protocol = request.protocol
        return web.Response(text="served")

    async def end(self, request: web.Request) -> NoAnswer:
        return NoAnswer()

    async def serve_socket(self, request: web.Request) -> WebSocket:
        self.socket = socket = WebSocket(autoping=False, decode_text=False)
        await socket.prepare(request)
        await socket.close(code=1001)
        await socket.read_out()
        self.routed.append(request.transport is not None and not request.transport.is_closing())
        if request.transport is not None:
            request.transport.close()
        self.ended.set()
        return socket


@pytest.fixture
async def served() -> Iterator[Served]:  # type: ignore[misc]  # an async generator, as pytest-asyncio has them
    each = Served()
    yield each
    await each.runner.cleanup()


async def test_a_server_of_our_own_is_run_with_a_protocol_of_our_own(served: Served) -> None:
    """`AppRunner._make_server`, `Server._kwargs`, `Server._loop`.

    When it fails: serve the application by `web.Server` and `loop.create_server` instead of a runner, which are public;
    the options of the protocol are then the arguments of `HttpRunner`.
    """
    port = await served.start()
    async with ClientSession() as client, client.get(f"http://127.0.0.1:{port}/") as response:
        assert await response.text() == "served"
    assert served.runner.notes[0] == (0, True)


async def test_a_route_that_was_found_is_told_from_one_that_was_not_looked_up(served: Served) -> None:
    """`Request._match_info`.

    When it fails: keep the fact in a `RequestKey` that `routed` sets in gateway/http/server.py.
    """
    port = await served.start()
    async with ClientSession() as client, client.get(f"http://127.0.0.1:{port}/"):
        pass
    assert served.routed == [True]
    bare = web.Request.__new__(web.Request)
    bare._match_info = None
    assert not was_routed(bare)


async def test_a_connection_without_an_answer_ends(served: Served) -> None:
    """`RequestHandler.finish_response` takes a ConnectionError of `prepare` for the client's end.

    When it fails: have `handle_error` in gateway/http/server.py raise ConnectionError. The memory of clients that have
    left is then freed by the garbage collector.
    """
    port = await served.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert await reader.read() == b""
    writer.close()


async def test_a_connection_exposes_how_far_it_has_come(served: Served) -> None:
    """`RequestHandler._request_count`, `._waiter`, `._payload_parser`, `._force_close`.

    When it fails: without them a slow head cannot be told from a slow body. Count heads by their final empty line in
    `data_received`, or leave the clock of heads to a proxy, and say so in docs/operations.md.
    """
    port = await served.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        writer.write(b"GET / HTTP/1.1\r\n")
        await writer.drain()
        await asyncio.sleep(0)
        writer.write(b"Host: localhost\r\n\r\n")
        await reader.readuntil(b"served")
    writer.close()
    counts = [heads for heads, _ in served.runner.notes]
    assert counts[0] == 0
    assert counts[-1] == 1
    assert all(expects for _, expects in served.runner.notes)


async def test_a_socket_that_was_closed_is_left_open_until_the_other_side_has_answered(served: Served) -> None:
    """`WebSocketResponse._close_transport`, `._closing`, `._reader`.

    When it fails: see whether `close()` now leaves the transport open by itself; if it does, drop the override. If it
    closes at once again, clients that still send lose the close code: do not release.
    """
    port = await served.start()
    async with ClientSession() as client, client.ws_connect(f"http://127.0.0.1:{port}/ws") as socket:
        message = await socket.receive(timeout=10)
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1001)
        async with asyncio.timeout(10):
            await served.ended.wait()
    assert served.routed == [True]


async def test_messages_that_have_arrived_are_taken_without_waiting(served: Served) -> None:
    """`WebSocketResponse._reader`, `._closing`, `._closed`, `WebSocketDataQueue._buffer`.

    When it fails: have `received` return None, `arrived` no messages, and `waiting` 1. The gateway works without them;
    a frame then takes longer, and turns are shared out less evenly.
    """
    taken: list[object] = []

    async def take(request: web.Request) -> WebSocket:
        socket = WebSocket(autoping=False, decode_text=False)
        assert (socket.received(), socket.waiting, socket.arrived(WSMsgType.TEXT, 9, 999)) == (None, 0, [])
        await socket.prepare(request)
        while len(taken) < 2:
            if (message := socket.received()) is None:
                await asyncio.sleep(0.001)
            else:
                taken.append((message.type, message.data))
        while socket.waiting < 2:
            await asyncio.sleep(0.001)
        assert socket.received() is None  # the next one is a ping
        taken.append((await socket.receive()).type)
        taken.append((await socket.receive()).type)
        served.ended.set()
        return socket

    served.app.router.add_get("/take", take)
    port = await served.start()
    async with ClientSession() as client, client.ws_connect(f"http://127.0.0.1:{port}/take") as socket:
        await socket.send_str("text")
        await socket.send_bytes(b"binary")
        await socket.ping()
        await socket.send_str("last")
        async with asyncio.timeout(10):
            await served.ended.wait()
    assert taken == [(WSMsgType.TEXT, b"text"), (WSMsgType.BINARY, b"binary"), WSMsgType.PING, WSMsgType.TEXT]


async def test_messages_that_have_arrived_together_are_seen_before_they_are_taken(served: Served) -> None:
    """`WebSocketDataQueue._buffer`: pairs of a message and its length. When it fails: see the test above."""
    seen: list[object] = []

    async def see(request: web.Request) -> WebSocket:
        socket = WebSocket(autoping=False, decode_text=False)
        await socket.prepare(request)
        while socket.waiting < 5:
            await asyncio.sleep(0.001)
        text = WSMsgType.TEXT
        seen.extend(socket.arrived(text, most, size) for most, size in [(9, 99), (2, 99), (9, 4), (0, 99), (-1, 99)])
        socket.drop(3)
        seen.append((socket.arrived(text, 9, 99), socket.arrived(WSMsgType.BINARY, 9, 99), socket.waiting))
        served.ended.set()
        return socket

    served.app.router.add_get("/see", see)
    port = await served.start()
    async with ClientSession() as client, client.ws_connect(f"http://127.0.0.1:{port}/see") as socket:
        for text in ("ab", "cd", "ef"):
            await socket.send_str(text)
        await socket.send_bytes(b"binary")
        await socket.send_str("last")
        async with asyncio.timeout(10):
            await served.ended.wait()
    assert seen == [[b"ab", b"cd", b"ef"], [b"ab", b"cd"], [b"ab", b"cd"], [], [], ([], [b"binary"], 2)]


async def test_reading_a_body_does_not_have_the_connection_parsed_once_more(served: Served) -> None:
    """`BaseProtocol._reading_paused`, `._buffer_paused`, of a body that a handler reads.

    When it fails: drop the condition in `HttpProtocol.resume_reading`. The gateway works without it; a request with a
    body then takes a few microseconds longer.
    """

    async def size(request: web.Request) -> web.Response:
        return web.Response(text=f"read {len(await request.read())}")

    served.app.router.add_post("/size", size)
    port = await served.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = "POST /size HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n"
    for length in (5, 1_000_000):  # of the second, more comes than may wait, so that reading is paused and resumed
        writer.write(head.format(length).encode() + b"x" * length)
        async with asyncio.timeout(10):
            await reader.readuntil(f"read {length}".encode())
        if length == 5:
            assert served.runner.notes == [(0, True)]
    writer.close()


async def test_a_connection_that_is_held_is_not_read_whatever_the_flow_control_says(served: Served) -> None:
    """`BaseProtocol._reading_paused`, `_pause_reading_for_buffer`, `_resume_reading_for_buffer`, `_payload_parser`.

    When it fails: pass on what arrives at once, as before; many small frames then hold others up.
    """
    port = await served.start()
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    while served.protocol is None:
        await asyncio.sleep(0.001)
    protocol = served.protocol
    assert isinstance(protocol, HttpProtocol)
    transport = protocol.transport
    assert transport is not None
    protocol._upgraded = True  # as on a WebSocket
    protocol.hold_reading()
    protocol.pause_reading()
    assert (protocol.is_held, transport.is_reading()) == (True, False)
    protocol.resume_reading()
    assert (protocol.is_held, transport.is_reading()) == (False, False)
    assert served.runner.notes[-1] == (1, False)
    protocol.release_reading()
    assert transport.is_reading()
    fed = Nowhere()
    protocol.use_parser(fed)
    writer.write(b"frame")
    while not fed.data:
        await asyncio.sleep(0.001)
    assert fed.data == b"frame"
    writer.close()


def test_the_parser_of_websockets_is_handed_over_where_it_can_be_wrapped() -> None:
    """`RequestHandler.set_parser`, and `feed_data` and `feed_eof` of what it is given.

    When it fails: find what now feeds `WebSocketReader`, and put gateway/http/websocket_frames.py before it there.
    tests/gateway/sockets/test_rfc6455.py says whether frames are judged.
    """
    source = Path(web.WebSocketResponse._post_start.__code__.co_filename).read_text(encoding="utf-8")
    assert "protocol.set_parser(" in source
    assert callable(web.RequestHandler.set_parser)


@pytest.mark.parametrize("touched", [False, True])
async def test_an_answer_is_sent_as_ready_bytes_unless_its_headers_may_have_changed(
    served: Served, touched: bool
) -> None:
    """`StreamResponse._headers`, `._keep_alive`, `._payload_writer`, `._eof_sent`, `._body_length`, `Response._body`,
    `StreamWriter._write`, `._protocol`, `BaseProtocol._paused`.

    When it fails: have `Heads.make_ready` return False always. The gateway works without it; a small request then takes
    a tenth more time.
    """
    answers: list[Answer] = []

    async def answer(request: web.Request) -> web.Response:
        answer = Answer(b"{}", 201, "json", CIMultiDict({"X-Kind": "json"}))
        answers.append(answer)
        if touched:
            answer.headers["X-Own"] = "yes"
        if answer.kind is not None:
            answer.make_ready(b"HTTP/1.1 201 Created\r\nX-Made: before\r\nContent-Length: 2\r\n\r\n")
        return answer

    served.app.router.add_get("/answer", answer)
    port = await served.start()
    async with ClientSession() as client:
        for _ in range(2):  # over one connection
            async with client.get(f"http://127.0.0.1:{port}/answer") as response:
                assert (response.status, await response.read()) == (201, b"{}")
                kept = {name: response.headers.get(name) for name in ("X-Kind", "X-Own", "X-Made")}
                expected = ("json", "yes", None) if touched else (None, None, "before")
                assert tuple(kept.values()) == expected
    assert [(each.prepared, each.body_length > 2) for each in answers] == [(True, True)] * 2
    assert served.runner.notes == [(0, True), (1, True)]


def test_an_answer_has_all_that_a_response_has() -> None:
    """`StreamResponse.__init__(_real_headers=…)` and the attributes of a `Response`.

    When it fails: have `Answer.__init__` call that of `web.Response`, which takes 75 bytecodes more.
    """
    headers = CIMultiDict({"X-Kind": "json"})
    answer, response = Answer(b"{}", 201, "json", headers), web.Response(body=b"{}", status=201, headers=headers)
    assert {**vars(response), "kind": "json", "_ready": None} == vars(answer)
    answer.headers["X-Own"] = "yes"
    assert "X-Own" not in headers


async def test_a_request_is_answered_as_one_of_http11_whatever_its_version() -> None:
    """If not: nothing but the status line of the answer to a request for HTTP/2.0 is wrong. Look where aiohttp's
    response takes its version from."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        assert request.version.major == 2
        answer_as_http11(request)
        return web.Response()

    server = await asyncio.get_running_loop().create_server(web.Server(handle), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n")
    async with asyncio.timeout(10):
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
    writer.close()
    server.close()


async def test_a_route_can_be_noted_without_the_router(served: Served) -> None:
    """`Request._match_info`, and the arguments of `UrlMappingMatchInfo`.

    When it fails: have `QuickRoutes.find` return None always. The gateway works without it; a small request then takes
    a twentieth more time. tests/gateway/http/test_quick_routes.py compares the routes.
    """
    found: list[object] = []

    async def answer(request: web.Request) -> web.Response:
        handler = QuickRoutes(served.app).find(request)
        found.extend([handler, request.match_info["session_id"], request.app is served.app])
        return web.Response(text="served")

    served.app.router.add_get("/calls/{session_id:[^/]*}", answer)
    port = await served.start()
    async with ClientSession() as client, client.get(f"http://127.0.0.1:{port}/calls/7") as response:
        assert response.status == 200
    assert found == [answer, "7", True]
