"""How the dashboard's files are served, and what they are."""

from __future__ import annotations

import gzip
import re
from hashlib import sha256
from pathlib import Path, PurePosixPath

import pytest

from tests.support.gateways import Gateway
from tests.support.processes import ROOT
from turnwire.gateway.pages.dashboard import load_assets

STATIC = ROOT / "gateway" / "static"
FILES = sorted(path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*") if path.is_file())
OURS = [STATIC / name for name in FILES if not name.startswith("vendor/") and name.endswith((".js", ".css", ".html"))]
PAGES = ("index.html", "docs.html")
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".txt": "text/plain"}


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_a_page_may_run_only_its_own_files_and_talk_only_to_this_gateway(gateway: Gateway, path: str) -> None:
    async with gateway.request("GET", path) as response:
        assert (response.status, response.content_type, response.charset) == (200, "text/html", "utf-8")
        policy = dict(part.split(" ", 1) for part in response.headers["Content-Security-Policy"].split("; "))
    assert policy.pop("img-src") == "'self' data:"
    assert {policy.pop(name) for name in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert set(policy.values()) == {"'none'"}
    assert set(policy) == {"default-src", "base-uri", "form-action", "frame-ancestors"}


async def test_every_dashboard_file_is_served_with_its_media_type(gateway: Gateway) -> None:
    for name in FILES:
        if name in PAGES:
            continue
        async with gateway.request("GET", f"/static/{name}") as response:
            assert response.status == 200, name
            assert await response.read() == (STATIC / name).read_bytes()
            wanted = TYPES.get(PurePosixPath(name).suffix)
            assert wanted in (None, response.content_type), name


async def test_an_unchanged_dashboard_file_is_answered_304(gateway: Gateway) -> None:
    async with gateway.request("GET", "/static/pages/app.js") as response:
        assert response.headers["Cache-Control"] == "no-cache"
        tag = response.headers["ETag"]
    for known in (tag, f'"other", {tag}', "*"):
        async with gateway.request("GET", "/static/pages/app.js", headers={"If-None-Match": known}) as response:
            assert response.status == 304
            assert response.headers["ETag"] == tag
            assert await response.read() == b""
    async with gateway.request("GET", "/static/pages/app.js", headers={"If-None-Match": '"other"'}) as response:
        assert response.status == 200


async def test_large_dashboard_files_are_compressed_for_clients_that_accept_it(gateway: Gateway) -> None:
    whole = (STATIC / "pages" / "app.js").read_bytes()
    for accepted, packed in (("gzip, br", True), ("identity", False)):
        headers = {"Accept-Encoding": accepted}
        async with gateway.client.get(
            f"{gateway.url}/static/pages/app.js", headers=headers, auto_decompress=False
        ) as response:
            assert ("Content-Encoding" in response.headers) == packed
            assert "Accept-Encoding" in response.headers["Vary"]
            body = await response.read()
            assert (gzip.decompress(body) if packed else body) == whole
    async with gateway.request("HEAD", "/static/pages/app.js") as response:
        assert response.status == 200


@pytest.mark.parametrize(
    "path",
    ["/static/", "/static", "/static/vendor", "/static/vendor/", "/static/../dashboard.py",
     "/static/%2e%2e/dashboard.py", "/static/..%2fdashboard.py", "/static//etc/passwd",
     "/static/index.html", "/static/docs.html", "/static/none.js"],
)  # fmt: skip
async def test_no_other_file_is_served_and_no_folder_is_listed(gateway: Gateway, path: str) -> None:
    await gateway.refused("GET", path, 404)


def test_every_file_that_the_dashboard_refers_to_exists() -> None:
    for path in OURS:
        text = path.read_text()
        for name in re.findall(r'(?:from|import) "(\.{1,2}/[^"]+)"', text):
            assert (path.parent / name).resolve().is_file(), f"{path.name}: {name}"
        for name in re.findall(r'(?:src|href)="(static/[^"]+)"', text):
            assert (STATIC / name.removeprefix("static/")).is_file(), f"{path.name}: {name}"


def test_the_dashboard_names_no_other_host_and_has_no_inline_code() -> None:
    for path in OURS:
        text = path.read_text().replace("http://www.w3.org/", "")
        assert not re.search(r"https?://\w", text), path
        assert "innerHTML" not in text, path
        assert not re.search(r"\beval\(|new Function", text), path
    for name in PAGES:
        page = (STATIC / name).read_text()
        assert not re.search(r"<style|<script(?![^>]* src=)| style=| on\w+=", page)


def test_the_dashboards_modules_are_small() -> None:
    assert [path.name for path in OURS if len(path.read_text().splitlines()) > 300] == []


def test_vendored_files_are_what_their_note_says() -> None:
    folder = STATIC / "vendor"
    noted = re.findall(r"^([0-9a-f]{64})  (\S+)$", (folder / "README.md").read_text(), re.MULTILINE)
    found = [
        (sha256(each.read_bytes()).hexdigest(), each.name)
        for each in folder.iterdir()
        if each.suffix in (".js", ".css")
    ]
    assert sorted(found) == sorted(noted)


def test_each_vendored_library_has_its_licence_and_its_version() -> None:
    notes = (STATIC / "vendor" / "README.md").read_text()
    for name in ("preact", "htm", "uplot", "swagger-ui"):
        assert re.search(rf"{name}(-dist)? \d+\.\d+\.\d+", notes)
        assert (STATIC / "vendor" / f"LICENSE-{name}.txt").stat().st_size > 500
    assert {Path(name).name for name in load_assets() if name.startswith("vendor/")} >= {
        "preact.js",
        "htm.js",
        "uplot.js",
        "swagger-ui.js",
    }
