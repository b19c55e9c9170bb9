"""The parts that operations of the OpenAPI document are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from turnwire.gateway.openapi.examples import EXAMPLES
from turnwire.gateway.openapi.schemas import Schema, ref
from turnwire.protocol.paging import MAX_INTEGER, MAX_LIMIT

JSON = "application/json"


def parameter(name: str, description: str, schema: Schema, *, place: str = "query", example: Any = None) -> Schema:
    made: Schema = {"name": name, "in": place, "description": description, "schema": schema}
    if place == "path":
        made["required"] = True
    return made if example is None else {**made, "example": example}


def integer(name: str, description: str, default: int | None, low: int, high: int = MAX_INTEGER) -> Schema:
    schema: Schema = {"type": "integer", "minimum": low, "maximum": high}
    return parameter(name, description, schema if default is None else {**schema, "default": default})


def limit(description: str, default: int | None) -> Schema:
    return integer("limit", description, default, 1, MAX_LIMIT)


def operation(
    operation_id: str, summary: str, description: str, *, tag: str, answers: Schema, errors: Sequence[int], **more: Any
) -> Schema:
    responses = {
        **answers,
        **{str(status): {"$ref": f"#/components/responses/Error{status}"} for status in sorted(errors)},
    }
    return {
        "operationId": operation_id,
        "summary": summary,
        "description": description,
        "tags": [tag],
        **more,
        "responses": responses,
    }


def answer(description: str, name: str, headers: Schema | None = None) -> Schema:
    answer: Schema = {"description": description, "content": {JSON: {"schema": ref(name), "example": EXAMPLES[name]}}}
    return answer if headers is None else {**answer, "headers": headers}


def body(name: str, *, required: bool = True) -> Schema:
    return {"required": required, "content": {JSON: {"schema": ref(name), "example": EXAMPLES[name]}}}


def text(
    operation_id: str, summary: str, media_type: str, schema: Schema | None = None, errors: Sequence[int] = (405, 500)
) -> Schema:
    content = {media_type: {"schema": schema or {"type": "string"}}}
    answers: Schema = {"200": {"description": summary, "content": content}}
    return operation(operation_id, summary, summary + ".", tag="Service", answers=answers, errors=errors)


def health(operation_id: str, summary: str, description: str, *, down: bool = True) -> Schema:
    answers: Schema = {"200": answer("The gateway serves.", "Health")}
    if down:
        retry_after = {"Retry-After": {"$ref": "#/components/headers/RetryAfter"}}
        answers["503"] = answer("The gateway does not serve now.", "Health", retry_after)
    return operation(operation_id, summary, description, tag="Service", answers=answers, errors=(405, 500))


def recent() -> Schema:
    return operation(
        "readRecentMetrics",
        "The metrics of the last ten minutes",
        "Readings that the gateway has kept, the oldest first, for plots.",
        tag="Service",
        answers={"200": answer("The readings.", "RecentMetrics")},
        errors=(400, 401, 403, 405, 429, 500, 503),
        parameters=[integer("afterMs", "Only readings after this time, in milliseconds since 1970.", 0, 0)],
    )


def service_paths() -> Schema:
    """Return the routes that report the gateway's health."""
    return {
        "/health": {"get": health("readHealth", "Health", "Answers 200 while the database answers, else 503.")},
        "/health/live": {"get": health("readLiveness", "Liveness", "Answers 200 while the process runs.", down=False)},
        "/health/ready": {
            "get": health("readReadiness", "Readiness", "Answers 503 without the database and while draining.")
        },
        "/metrics": {"get": text("readMetrics", "Prometheus metrics", "text/plain", errors=(405, 500))},
        "/metrics/recent": {"get": recent()},
    }
