"""Makes clients of a gateway's documents with the generators that people use: `make generators`.

    python -m tests.generators FOLDER

FOLDER is an environment with openapi-python-client, mypy and Node, and in it `node/` with the packages of package.json.
Starts a gateway with an embedded database. Each generator must make every call that the document describes. A written
example is type-checked against what it has made, and then carries out a call.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Final

from tests.support.processes import ROOT, GatewayProcess

HERE: Final = ROOT / "tests" / "generators"
STREAMED: Final = {"importSessions"}
"""Calls that send NDJSON, which openapi-python-client has no way to do."""
METHODS: Final = ("get", "post", "put", "patch", "delete")


class Generators:
    """The generators in one environment, and a folder for what they make."""

    def __init__(self, environment: Path) -> None:
        self._bin = environment / "bin"
        self._made = environment / "made"
        self._node_modules = environment / "node" / "node_modules"
        shutil.rmtree(self._made, ignore_errors=True)
        self._made.mkdir()
        (self._made / "node_modules").symlink_to(self._node_modules)
        for name in ("package.json", "tsconfig.json", "example.ts", "parse_asyncapi.mjs"):
            shutil.copy(HERE / name, self._made)

    def read(self, url: str, name: str) -> Path:
        """Return the file with a document of the gateway."""
        path = self._made / name
        with urllib.request.urlopen(f"{url}/{name}", timeout=30) as answer:
            path.write_bytes(answer.read())
        return path

    def check_python(self, document: Path, url: str) -> None:
        """Make the client in Python, check the example against it, and run the example."""
        client = self._made / "turnwire_client"
        said = self._run(
            "openapi-python-client", "generate", "--path", document, "--output-path", client, "--meta", "none"
        )
        for warning in re.findall(r"Unable to .*", said):
            raise SystemExit(f"openapi-python-client: {warning}")
        made = {path.stem.replace("_", "") for path in client.glob("api/*/*.py")}
        check_all(operation_ids(document) - STREAMED, made, "openapi-python-client")
        example = shutil.copy(HERE / "example.py", self._made)
        self._run("mypy", "--strict", "--cache-dir", self._made / ".mypy_cache", example)
        self._run("python", "-c", f"import example; assert example.call({url!r})")

    def check_typescript(self, document: Path, url: str) -> None:
        """Make the types in TypeScript, check the example against them, and run the example."""
        types = self._made / "turnwire.d.ts"
        self._node("openapi-typescript/bin/cli.js", document, "--output", types)
        interface = types.read_text(encoding="utf-8").partition("export interface operations {")[2]
        made = {name.lower() for name in re.findall(r"^    (\w+): \{$", interface, re.MULTILINE)}
        check_all(operation_ids(document), made, "openapi-typescript")
        self._node("typescript/bin/tsc", "--project", self._made)
        script = f"""
            const {{ call }} = await import({str(self._made / "made" / "example.js")!r});
            if (!(await call({url!r}))?.endsWith("Z")) process.exit(1);
        """
        self._run("node", "--input-type=module", "--eval", script)

    def check_asyncapi(self, document: Path) -> None:
        """Read the document with AsyncAPI's own parser, which must find nothing wrong."""
        print(self._run("node", "parse_asyncapi.mjs", document), end="")

    def _node(self, program: str, *arguments: Path | str) -> str:
        return self._run("node", self._node_modules / program, *arguments)

    def _run(self, program: str, *arguments: Path | str) -> str:
        """Return what the program of the environment has printed. It must succeed."""
        environment = {**os.environ, "PATH": f"{self._bin}:{os.environ['PATH']}"}
        run = subprocess.run(
            [self._bin / program, *arguments],
            cwd=self._made,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if run.returncode:
            raise SystemExit(f"{program} {' '.join(map(str, arguments))}\n{run.stdout}")
        return run.stdout


def operation_ids(document: Path) -> set[str]:
    described = json.loads(document.read_text(encoding="utf-8"))
    items = described["paths"].values()
    return {item[method]["operationId"] for item in items for method in METHODS if method in item}


def check_all(described: set[str], made: set[str], generator: str) -> None:
    """Stop if the generator has left out an operation. `made` are names in lower case without underscores."""
    missing = sorted(each for each in described if each.lower() not in made)
    if missing:
        raise SystemExit(f"{generator} made no call for {', '.join(missing)}")
    print(f"{generator}: {len(described)} calls, and the example works")


def main() -> None:
    environment = Path(sys.argv[1]).resolve()
    generators = Generators(environment)
    with GatewayProcess(environment / "made" / "data") as gateway:
        document = generators.read(gateway.url, "openapi.json")
        generators.check_python(document, gateway.url)
        generators.check_typescript(document, gateway.url)
        generators.check_asyncapi(generators.read(gateway.url, "asyncapi.json"))


if __name__ == "__main__":
    main()
