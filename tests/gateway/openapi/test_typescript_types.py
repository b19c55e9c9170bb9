"""The types of the TypeScript client are those of the gateway's documents."""

from __future__ import annotations

from tests.generators.typescript_types import TARGET, protocol_types


def test_the_typescript_client_has_the_types_of_the_documents() -> None:
    """After a change of the protocol, run `python -m tests.generators.typescript_types`."""
    assert TARGET.read_text(encoding="utf-8") == protocol_types()
