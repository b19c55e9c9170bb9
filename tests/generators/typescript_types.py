"""Writes the types of the TypeScript client from the gateway's two documents:

    python -m tests.generators.typescript_types

A test compares the file with the documents, so that it is never older than they are.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any, Final

from tests.support.processes import ROOT
from turnwire.gateway.openapi.asyncapi import asyncapi_document
from turnwire.gateway.openapi.schemas import schemas
from turnwire.protocol.messages import Limits

TARGET: Final = ROOT / "clients" / "typescript" / "src" / "protocol.ts"
_HEAD: Final = (
    "// What travels: made from /openapi.json and /asyncapi.json by `python -m tests.generators.typescript_types`.\n"
)
_UNIONS: Final = {
    "PublisherReply": ("sendToPublisher", "What a publisher gets."),
    "SubscriberPush": ("sendToSubscriber", "What a subscriber gets."),
}
_ALIASES: Final = {
    "EventType": 'EventIn["type"]',
    "FinalStatus": 'NonNullable<Complete["status"]>',
    "SessionStatus": 'Session["status"]',
}
_RENAMED: Final = {"Error": "ErrorMessage"}
"""Schemas whose names mean something else to JavaScript."""
_SCALARS: Final = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
_WIDTH: Final = 120

Schema = dict[str, Any]


def protocol_types() -> str:
    """Return the whole file."""
    messages = asyncapi_document(Limits())
    described = {**schemas(Limits()), **messages["components"]["schemas"]}
    parts = [_HEAD]
    parts += [_declaration(name, described[name]) for name in sorted(described, key=_name)]
    parts += [f"export type {name} = {kind};\n" for name, kind in _ALIASES.items()]
    parts += [_union(messages, name, *how) for name, how in _UNIONS.items()]
    return "\n".join(parts)


def _name(schema: str) -> str:
    return _RENAMED.get(schema, schema)


def _declaration(name: str, schema: Schema) -> str:
    comment = "".join(_comment(schema.get("description"), ""))
    if "properties" not in schema:
        return f"{comment}{_alias(_name(name), schema)}"
    fields = "".join(line for field in schema["properties"] for line in _field(field, schema))
    return f"{comment}export interface {_name(name)} {{\n{fields}}}\n"


def _alias(name: str, schema: Schema) -> str:
    if "enum" in schema:
        return f"export type {name} =\n" + "\n".join(f"  | {json.dumps(value)}" for value in schema["enum"]) + ";\n"
    return f"export type {name} = {_type(schema)};\n"


def _field(name: str, schema: Schema) -> Iterator[str]:
    described = schema["properties"][name]
    yield from _comment(described.get("description"), "  ")
    optional = "" if name in schema["required"] else "?"
    undefined = " | undefined" if optional else ""
    yield f"  {name}{optional}: {_type(described)}{undefined};\n"


def _comment(text: str | None, indent: str) -> Iterator[str]:
    if not text:
        return
    text = " ".join(text.split())
    if len(line := f"{indent}/** {text} */") <= _WIDTH:
        yield f"{line}\n"
        return
    yield f"{indent}/**\n"
    yield from (f"{indent} * {line}\n" for line in textwrap.wrap(text, _WIDTH - len(indent) - 3))
    yield f"{indent} */\n"


def _type(schema: Schema) -> str:
    if "$ref" in schema:
        return _name(schema["$ref"].rpartition("/")[2])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(_type(each) for each in schema["anyOf"])
    if schema.get("type") == "array":
        items = _type(schema["items"])
        return f"({items})[]" if " " in items else f"{items}[]"
    if schema.get("type") == "object":
        values = schema["additionalProperties"]
        return f"{{ [key: string]: {'unknown' if values is True else _type(values)} }}"
    return _SCALARS[schema["type"]] if "type" in schema else "unknown"


def _union(document: Schema, name: str, operation: str, text: str) -> str:
    kinds = []
    for message in document["operations"][operation]["messages"]:
        channel, tag = message["$ref"].split("/")[2::2]
        kinds.append(document["channels"][channel]["messages"][tag]["$ref"].rpartition("/")[2])
    return f"/** {text} */\nexport type {name} =\n" + "\n".join(f"  | {_name(kind)}" for kind in kinds) + ";\n"


if __name__ == "__main__":
    TARGET.write_text(protocol_types(), encoding="utf-8")
