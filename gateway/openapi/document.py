"""The OpenAPI 3.1 document of all routes, served at `/openapi.json`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from turnwire.gateway.openapi.credentials import SECURITY, SECURITY_SCHEMES, credential_paths, credential_schemas
from turnwire.gateway.openapi.examples import SESSION_ID, TIME
from turnwire.gateway.openapi.importing import import_schemas
from turnwire.gateway.openapi.operations import LIST_ERRORS, WRITE_ERRORS, parameters, paths
from turnwire.gateway.openapi.schemas import Schema, ref, schemas
from turnwire.gateway.openapi.streams import stream_paths
from turnwire.gateway.openapi.telling import webhook_paths, webhook_schemas
from turnwire.protocol.messages import Limits
from turnwire.version import __version__

_INTRODUCTION = """\
Sessions of voice bots: publish events over a WebSocket or REST, follow them live over a WebSocket or server-sent
events, and read them back. An acknowledged event is durable. Every request may be repeated safely.

All errors have the same envelope; its `code` says what to do. Times are ISO-8601 in UTC with milliseconds.
Unknown query parameters are refused with 400; unknown fields of messages are ignored.
"""
_TAGS = {
    "Sessions": "A session is one conversation, identified by a `sessionId` that the client may choose.",
    "Events": "The immutable log of a session, with positions (`seq`) 1, 2, 3 … without gaps.",
    "Streams": "Sessions as streams of the Durable Streams protocol, in JSON mode. They ignore unknown parameters.",
    "WebSockets": "Streaming in both directions.",
    "Webhooks": "Endpoints of other services that are told about sessions.",
    "Credentials": "Minting tokens for browsers, and revoking tokens and keys.",
    "Service": "Health, metrics and this document.",
}
_ERRORS: dict[int, tuple[str, str, str | list[str]]] = {
    400: ("The request is not valid.", "invalid_message", ["limit must be an integer from 1 to 100"]),
    401: ("The credential is missing or invalid.", "unauthenticated", "this credential has been revoked"),
    403: ("The credential does not allow this.", "forbidden", "this credential does not allow this"),
    404: ("The session does not exist.", "not_found", f"Session {SESSION_ID} not found"),
    405: ("The route does not serve this method.", "invalid_message", "PUT is not allowed here; allowed: GET, HEAD"),
    408: ("The body arrived too slowly.", "invalid_message", "the body took longer than 10 s"),
    409: (
        "The session has ended, or has a publisher.",
        "session_ended",
        f"session '{SESSION_ID}' ended at {TIME} and takes no new events",
    ),
    413: (
        "The request is over a size limit, which the message names.",
        "too_large",
        "the body is over the limit of 1048576 bytes",
    ),
    415: ("The body is not JSON.", "invalid_message", "the body must be application/json in UTF-8"),
    429: ("There were too many requests; wait.", "rate_limited", "too many requests; wait 1 s"),
    500: ("The gateway failed; try again.", "internal", "something went wrong in the gateway"),
    503: (
        "The gateway cannot serve the request now; try again.",
        "storage_unavailable",
        "the storage is away; try again",
    ),
}
_HEADERS: Schema = {
    "IdempotentReplayed": {
        "description": "Present if the request had been carried out before: the answer is what was stored then.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "RetryAfter": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}},
    "WWWAuthenticate": {"description": "How to send a credential.", "schema": {"type": "string"}},
    "Allow": {"description": "The methods that the route serves.", "schema": {"type": "string"}},
}
_ERROR_HEADERS = {
    401: {"WWW-Authenticate": "WWWAuthenticate"},
    405: {"Allow": "Allow"},
    429: {"Retry-After": "RetryAfter"},
    503: {"Retry-After": "RetryAfter"},
}


def document(limits: Limits) -> Schema:
    """Return the document for a gateway with these limits, as plain JSON values."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Turnwire",
            "summary": "Session gateway for voice bots",
            "description": _INTRODUCTION,
            "version": __version__,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": ".", "description": "This gateway, relative to this document"}],
        "security": SECURITY,
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": paths(limits)
        | stream_paths(LIST_ERRORS, WRITE_ERRORS)
        | credential_paths(WRITE_ERRORS)
        | webhook_paths(LIST_ERRORS, WRITE_ERRORS),
        "components": {
            "schemas": dict(
                sorted((schemas(limits) | import_schemas() | webhook_schemas() | credential_schemas()).items())
            ),
            "securitySchemes": SECURITY_SCHEMES,
            "parameters": parameters(limits),
            "headers": _HEADERS,
            "responses": {f"Error{status}": _error(status) for status in _ERRORS},
        },
    }


def _error(status: int) -> Schema:
    description, code, message = _ERRORS[status]
    example: dict[str, Any] = {
        "statusCode": status,
        "timestamp": TIME,
        "path": f"/sessions/{SESSION_ID}",
        "method": "GET",
        "error": HTTPStatus(status).phrase,
        "message": message,
        "code": code,
    }
    headers = {name: {"$ref": f"#/components/headers/{at}"} for name, at in _ERROR_HEADERS.get(status, {}).items()}
    content = {"application/json": {"schema": ref("ErrorEnvelope"), "example": example}}
    return {"description": description, "content": content} | ({"headers": headers} if headers else {})
