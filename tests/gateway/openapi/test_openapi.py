"""The OpenAPI document: valid, complete, and true to what is served. The pages made from it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from typing import Any
from urllib.parse import urljoin

import msgspec
import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.support.gateways import Gateway, StartGateway, new_event
from turnwire.gateway.access.credentials.minting import MintRequest
from turnwire.gateway.access.credentials.revocations import RevocationRequest, mark_of
from turnwire.gateway.openapi.credentials import CREDENTIAL_EXAMPLES, credential_schemas
from turnwire.gateway.openapi.document import document
from turnwire.gateway.openapi.examples import EXAMPLES
from turnwire.protocol import bodies, messages
from turnwire.protocol.bodies import MintedToken
from turnwire.protocol.codec import JSON
from turnwire.protocol.errors import ErrorCode, InvalidMessage
from turnwire.protocol.messages import Limits, Shape
from turnwire.protocol.rights import check_patterns, parse_scope

DOCUMENT = document(Limits())
METHODS = ("get", "post", "put", "patch", "delete")


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, item[method]) for path, item in DOCUMENT["paths"].items() for method in METHODS if method in item
    ]


def validator(schema: dict[str, Any]) -> OAS31Validator:
    return OAS31Validator({**schema, "components": DOCUMENT["components"]})


async def test_the_openapi_document_is_served_and_valid(gateway: Gateway) -> None:
    served = await gateway.get("/openapi.json")
    assert served == DOCUMENT
    OpenAPIV31SpecValidator(served).validate()


async def test_the_openapi_document_describes_exactly_the_routes_served(gateway: Gateway) -> None:
    served = {
        (route.method.lower(), route.resource.canonical.replace("{session_id}", "{sessionId}"))
        for route in gateway.app.router.routes()
        if route.resource is not None and route.method not in ("HEAD", "OPTIONS")
    }
    served.remove(("get", "/static/{path}"))  # the files of the dashboard
    assert served == {(method, path) for method, path, _ in operations()}


def schemas_in(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object in a document, with the name under which it is there."""
    for name, inner in value.items() if isinstance(value, dict) else [("", each) for each in value]:
        if isinstance(inner, dict):
            yield name, inner
        if isinstance(inner, dict | list):
            yield from schemas_in(inner)


def test_generators_of_clients_understand_every_schema() -> None:
    components = DOCUMENT["components"]["schemas"]
    refers = {
        name: [of["$ref"].rpartition("/")[2] for _, of in schemas_in({name: each}) if "$ref" in of]
        for name, each in components.items()
    }
    TopologicalSorter(refers).prepare()  # raises for a schema that reaches itself
    for name, schema in schemas_in(components):
        assert "propertyNames" not in schema, name
        assert "default" not in schema, f"{name}: it would be taken for a field that is always there"
        if schema.get("type") == "object":
            assert "properties" in schema or "additionalProperties" in schema, f"{name}: an object without any field"
        if "enum" in schema:
            assert "type" in schema, name


def test_the_openapi_document_finds_its_gateway_under_any_path() -> None:
    (server,) = DOCUMENT["servers"]
    for at, paths in (("http://host/openapi.json", "http://host/"), ("http://host/a/openapi.json", "http://host/a/")):
        assert urljoin(at, server["url"]) == paths


async def test_the_openapi_document_states_the_limits_in_force(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(max_id_chars=40, max_batch_events=7, max_depth=5)
    served = await gateway.get("/openapi.json")
    schemas = served["components"]["schemas"]
    assert served["components"]["parameters"]["sessionId"]["schema"]["maxLength"] == 40
    assert schemas["EventIn"]["properties"]["eventId"]["maxLength"] == 40
    assert schemas["EventBatchIn"]["properties"]["events"]["maxItems"] == 7
    assert "at most 5 levels" in schemas["JsonObject"]["description"]


def test_every_operation_has_its_own_id_and_a_text() -> None:
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(ids) == len(set(ids))
    for _, _, operation in operations():
        assert operation["summary"]
        assert operation["description"]
        for parameter in operation.get("parameters", []):
            assert parameter["description"], (operation["operationId"], parameter["name"])


def test_every_example_in_the_openapi_document_is_valid() -> None:
    for name, example in EXAMPLES.items():
        validator({"$ref": f"#/components/schemas/{name}"}).validate(example)
    for response in DOCUMENT["components"]["responses"].values():
        body = response["content"]["application/json"]
        validator(body["schema"]).validate(body["example"])


def test_openapi_examples_decode_as_the_shapes_they_illustrate() -> None:
    kinds: list[type[Shape]] = [
        *(bodies.CreateSession, bodies.CompleteSession, bodies.SessionList, bodies.EventPage, bodies.Health),
        *(messages.Session, messages.Event),
    ]
    for kind in kinds:
        example = msgspec.convert(EXAMPLES[kind.__name__], kind)
        assert msgspec.json.decode(JSON.encode(example), type=kind) == example


@pytest.mark.parametrize("kind", [MintRequest, MintedToken, RevocationRequest])
def test_the_shapes_of_credentials_are_described(kind: type[Shape]) -> None:
    described = credential_schemas()[kind.__name__]
    fields = msgspec.structs.fields(kind)
    assert list(described["properties"]) == [field.encode_name for field in fields]
    assert described.get("required", []) == [field.encode_name for field in fields if field.required]
    example = CREDENTIAL_EXAMPLES[kind.__name__]
    validator({"$ref": f"#/components/schemas/{kind.__name__}"}).validate(example)
    msgspec.convert(example, kind)


def test_the_described_limits_of_credentials_are_those_in_force() -> None:
    _, made = msgspec.json.schema_components([MintRequest], ref_template="{name}")
    described = credential_schemas()["MintRequest"]["properties"]
    del made["MintRequest"]["properties"]["ttl"]["default"]  # told in the description
    for name in ("sub", "ttl"):
        assert described[name].items() >= made["MintRequest"]["properties"][name].items()


@pytest.mark.parametrize(
    ("scope", "sessions", "valid"),
    [
        ("", [], True),
        (" session:read  token:mint ", ["call-*", "x" * 1025], True),
        ("session:reads", ["*"], False),
        ("session:readadmin", ["*"], False),
        ("admin", [""], False),
        ("admin", ["x" * 1026], False),
        ("admin", ["x"] * 1001, False),
    ],
)
def test_the_described_token_request_accepts_exactly_the_rights_that_may_be_minted(
    scope: str, sessions: list[str], valid: bool
) -> None:
    body = {"sub": "alice", "scope": scope, "sessions": sessions}
    assert validator({"$ref": "#/components/schemas/MintRequest"}).is_valid(body) is valid
    with contextlib.nullcontext() if valid else pytest.raises(ValueError, match=r"scope|sessions"):
        parse_scope(scope)
        check_patterns(sessions)


@pytest.mark.parametrize("given", [{}, {"jti": "a", "sub": "b"}, {"jti": None}, {"key": ""}, {"sub": "x" * 257}])
def test_invalid_revocations_are_invalid_by_the_document_too(given: dict[str, Any]) -> None:
    assert not validator({"$ref": "#/components/schemas/RevocationRequest"}).is_valid(given)
    with pytest.raises(InvalidMessage):
        mark_of(msgspec.convert(given, RevocationRequest))


def test_every_error_code_and_status_is_described() -> None:
    described = set(DOCUMENT["components"]["schemas"]["ErrorCode"]["enum"])
    assert described == {code.value for code in ErrorCode}
    for name, response in DOCUMENT["components"]["responses"].items():
        example = response["content"]["application/json"]["example"]
        assert example["statusCode"] == int(name.removeprefix("Error"))
        assert example["code"] in described


def test_websockets_are_described_as_upgrades() -> None:
    for path in ("/subscribe", "/sessions/{sessionId}/publish"):
        assert "101" in DOCUMENT["paths"][path]["get"]["responses"]


@pytest.mark.parametrize("query", ["", "?offset=0"])
async def test_real_answers_match_the_openapi_document(gateway: Gateway, query: str) -> None:
    session_id = await gateway.create(metadata={"a": {"b": [1, None]}})
    path = f"/sessions/{session_id}"
    event = await gateway.post(f"{path}/events", new_event("e"), status=201)
    for name, answer in (
        ("Event", event),
        ("SessionHistory", await gateway.get(path + query)),
        ("EventPage", await gateway.get(f"{path}/events")),
        ("SessionList", await gateway.get("/sessions")),
        ("Session", await gateway.post(f"{path}/complete", {})),
        ("Health", await gateway.get("/health")),
        ("ErrorEnvelope", await gateway.refused("GET", "/sessions/nobody", 404)),
    ):
        validator({"$ref": f"#/components/schemas/{name}"}).validate(answer)


# --- pages -----------------------------------------------------------------------------------------------------------
