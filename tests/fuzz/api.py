"""Searches for requests that break the API of a gateway that asks for a credential: `make fuzz`.

    python -m tests.fuzz.api --seconds 600

Starts a gateway with an embedded database, and lets schemathesis send what its description allows and what it does not,
with another seed each time, until the time is over; the last run is finished. Exits with 0 when every answer was one
that is described, what needs a credential was refused without one, and the gateway has met nothing unexpected.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.gateway.openapi.test_schemathesis import EXCLUDED, SOCKETS
from tests.support.credentials import make_key, write_keys, write_secret
from tests.support.processes import GatewayProcess, clean_environment

HOOKS: Final = {"SCHEMATHESIS_HOOKS": "tests.gateway.openapi.schemathesis_hooks"}
NO_RATES: Final = {
    f"TURNWIRE_RATE_{name}": "0" for name in ("REQUESTS", "ANONYMOUS_REQUESTS", "FAILED_LOGINS", "CREATED_SESSIONS")
}
"""Or most answers would be 429."""
TRACES: Final = ("Traceback", "internal error")
EXAMPLES: Final = 50
"""Of each operation and phase in one run."""


def call(url: str, key: str, method: str, body: object = None) -> None:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=30):
        pass


def prepare(url: str, key: str) -> None:
    """Make the session that the examples of the description name. A run may have erased it."""
    call(f"{url}/sessions", key, "POST", {"sessionId": "call-0001", "language": "en"})


def schemathesis(url: str, key: str, seed: int) -> int:
    """The exit status of one run, which tells of what it finds."""
    excluded = [argument for operation in SOCKETS for argument in ("--exclude-operation-id", operation)]
    excluded += EXCLUDED
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"),
        *("--header", f"Authorization: Bearer {key}", "--max-examples", str(EXAMPLES), "--seed", str(seed)),
        *("--generation-database", "none", "--continue-on-failure", "--no-color"),
        *excluded,
    ]
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run(command, cwd=folder, env=clean_environment(HOOKS), check=False).returncode


def faults_of(gateway: GatewayProcess) -> Sequence[str]:
    """What the gateway says it has met and did not expect."""
    return [line for line in gateway.lines if any(trace in line for trace in TRACES)]


def fuzz(seconds: float, seed: int) -> int:
    """How many runs have found something."""
    end = time.monotonic() + seconds
    key, line = make_key("fuzzer", "admin")
    found = runs = 0
    with tempfile.TemporaryDirectory() as folder:
        env = {
            "TURNWIRE_API_KEYS_FILE": str(write_keys(Path(folder) / "keys", line)),
            "TURNWIRE_JWT_SECRET_FILE": str(write_secret(Path(folder) / "secret")),
            **NO_RATES,
        }
        with GatewayProcess(Path(folder) / "data", env=env, ready_timeout=120) as gateway:
            while runs == 0 or time.monotonic() < end:
                prepare(gateway.url, key)
                found += schemathesis(gateway.url, key, seed + runs) != 0
                runs += 1
            call(f"{gateway.url}/sessions", key, "GET")
            unexpected = faults_of(gateway)
    print(f"{runs} runs, the first with seed {seed}; {found} have found something; {len(unexpected)} faults in the log")
    print("\n".join(unexpected[:50]))
    return found + len(unexpected)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    asked = parser.parse_args()
    sys.exit(fuzz(asked.seconds, asked.seed) != 0)


if __name__ == "__main__":
    main()
