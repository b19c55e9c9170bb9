"""The TypeScript client does nothing wrong that `turnwire conformance` finds."""

from __future__ import annotations

from tests.support.processes import ROOT
from tests.typescript.node import find_node
from turnwire.conformance.stage import EXERCISES, examine, program


async def test_the_typescript_client_does_nothing_wrong() -> None:
    subject = ROOT / "tests" / "typescript" / "conformance_client.mjs"
    verdicts = await examine(program([str(find_node()), str(subject)], 60))
    assert {verdict.name: (verdict.faults, verdict.said) for verdict in verdicts if verdict.faults} == {}
    assert len(verdicts) == len(EXERCISES)
