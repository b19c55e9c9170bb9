"""The dashboard at `/` and the API reference at `/docs`: serves the static files of this package from memory."""

from __future__ import annotations

import asyncio
import gzip
import mimetypes
from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath

from aiohttp import hdrs, web
from msgspec import Struct

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The pages may run only their own scripts and styles, and connect only to this gateway."""
_TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".html": "text/html"}
_MIN_GZIP_BYTES = 1024
_GZIP_LEVEL = 6
"""Level 9 takes three times as long, and saves one per cent."""
_BEGIN = b'<div id="app">'


class Asset(Struct):
    """A file in the form in which it is sent."""

    body: bytes
    content_type: str
    etag: str
    _packed: bytes | None = None

    async def packed(self) -> bytes:
        """Return the gzip form, made in a thread at the first request: all files take a twentieth of a second."""
        if self._packed is None:
            self._packed = await asyncio.to_thread(gzip.compress, self.body, _GZIP_LEVEL, mtime=0)
        return self._packed


@cache
def load_assets() -> Mapping[str, Asset]:
    """Return all files of `gateway/static`, by their path in it, read once for all gateways of this process."""
    return {path: _asset(path, file.read_bytes()) for path, file in _files(files("turnwire.gateway") / "static")}


def _files(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _files(entry, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name, entry


def _asset(path: str, body: bytes) -> Asset:
    suffix = PurePosixPath(path).suffix
    content_type = _TYPES.get(suffix) or mimetypes.guess_type(path)[0] or "text/plain"
    return Asset(body, content_type, sha256(body).hexdigest()[:16])


def add_dashboard(app: web.Application, warning: str | None = None) -> None:
    """Add the routes `/`, `/docs` and `/static/…`. The pages' links are relative, so a proxy can serve them below a
    prefix. The dashboard begins with the `warning`, if there is one."""
    assets = dict(load_assets())
    page, reference = assets.pop("index.html"), assets.pop("docs.html")
    if warning is not None:
        page = _asset("index.html", with_warning(page.body, warning))

    async def read_page(request: web.Request) -> web.Response:
        return await _answer(request, page)

    async def read_reference(request: web.Request) -> web.Response:
        return await _answer(request, reference)

    async def read_asset(request: web.Request) -> web.Response:
        asset = assets.get(request.match_info["path"])
        if asset is None:
            raise web.HTTPNotFound(text="there is no such file")
        return await _answer(request, asset)

    app.router.add_get("/", read_page)
    app.router.add_get("/docs", read_reference)
    app.router.add_get("/static/{path:.+}", read_asset)


def with_warning(page: bytes, warning: str) -> bytes:
    """Return the page with the warning before everything that the page draws."""
    before, found, after = page.partition(_BEGIN)
    assert found, "the page has a place for what it draws"
    return b'%s<p class="notice" role="alert">%s</p>\n%s%s' % (before, escape(warning).encode(), _BEGIN, after)


async def _answer(request: web.Request, asset: Asset) -> web.Response:
    """Answer with the file, or with 304 if the browser has it already."""
    headers = {
        hdrs.CACHE_CONTROL: "no-cache",
        hdrs.ETAG: f'W/"{asset.etag}"',  # the same for both encodings
        hdrs.VARY: f"{hdrs.ACCEPT_ENCODING}, {hdrs.ORIGIN}",
        "Content-Security-Policy": POLICY,
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    known = request.if_none_match or ()
    if any(tag.value in (asset.etag, "*") for tag in known):
        return web.Response(status=304, headers=headers)
    body = asset.body
    if len(body) >= _MIN_GZIP_BYTES and "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
        headers[hdrs.CONTENT_ENCODING] = "gzip"
        body = await asset.packed()
    return web.Response(body=body, headers=headers, content_type=asset.content_type, charset=_charset(asset))


def _charset(asset: Asset) -> str | None:
    return "utf-8" if asset.content_type.startswith("text/") else None
