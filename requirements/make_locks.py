"""Writes requirements/*.lock by uv: `make lock`. Options are passed on to `uv pip compile`, as in `--upgrade`.

- `server.lock`: what the image installs beside Turnwire itself, which is its extras `server`, `otel` and `archive`
- `build.lock`: what builds its wheel
- `audit.lock`: what `make lock`, `make audit` and `make sbom` use

Each holds names, versions and digests for every platform and for all Pythons from 3.11 on, and no address.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
EXTRAS = ("server", "otel", "archive")
TOOLS = ("cyclonedx-bom>=7.5,<8", "pip-audit>=2.10,<3", "uv>=0.13.8,<0.14")
OPTIONS = (
    *("--universal", "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url", "--no-emit-find-links"),
    *("--no-annotate", "--quiet", "--custom-compile-command", "make lock"),
)


def compile_lock(name: str, source: str, wanted: str, options: list[str]) -> None:
    uv = [sys.executable, "-m", "uv", "pip", "compile"]
    command = [*uv, source, *OPTIONS, "--output-file", f"requirements/{name}.lock", *options]
    subprocess.run(command, cwd=ROOT, input=wanted.encode(), check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    options = sys.argv[1:]
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]
    compile_lock("server", "pyproject.toml", "", [*(f"--extra={extra}" for extra in EXTRAS), *options])
    compile_lock("build", "-", "\n".join(build), options)
    compile_lock("audit", "-", "\n".join(TOOLS), options)


if __name__ == "__main__":
    main()
