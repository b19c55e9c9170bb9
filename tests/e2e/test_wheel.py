"""What an installation brings: only `turnwire` in site-packages, and no more dependencies than the extras need."""

from __future__ import annotations

import subprocess
import sys
import venv
from importlib.metadata import Distribution, distribution
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

from tests.support.processes import ROOT

pytestmark = pytest.mark.e2e

PARTS = ("gateway", "protocol", "store")
"""Folders of the repository that are linked into the package."""


def python(*args: str, at: str = sys.executable, cwd: Path = ROOT, status: int = 0) -> str:
    """Run Python in an empty environment. Return what it prints, including standard error."""
    run = subprocess.run(
        [at, *args],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "HOME": str(cwd)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == status, run.stdout
    return run.stdout


def build(kind: str, source: Path, into: Path) -> Path:
    """Build a wheel or an sdist of the tree at `source`. Return its path."""
    python("-m", "hatchling", "build", "-t", kind, "-d", str(into), cwd=source)
    (built,) = into.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


def required(name: str, extras: frozenset[str]) -> set[str]:
    """Return the names of all distributions that this one needs, directly or indirectly."""
    found: dict[tuple[str, frozenset[str]], None] = {}
    left = [(name, extras)]
    while left:
        name, extras = left.pop()
        if (name, extras) in found:
            continue
        found[name, extras] = None
        for text in distribution(name).requires or ():
            requirement = Requirement(text)
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras or {""}):
                left.append((requirement.name, frozenset(requirement.extras)))
    return {name for name, _ in found}


def link_into(folder: Path, installed: Distribution) -> None:
    """Make a distribution of this environment importable from `folder`."""
    for entry in {file.parts[0] for file in installed.files or () if file.parts[0] not in ("..", "__pycache__")}:
        link = folder / entry
        if not link.exists():
            link.symlink_to(Path(str(installed.locate_file(entry))))


class Environment:
    """Make a virtual environment with the wheel and what it requires with these extras, taken from this environment."""

    def __init__(self, folder: Path, wheel: Path, *extras: str) -> None:
        venv.create(folder, symlinks=True)
        self.python = str(folder / "bin" / "python")
        self.turnwire = str(folder / "bin" / "turnwire")
        (self.packages,) = folder.glob("lib/python*/site-packages")
        pip = ["-m", "pip", "--isolated", "--disable-pip-version-check", "--python", self.python, "install", "--quiet"]
        python(*pip, "--no-index", "--no-deps", str(wheel))
        self.installed = {path.name for path in self.packages.iterdir()}
        for name in required("turnwire", frozenset(extras)) - {"turnwire"}:
            link_into(self.packages, distribution(name))


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with only the client library."""
    return Environment(tmp_path_factory.mktemp("bare"), wheel)


@pytest.fixture(scope="module")
def with_commands(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the commands, for a gateway that runs elsewhere."""
    return Environment(tmp_path_factory.mktemp("commands"), wheel, "cli")


@pytest.fixture(scope="module")
def with_server(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the gateway, for a MongoDB that runs elsewhere."""
    return Environment(tmp_path_factory.mktemp("server"), wheel, "server")


def test_a_wheel_installs_only_turnwire_into_site_packages(bare: Environment) -> None:
    names = {name for name in bare.installed if not name.endswith(".dist-info")}
    assert names == {"turnwire"}
    assert len(bare.installed) == 2


def test_the_client_library_needs_only_aiohttp_and_msgspec() -> None:
    direct = [Requirement(text) for text in distribution("turnwire").requires or ()]
    assert {needed.name for needed in direct if needed.marker is None} == {"aiohttp", "msgspec"}


def test_folders_of_the_user_named_store_or_protocol_do_not_shadow_turnwire(bare: Environment, tmp_path: Path) -> None:
    for part in (*PARTS, "tests", "bench"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "__init__.py").write_text(f"raise SystemExit('{part}/ of the user was imported')")
    (tmp_path / "bot.py").write_text("from turnwire import Publisher, subscribe\nprint(Publisher.__module__)\n")
    assert python("bot.py", at=bare.python, cwd=tmp_path) == "turnwire.publisher\n"


def test_every_module_of_the_client_library_imports_without_extras(bare: Environment, tmp_path: Path) -> None:
    modules = [path.stem for path in (ROOT / "turnwire").glob("*.py") if path.stem != "cli"]
    assert len(modules) > 10
    script = f"import importlib\nfor name in {modules}: importlib.import_module('turnwire.' + name)"
    python("-c", script, at=bare.python, cwd=tmp_path)


def test_the_command_turnwire_names_the_extra_that_is_missing(bare: Environment, tmp_path: Path) -> None:
    for command in ([bare.turnwire], ["-m", "turnwire"], ["-m", "turnwire", "serve"], ["-m", "turnwire.gateway"]):
        said = python(*command, at=bare.python, cwd=tmp_path, status=1)
        assert said.endswith("run: pip install 'turnwire[cli]'\n")
        assert said.count("\n") == 1


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_without_the_extra_server_its_commands_say_what_to_install(
    with_commands: Environment, tmp_path: Path, command: str
) -> None:
    said = python(with_commands.turnwire, command, at=with_commands.python, cwd=tmp_path, status=1)
    assert said.endswith("run: pip install 'turnwire[server]'\n")
    assert said.count("\n") == 1


def test_commands_of_the_extra_cli_work_without_the_gateway(with_commands: Environment, tmp_path: Path) -> None:
    told = python(with_commands.turnwire, "--help", at=with_commands.python, cwd=tmp_path)
    assert all(command in told for command in ("serve", "demo", "replay", "tail", "verify"))
    for command in (["tail"], ["verify", "--all"]):
        nowhere = ["--url", "http://127.0.0.1:1"]
        said = python(with_commands.turnwire, *command, *nowhere, at=with_commands.python, cwd=tmp_path, status=1)
        assert "start a gateway with `turnwire serve`" in said


def test_without_an_embedded_database_the_gateway_says_what_to_install(
    with_server: Environment, tmp_path: Path
) -> None:
    said = python(with_server.turnwire, "serve", "--port", "0", at=with_server.python, cwd=tmp_path, status=1)
    assert "pip install 'turnwire[embedded]'" in said.splitlines()[-1]


def test_every_kind_of_build_contains_the_linked_folders(wheel: Path, tmp_path: Path) -> None:
    sdist = build("sdist", ROOT, tmp_path / "sdist")
    python("-m", "tarfile", "-e", str(sdist), str(tmp_path / "unpacked"))
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    again = build("wheel", unpacked, tmp_path / "again")
    files = [{name for name in ZipFile(path).namelist() if name.startswith("turnwire/")} for path in (wheel, again)]
    assert files[0] == files[1]
    of_the_repository = {f"turnwire/{path.relative_to(ROOT)}" for part in PARTS for path in (ROOT / part).rglob("*.py")}
    assert of_the_repository
    assert of_the_repository <= files[0]
    assert "turnwire/gateway/static/index.html" in files[0]


def test_an_editable_installation_finds_the_linked_folders(tmp_path: Path) -> None:
    script = "import hatchling.build, sys; print(hatchling.build.build_editable(sys.argv[1]))"
    name = python("-c", script, str(tmp_path)).split()[-1]
    environment = Environment(tmp_path / "venv", tmp_path / name)
    assert "turnwire" not in environment.installed
    script = "import turnwire.protocol.codec as it; print(it.__file__)"
    found = python("-c", script, at=environment.python, cwd=tmp_path)
    assert Path(found.strip()).resolve() == ROOT / "protocol" / "codec.py"
