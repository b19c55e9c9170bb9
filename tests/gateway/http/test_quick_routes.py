"""The routes that are found without aiohttp's router are those that it finds."""

from __future__ import annotations

from itertools import product

from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from tests.support.gateways import Gateway
from turnwire.gateway.aiohttp_private import QuickRoutes

QUICK = [
    "/sessions/s",
    "/sessions/s/events?afterSeq=2",
    "/sessions/s/stats",
    "/sessions/s/complete",
    "/sessions/s/commands",
    "/sessions/s/publish",
    "/sessions/-/events?sessionId=a%2Fb",
    "/sessions//events",
    "/sessions/",
    "/sessions/a+b;c=d:e",
    "/sessions",
    "/sessions?limit=2",
    "/subscribe",
    "/stats",
]
OTHERS = [
    "/",
    "/subscrib%65",
    "/subscribe/",
    "/openapi.json",
    "/sessions/a%2Fb",
    "/sessions/a%20b/events",
    "/sessions/s/%65vents",
    "/sessions/s/events/",
    "/sessions/s/events/1",
    "/sessions/s/nothing",
    "//sessions/s",
    "/streams/s",
    "/streams/s/t",
    "/v1/stream/s",
    "/health/live",
    "/webhooks/w",
    "/webhooks/w/test",
    "/static/page.js",
    "/sessions/*",
    "/sessions/{session_id}/events/*",
    "*",
]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "*"]


async def test_a_route_found_quickly_is_the_one_that_aiohttp_finds(gateway: Gateway) -> None:
    quick, found = QuickRoutes(gateway.app), set()
    for path, method in product(QUICK + OTHERS, METHODS):
        request = make_mocked_request(method, path, app=gateway.app)
        usual = await gateway.app.router.resolve(request)
        handler = quick.find(request)
        if handler is None:
            assert path not in QUICK or usual.http_exception is not None, (method, path)
            continue
        found.add(path)
        assert isinstance(usual, web.UrlMappingMatchInfo)
        assert (handler, request.match_info.route) == (usual.handler, usual.route), (method, path)
        assert dict(request.match_info) == dict(usual)
        assert request.match_info.apps == (gateway.app,)
    assert found >= set(QUICK)


async def test_a_request_that_expects_an_answer_before_its_body_is_left_to_aiohttp(gateway: Gateway) -> None:
    quick = QuickRoutes(gateway.app)
    for headers, is_quick in (({}, True), ({"Expect": "100-continue"}, False)):
        request = make_mocked_request("POST", "/sessions/s/events", headers=headers, app=gateway.app)
        assert (quick.find(request) is not None) == is_quick
