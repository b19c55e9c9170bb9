"""A gateway in its own process, in Turnwire's environment, because a framework's environment has only the client."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parents[3]
PYTHON = os.environ.get("TURNWIRE_GATEWAY_PYTHON") or str(ROOT / ".venv/bin/python")


class Gateway:
    """`turnwire serve` on a data directory. `with` starts it and waits until it listens."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the gateway, on its previous port if it had one."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("TURNWIRE", "PORT"))}
        environment |= {"TURNWIRE_DATA_DIR": str(self._data_dir), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        self._process = subprocess.Popen(
            [PYTHON, "-m", "turnwire", "serve", "--port", str(self.port)],
            cwd=self._data_dir,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.port = self._port_told()

    def _port_told(self) -> int:
        assert self._process is not None
        assert self._process.stdout is not None
        lines = []
        for line in self._process.stdout:
            lines.append(line)
            found = re.search(r"listening on http://127\.0\.0\.1:(\d+)", line)
            if found:
                return int(found[1])
        raise AssertionError("the gateway ended:\n" + "".join(lines))

    def freeze(self) -> None:
        """Freeze the gateway and its database: connected clients see nothing but silence."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.thaw()
        self.kill()
