"""What docs/typescript.md shows is typed as it says, and works."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.docs.blocks import Block, blocks
from tests.support.gateways import Gateway
from tests.typescript.node import CLIENT, ENVIRONMENT, Node, find_node

BLOCKS = [block for block in blocks("typescript", "tsx") if block.place.startswith("docs/typescript.md")]
RUN = [block for block in BLOCKS if block.language == "typescript"]
_OPTIONS = (
    *("--noEmit", "--strict", "--jsx", "preserve", "--target", "es2022", "--allowImportingTsExtensions"),
    *("--module", "esnext", "--moduleResolution", "bundler"),
    *("--lib", "es2022,dom,dom.iterable,dom.asynciterable,esnext.disposable"),
)
_REACT = """\
declare module "react" {
  export function useEffect(effect: () => void | (() => void), dependencies: unknown[]): void;
  export function useState<T>(first: T): [T, (next: T | ((known: T) => T)) => void];
}
declare namespace JSX {
  interface IntrinsicElements { li: { key?: number; children?: unknown }; ol: { children?: unknown } }
}
"""


def test_the_typescript_page_has_examples() -> None:
    assert [block.language for block in BLOCKS] == ["tsx", *["typescript"] * 4]


def test_the_examples_have_no_type_errors(tmp_path: Path) -> None:
    (tmp_path / "react.d.ts").write_text(_REACT)
    for number, block in enumerate(BLOCKS):
        name = "tsx" if block.language == "tsx" else "ts"
        text = block.text.replace('"@turnwire/client"', repr(str(CLIENT / "src" / "index.ts")))
        (tmp_path / f"example{number}.{name}").write_text(text)
    compiler = ENVIRONMENT / "node" / "node_modules" / "typescript" / "bin" / "tsc"
    run = subprocess.run(
        [find_node(), compiler, *_OPTIONS, *map(str, sorted(tmp_path.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout == ""
    assert run.returncode == 0


@pytest.mark.parametrize("block", RUN, ids=str)
async def test_the_examples_run_against_a_gateway(block: Block, gateway: Gateway, node: Node) -> None:
    """The second loop of an example has no end, so each ends when the example has printed what is there."""
    await gateway.create("call-17")
    await gateway.fill("call-17", 1)
    if "untilEnded" in block.text:
        await gateway.create("call-18")
        await gateway.fill("call-18", 1)
        await gateway.post("/sessions/call-17/complete", {})
    code = re.sub(r"^import .*$", "", block.text, flags=re.MULTILINE).replace("http://localhost:3000", gateway.url)
    await node.run("printed = []; console.log = (...said) => printed.push(said);")
    await node.run(f"(async () => {{ {code} }})().catch((error) => printed.push(error.message));")
    await node.run("await until(() => printed.at(-1)?.length > 0);")
    last = (await node.run("return printed;"))[-1]
    assert isinstance(last, list), last
