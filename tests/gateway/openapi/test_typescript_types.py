"""The TypeScript client has the types of the gateway's documents, and its version."""

from __future__ import annotations

import json

from tests.generators.typescript_types import TARGET, protocol_types
from tests.support.processes import ROOT
from turnwire.version import __version__


def test_the_typescript_client_has_the_types_of_the_documents() -> None:
    """After a change of the protocol, run `python -m tests.generators.typescript_types`."""
    assert TARGET.read_text(encoding="utf-8") == protocol_types()


def test_the_typescript_client_has_the_version_of_the_gateway() -> None:
    package = json.loads((ROOT / "clients" / "typescript" / "package.json").read_text(encoding="utf-8"))
    assert package["version"] == __version__
