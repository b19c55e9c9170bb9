"""The socket of a connection, and checks of its opening handshake that aiohttp leaves out."""

from __future__ import annotations

import re
from typing import Final

from aiohttp import hdrs, web
from aiohttp.http import HttpVersion11

from turnwire.gateway.aiohttp_private import choose_websocket
from turnwire.gateway.aiohttp_websocket_private import WebSocket
from turnwire.gateway.connections.closing import CLOSE_SECONDS
from turnwire.protocol.codec import CODECS
from turnwire.protocol.errors import InvalidMessage
from turnwire.protocol.messages import Limits

VERSION: Final = "13"
_KEY: Final = re.compile(r"[A-Za-z0-9+/]{22}==")


def new_socket(limits: Limits) -> WebSocket:
    """Return the socket of a new connection, before its handshake."""
    return WebSocket(
        protocols=tuple(CODECS),
        max_msg_size=limits.frame_bytes + 1,  # aiohttp refuses a frame of exactly its maximum
        compress=False,
        autoping=False,
        autoclose=False,
        timeout=CLOSE_SECONDS,
        decode_text=False,
    )


def check_subprotocol(request: web.BaseRequest) -> None:
    """Raise InvalidMessage if the request asks for subprotocols alone that the gateway does not speak."""
    asked = request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, "").replace(",", " ").split()
    if asked and not CODECS.keys() & set(asked):
        raise InvalidMessage(f"the subprotocol must be one of {', '.join(CODECS)}; without one, the first is used")


def check_handshake(request: web.BaseRequest) -> None:
    """Check a request that asks for a WebSocket. aiohttp refuses any other request later.

    Raises InvalidMessage, or an HTTPException (426) for another version of the WebSocket protocol.
    """
    if not choose_websocket(request):
        return
    if request.method != hdrs.METH_GET:
        raise InvalidMessage(f"a WebSocket handshake uses GET, not {request.method}")
    if request.version < HttpVersion11:
        raise InvalidMessage("a WebSocket handshake needs HTTP/1.1")
    if request.body_exists:
        raise InvalidMessage("a WebSocket handshake must not have a body")
    if request.headers.getall(hdrs.SEC_WEBSOCKET_VERSION, ()) != [VERSION]:
        raise _wrong_version()
    keys = request.headers.getall(hdrs.SEC_WEBSOCKET_KEY, ())
    if len(keys) != 1 or not _KEY.fullmatch(keys[0]):
        raise InvalidMessage("Sec-WebSocket-Key must be given once, and hold 16 bytes in base64")


def _wrong_version() -> web.HTTPException:
    headers = {hdrs.SEC_WEBSOCKET_VERSION: VERSION, hdrs.UPGRADE: "websocket", hdrs.CONNECTION: "Upgrade"}
    return web.HTTPUpgradeRequired(
        headers=headers, text=f"the gateway speaks version {VERSION} of the WebSocket protocol"
    )
