"""A span for each REST request, from before the checks at the door until the answer."""

from __future__ import annotations

from contextvars import Token
from typing import Final, NamedTuple

from aiohttp import hdrs, web
from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from turnwire.gateway.aiohttp_private import was_routed
from turnwire.gateway.http.server import Answered, Guard, Routed
from turnwire.gateway.telemetry.http_metrics import METHODS, is_long_lived, template_of

_UNTRACED: Final = ("/health", "/metrics")
"""Paths that monitoring requests every few seconds."""
_FIRST_SERVER_ERROR: Final = 500


class _Open(NamedTuple):
    span: Span
    token: Token[Context]


_OPEN: Final = web.RequestKey("trace", _Open)


class RequestSpans:
    """Makes the spans of requests. WebSockets and event streams get none, because they last as long as a call."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._propagator = TraceContextTextMapPropagator()

    def guarded(self, guard: Guard) -> Guard:
        """Return the guard, wrapped so that it begins a span that stays current until the request is answered."""

        async def traced(request: web.Request, routed: Routed) -> web.StreamResponse:
            if not request.path.startswith(_UNTRACED) and hdrs.UPGRADE not in request.headers:
                self._begin(request)
            return await guard(request, routed)

        return traced

    def answered(self, answered: Answered) -> Answered:
        """Return the function that counts answers, wrapped so that it ends the request's span."""

        def told(request: web.Request, response: web.StreamResponse | None, seconds: float) -> None:
            answered(request, response, seconds)
            opened = request.get(_OPEN)
            if opened is not None:
                _end(request, response, opened)

        return told

    def _begin(self, request: web.Request) -> None:
        span = self._tracer.start_span(
            _name_of(request),
            self._propagator.extract(request.headers, Context()),
            SpanKind.SERVER,
            {
                "http.request.method": request.method if request.method in METHODS else "_OTHER",
                "url.path": request.path,
                "url.scheme": request.scheme,
                "network.protocol.version": f"{request.version.major}.{request.version.minor}",
            },
        )
        request[_OPEN] = _Open(span, attach(trace.set_span_in_context(span, Context())))


def _end(request: web.Request, response: web.StreamResponse | None, opened: _Open) -> None:
    span, token = opened
    detach(token)
    if response is not None and is_long_lived(response):
        return  # a span that never ends is never sent
    if was_routed(request):
        _name(span, request)
    if response is None:
        span.set_attribute("error.type", "client_disconnected")
    else:
        span.set_attribute("http.response.status_code", response.status)
        if response.status >= _FIRST_SERVER_ERROR:
            span.set_attribute("error.type", str(response.status))
            span.set_status(Status(StatusCode.ERROR))
    span.end()


def _name_of(request: web.Request) -> str:
    """Return the method, or a placeholder for one that a client has made up."""
    return request.method if request.method in METHODS else "HTTP"


def _name(span: Span, request: web.Request) -> None:
    match = request.match_info
    if match.route.resource is not None:
        route = template_of(match.route.resource)
        span.update_name(f"{_name_of(request)} {route}")
        span.set_attribute("http.route", route)
    if (session_id := match.get("session_id")) is not None:
        span.set_attribute("gen_ai.conversation.id", session_id)
