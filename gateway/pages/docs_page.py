"""The page `/docs`: first steps, and an API reference made from the OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import lru_cache
from html import escape
from shlex import quote
from typing import Any

import msgspec
from aiohttp import hdrs, web

from turnwire.gateway.openapi.asyncapi import asyncapi_document
from turnwire.gateway.openapi.document import document
from turnwire.gateway.openapi.schemas import Schema
from turnwire.gateway.pages.html_page import code_block, html_answer, inline, json_block, page_of, paragraphs, table
from turnwire.protocol.messages import Limits

_METHODS = ("get", "post", "patch", "delete")
_BASE = "http://127.0.0.1:3000"
_FIRST_EVENT = f"""\
curl {_BASE}/sessions \\
  -H 'Content-Type: application/json' \\
  -d '{{"sessionId": "call-0001", "language": "en"}}'

curl {_BASE}/sessions/call-0001/events \\
  -H 'Content-Type: application/json' \\
  -d '{{"eventId": "e1", "type": "user_speech", "payload": {{"text": "Hello!"}}}}'

curl '{_BASE}/sessions/call-0001'"""
_FOLLOW = f"curl -N -H 'Accept: text/event-stream' {_BASE}/sessions/call-0001/events"
_START = "\n".join(
    (
        '<section id="start">',
        "<h2>Send the first event</h2>",
        f"<p>Create a session, append an event, and read both back. Replace <code>{_BASE}</code> in the examples "
        "by this gateway's address. Every command may be repeated safely.</p>",
        code_block(_FIRST_EVENT, "Commands that send the first event"),
        "<h2>Watch it live</h2>",
        code_block(_FOLLOW, "Command that follows a session"),
        '<p>The <a href="/">dashboard</a> shows it, too.</p>',
        "</section>",
    )
)
_FOOTER = (
    '<p><a href="/">Dashboard</a> · <a href="/docs">API reference</a> · <a href="/openapi.json">OpenAPI</a> · '
    '<a href="/asyncapi.json">AsyncAPI</a></p>'
)


def add_docs_pages(app: web.Application, limits: Limits) -> None:
    """Add the routes `/openapi.json` and `/docs`, whose page is made from the document."""
    described, sockets, page = _made(limits)

    async def read_page(_request: web.Request) -> web.Response:
        return html_answer(page)

    app.router.add_get("/openapi.json", _serving(described))
    app.router.add_get("/asyncapi.json", _serving(sockets))
    app.router.add_get("/docs", read_page)


@lru_cache(maxsize=8)
def _made(limits: Limits) -> tuple[bytes, bytes, str]:
    """Make the OpenAPI document, the AsyncAPI document and the page, once for all gateways of this process."""
    described = document(limits)
    sockets = asyncapi_document(limits)
    return msgspec.json.encode(described), msgspec.json.encode(sockets), reference_page(described, sockets)


def _serving(body: bytes) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def read_document(_request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json", headers={hdrs.CACHE_CONTROL: "no-cache"})

    return read_document


def reference_page(described: Schema, sockets: Schema) -> str:
    """Return the HTML of the reference for this OpenAPI document and this AsyncAPI document."""
    described = _with_messages(described, sockets)
    info = described["info"]
    title = f"{info['title']} API reference"
    operations = list(_operations(described))
    header = f'<h1>{escape(title)}</h1>\n<p class="soft">Version {escape(info["version"])}</p>'
    parts = [paragraphs(info["description"]), _contents(described, operations), _START]
    for tag in described["tags"]:
        parts.append(f"<h2>{escape(tag['name'])}</h2>\n<p>{inline(tag['description'])}</p>")
        parts += [
            _operation(described, path, method, operation)
            for path, method, operation in operations
            if tag["name"] in operation["tags"]
        ]
    parts.append('<h2 id="errors">Errors</h2>')
    parts.append(_errors(described))
    parts.append("<h2>Schemas</h2>")
    parts += [_schema(described, name) for name in described["components"]["schemas"]]
    return page_of(title, header, "\n".join(parts), _FOOTER)


def _with_messages(described: Schema, sockets: Schema) -> Schema:
    """Return the OpenAPI document with the schemas of the other one, and its messages as `x-receive` and `x-send`."""
    messages: dict[str, Schema] = {}
    for operation in sockets["operations"].values():
        channel = operation["channel"]["$ref"].rpartition("/")[2]
        kinds = [_resolved(sockets, _resolved(sockets, message))["payload"] for message in operation["messages"]]
        messages.setdefault(channel, {})[f"x-{operation['action']}"] = {"anyOf": kinds}
    paths = {
        path: {method: _and_messages(value, messages) for method, value in item.items()}
        for path, item in described["paths"].items()
    }
    schemas = sockets["components"]["schemas"] | described["components"]["schemas"]
    components = {**described["components"], "schemas": dict(sorted(schemas.items()))}
    return {**described, "paths": paths, "components": components}


def _and_messages(operation: Any, messages: Mapping[str, Schema]) -> Any:
    return operation if isinstance(operation, list) else operation | messages.get(operation["operationId"], {})


def _operations(described: Schema) -> Iterator[tuple[str, str, Schema]]:
    for path, item in described["paths"].items():
        for method in _METHODS:
            if method in item:
                shared = item.get("parameters", [])
                yield path, method, {**item[method], "parameters": [*shared, *item[method].get("parameters", [])]}


def _contents(described: Schema, operations: list[tuple[str, str, Schema]]) -> str:
    lists = []
    for tag in described["tags"]:
        links = "\n".join(
            f'<li><a href="#{operation["operationId"]}">{inline(operation["summary"])}</a></li>'
            for _, _, operation in operations
            if tag["name"] in operation["tags"]
        )
        lists.append(f"<h4>{escape(tag['name'])}</h4>\n<ul>\n{links}\n</ul>")
    return '<nav aria-label="Contents">\n' + "\n".join(lists) + "\n</nav>"


# --- one operation ---------------------------------------------------------------------------------------------------


def _operation(described: Schema, path: str, method: str, operation: Schema) -> str:
    parts = [
        f'<section id="{operation["operationId"]}">',
        f"<h3>{inline(operation['summary'])}</h3>",
        f'<p class="route"><span class="method {method}">{method.upper()}</span> <code>{escape(path)}</code></p>',
        paragraphs(operation["description"]),
    ]
    if operation["parameters"]:
        rows = [_parameter(_resolved(described, parameter)) for parameter in operation["parameters"]]
        label = f"Parameters of {operation['summary']}"
        parts += ["<h4>Parameters</h4>", table(label, ("Name", "In", "Value", ""), rows)]
    sent = _example(operation.get("requestBody", {}).get("content", {}))
    if sent is not None or "101" not in operation["responses"]:
        parts += ["<h4>Example</h4>", code_block(_curl(path, method, sent), f"Command for {operation['summary']}")]
    for name, title in (("x-receive", "The client sends"), ("x-send", "The gateway sends")):
        if name in operation:
            parts += [f"<h4>{title}</h4>", f"<p>{_type(operation[name])}</p>"]
    answers = [_answer(described, status, answer) for status, answer in operation["responses"].items()]
    parts += ["<h4>Answers</h4>", table(f"Answers of {operation['summary']}", ("Status", "Body", ""), answers)]
    for status, answer in operation["responses"].items():
        example = _example(answer.get("content", {}))
        if status.startswith("2") and example is not None:
            parts.append(json_block(example, f"Example of the answer {status}"))
    return "\n".join([*parts, "</section>"])


def _parameter(parameter: Schema) -> tuple[str, ...]:
    name = f"<code>{escape(parameter['name'])}</code>"
    return name, parameter["in"], _type(parameter["schema"]), inline(parameter["description"])


def _answer(described: Schema, status: str, answer: Schema) -> tuple[str, ...]:
    answer = _resolved(described, answer)
    bodies = [
        _type(body["schema"]) + ("" if media_type == "application/json" else f" as <code>{escape(media_type)}</code>")
        for media_type, body in answer.get("content", {}).items()
    ]
    headers = "".join(f" Header: <code>{escape(name)}</code>." for name in answer.get("headers", {}))
    return f"<code>{status}</code>", "<br>".join(bodies), inline(answer["description"]) + headers


def _curl(path: str, method: str, sent: Any) -> str:
    url = _BASE + path.replace("{sessionId}", "call-0001")
    if method == "get":
        return f"curl {url}"
    body = quote(json.dumps(sent, ensure_ascii=False))
    return f"curl {url} \\\n  -H 'Content-Type: application/json' \\\n  -d {body}"


def _example(content: Schema) -> Any:
    body = content.get("application/json", {})
    if "examples" in body:
        return next(iter(body["examples"].values()))["value"]
    return body.get("example")


def _errors(described: Schema) -> str:
    answers = described["components"]["responses"]
    rows: list[tuple[str, ...]] = [
        (f"<code>{name.removeprefix('Error')}</code>", inline(answer["description"]))
        for name, answer in answers.items()
    ]
    example = _example(answers["Error400"]["content"])
    return table("Errors", ("Status", "Meaning"), rows) + json_block(example, "Example of an error")


# --- schemas ---------------------------------------------------------------------------------------------------------


def _schema(described: Schema, name: str) -> str:
    schema = described["components"]["schemas"][name]
    parts = [f'<section id="schema-{name}">', f"<h3>{name}</h3>"]
    if "description" in schema:
        parts.append(paragraphs(schema["description"]))
    if "properties" in schema:
        required = schema.get("required", [])
        rows: list[tuple[str, ...]] = [
            (
                f"<code>{escape(field)}</code>" + ("" if field in required else " <span class=soft>optional</span>"),
                _type(value),
                inline(value.get("description", "")),
            )
            for field, value in schema["properties"].items()
        ]
        parts.append(table(f"Fields of {name}", ("Field", "Value", ""), rows))
    elif "type" not in schema or "anyOf" in schema:
        parts.append(f"<p>{_type(schema)}</p>")
    return "\n".join([*parts, "</section>"])


def _resolved(described: Schema, value: Schema) -> Schema:
    if "$ref" not in value:
        return value
    found: Any = described
    for step in value["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    resolved: Schema = found
    return resolved


def _type(schema: Schema) -> str:
    """Return a short HTML description of the values that the schema allows."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#schema-{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_type(variant) for variant in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    kind = schema.get("type", "any value")
    words = " or ".join(kind) if isinstance(kind, list) else kind
    if kind == "array":
        words = f"list of {_type(schema['items'])}"
    low = schema.get("minimum", schema.get("minLength", schema.get("minItems")))
    high = schema.get("maximum", schema.get("maxLength", schema.get("maxItems")))
    unit = " characters" if "maxLength" in schema else ""
    if low is not None and high is not None and not isinstance(kind, list):
        words += f", {low} to {high:,}{unit}"
    if "format" in schema:
        words += f" ({schema['format']})"
    if schema.get("default") is not None and not isinstance(schema["default"], dict):
        words += f", default <code>{escape(str(schema['default']))}</code>"
    return words
