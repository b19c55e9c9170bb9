"""Headers: security headers on every answer, CORS for the configured origins."""

from __future__ import annotations

import pytest
from aiohttp import hdrs, web

from tests.support.gateways import Gateway, StartGateway
from turnwire.gateway.http.headers import SECURITY_HEADERS

ORIGIN = "https://dashboard.example.com"
ROUTES = [
    ("GET", "/sessions"),
    ("POST", "/sessions"),
    ("GET", "/sessions/s"),
    ("GET", "/sessions/s/events"),
    ("POST", "/sessions/s/events"),
    ("POST", "/sessions/s/complete"),
    ("GET", "/health"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
    ("GET", "/"),
]


@pytest.mark.parametrize(("method", "path"), [*ROUTES, ("GET", "/nope"), ("PUT", "/sessions"), ("GET", "/subscribe")])
async def test_every_answer_has_the_security_headers(gateway: Gateway, method: str, path: str) -> None:
    async with gateway.request(method, path) as response:
        assert response.headers["Server"] == "turnwire"
        own = (
            {"Content-Security-Policy", "Cross-Origin-Resource-Policy"}
            if response.content_type == "text/html"
            else set()
        )
        for name, value in SECURITY_HEADERS.items():
            assert response.headers.getall(name) == [value] or name in own
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_every_route_answers_its_cors_preflight(start_gateway: StartGateway, method: str, path: str) -> None:
    gateway = await start_gateway(allowed_origins=ORIGIN)
    headers = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "content-type,last-event-id",
    }
    async with gateway.request("OPTIONS", path, headers=headers) as response:
        assert response.status == 200
        assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert response.headers["Access-Control-Allow-Methods"] == method
        allowed = set(response.headers["Access-Control-Allow-Headers"].lower().split(","))
        assert allowed == {"content-type", "last-event-id"}
        assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/sessions", 200),
        ("GET", "/sessions?limit=x", 400),
        ("GET", "/sessions/nobody", 404),
        ("GET", "/nope", 404),
        ("PUT", "/sessions", 405),
        ("POST", "/sessions", 400),
    ],
)
async def test_answers_and_errors_may_be_read_by_an_allowed_origin(
    start_gateway: StartGateway, method: str, path: str, status: int
) -> None:
    gateway = await start_gateway(allowed_origins=ORIGIN)
    async with gateway.request(method, path, headers={"Origin": ORIGIN}) as response:
        assert response.status == status
        assert response.headers.getall("Access-Control-Allow-Origin") == [ORIGIN]
        exposed = set(response.headers["Access-Control-Expose-Headers"].split(","))
        assert exposed >= {"Idempotent-Replayed", "RateLimit", "RateLimit-Policy", "Retry-After", "Stream-Next-Offset"}
        assert "Origin" in response.headers["Vary"]
        assert "Access-Control-Allow-Credentials" not in response.headers


async def test_only_the_configured_origins_are_allowed(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(allowed_origins=f"{ORIGIN}, https://other.example.com")
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    for path in ("/sessions", "/nope"):
        async with gateway.request("GET", path, headers={"Origin": ORIGIN}) as response:
            assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
        async with gateway.request("GET", path, headers={"Origin": "https://evil.example.com"}) as response:
            assert "Access-Control-Allow-Origin" not in response.headers
            assert "Origin" in response.headers["Vary"]
    async with gateway.request("OPTIONS", "/sessions", headers={"Origin": ORIGIN, **preflight}) as response:
        assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    envelope = await gateway.refused(
        "OPTIONS", "/sessions", 403, headers={"Origin": "https://evil.example.com", **preflight}
    )
    assert envelope["code"] == "forbidden"


async def test_strict_transport_security_is_sent_only_if_configured(start_gateway: StartGateway) -> None:
    for hsts, sent in ((0, None), (600, "max-age=600")):
        gateway = await start_gateway(hsts=hsts)
        for path in ("/", "/sessions", "/nope"):
            async with gateway.request("GET", path) as response:
                assert response.headers.get("Strict-Transport-Security") == sent


async def test_without_configured_origins_no_origin_is_allowed(start_gateway: StartGateway) -> None:
    gateway = await start_gateway()
    async with gateway.request("GET", "/sessions", headers={"Origin": ORIGIN}) as response:
        assert "Access-Control-Allow-Origin" not in response.headers


async def test_options_without_an_origin_lists_the_allowed_methods(gateway: Gateway) -> None:
    async with gateway.request("OPTIONS", "/sessions") as response:
        assert response.status == 204
        assert response.headers["Allow"] == "GET, HEAD, OPTIONS, POST"


async def test_every_rest_route_answers_head_like_get(gateway: Gateway) -> None:
    routes = {(route.method, route.resource.canonical) for route in gateway.app.router.routes() if route.resource}
    gets = {path for method, path in routes if method == hdrs.METH_GET}
    assert gets <= {path for method, path in routes if method == hdrs.METH_HEAD}
    await gateway.create("s")
    for method, path in ROUTES:
        if method == "GET":
            async with gateway.request("HEAD", path) as response:
                assert response.status == web.HTTPOk.status_code
                assert await response.read() == b""


async def test_answers_with_conversations_are_not_cacheable(gateway: Gateway) -> None:
    session_id = await gateway.create()
    of_session = (f"/sessions/{session_id}", f"/sessions/{session_id}/events", f"/sessions/{session_id}/stats")
    for path in ("/sessions", *of_session, "/sessions/nowhere", "/stats", "/backup", "/webhooks"):
        async with gateway.request("GET", path) as response:
            assert response.headers["Cache-Control"] == "no-store"


async def test_a_refusal_before_routing_has_the_security_headers(gateway: Gateway) -> None:
    async with gateway.request("GET", "/sessions", headers={"Host": "rebind.example"}) as answer:
        assert answer.status == 421
        assert answer.headers["Server"] == "turnwire"
        for name, value in SECURITY_HEADERS.items():
            assert answer.headers[name] == value
