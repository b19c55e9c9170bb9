"""A real Redis, or Valkey, as a child process on a free port, to be stopped, killed and started again."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Self

from tests.support.processes import wait_until


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class RedisServer:
    """A server that stores nothing. Leaving the `with` block kills it."""

    def __init__(self, folder: Path, *, tls: tuple[Path, Path] | None = None) -> None:
        """`tls`: a key and a certificate, for a second port."""
        self._folder = folder
        self._tls = tls
        self.tls_port = free_port()
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def options(self) -> list[str]:
        """The options with which it is started."""
        options = ["--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly", "no"]
        if self._tls is not None:
            key, certificate = map(str, self._tls)
            options += ["--tls-port", str(self.tls_port), "--tls-key-file", key, "--tls-cert-file", certificate]
            options += ["--tls-ca-cert-file", certificate, "--tls-auth-clients", "no"]
        return options

    def start(self) -> None:
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        assert program is not None, "neither redis-server nor valkey-server is installed: `make redis` does that"
        self._process = subprocess.Popen(
            [program, *self.options()], cwd=self._folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        wait_until(self._answers, "an answer of Redis")

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as sock:
                sock.sendall(b"PING\r\n")
                return sock.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def command(self, *words: str, lines: int = 1) -> str:
        """Send a command, and return the first lines of the answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
            sock.sendall((" ".join(words) + "\r\n").encode())
            return "\n".join(sock.recv(4096).decode().split("\r\n")[:lines])

    def freeze(self) -> None:
        """Freeze the server: it keeps its connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _signal(self, number: int) -> None:
        assert self._process is not None, "not started"
        self._process.send_signal(number)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


class ClusterNode(RedisServer):
    """A node of a Redis cluster, alone until it `meets` another one. It holds no slots, because it needs none to pass
    messages."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._bus_port = free_port()

    def options(self) -> list[str]:
        config = ("--cluster-enabled", "yes", "--cluster-config-file", f"nodes-{self.port}.conf")
        return [*super().options(), *config, "--cluster-port", str(self._bus_port)]

    def meets(self, other: ClusterNode) -> None:
        self.command("CLUSTER", "MEET", "127.0.0.1", str(other.port), str(other._bus_port))


class Sentinel(RedisServer):
    """A single real Sentinel that watches a Redis, and makes one of its replicas the master after that has died."""

    def __init__(self, folder: Path, service: str, master: RedisServer, *, password: str | None = None) -> None:
        super().__init__(folder)
        self._service = service
        lines = [f"port {self.port}", "bind 127.0.0.1", f"sentinel monitor {service} 127.0.0.1 {master.port} 1"]
        lines += [f"sentinel down-after-milliseconds {service} 1000", f"sentinel failover-timeout {service} 3000"]
        lines += [] if password is None else [f"requirepass {password}"]
        self._config = folder / f"sentinel-{self.port}.conf"
        self._config.write_text("\n".join(lines) + "\n")

    def options(self) -> list[str]:
        return [str(self._config), "--sentinel"]

    def _answers(self) -> bool:
        try:
            return self.command("PING").startswith(("+PONG", "-NOAUTH"))
        except OSError:
            return False

    @property
    def knows_replicas(self) -> bool:
        """Whether it has found a replica that may take the master's place."""
        return "slaves=1" in self.command("INFO", "sentinel", lines=20)
