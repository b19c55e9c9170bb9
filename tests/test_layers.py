"""Which package may import which: the direction of the whole design."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.house.tree import imported
from tests.support.processes import ROOT

OURS = {"protocol", "store", "gateway", "turnwire"}
MAY_IMPORT = {
    "protocol": {"protocol"},
    "store": {"protocol", "store"},
    "turnwire": {"protocol", "turnwire", "gateway"},
    "gateway": OURS,
}
EVERYWHERE = [*sorted(OURS), "tests", "bench"]


def modules(package: str) -> list[Path]:
    return sorted(path for path in (ROOT / package).rglob("*.py") if path.relative_to(ROOT).parts[1] not in OURS)


def top_level_imports(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(path)}


def packages_imported(path: Path) -> set[str]:
    """Return which of our packages a module imports."""
    parts = [name.split(".") for name in imported(path)]
    ours = [part for part in parts if part[0] == "turnwire"]
    return {part[1] if len(part) > 1 and part[1] in OURS else "turnwire" for part in ours}


@pytest.mark.parametrize("package", sorted(OURS))
def test_packages_import_only_packages_below_them(package: str) -> None:
    assert modules(package)
    wrong = {
        str(path.relative_to(ROOT)): sorted(beyond)
        for path in modules(package)
        if (beyond := packages_imported(path) - MAY_IMPORT[package])
    }
    assert not wrong


def test_the_protocol_package_imports_no_io() -> None:
    allowed = (sys.stdlib_module_names | {"msgspec", "turnwire"}) - {
        "asyncio",
        "io",
        "os",
        "socket",
        "threading",
        "time",
    }
    wrong = {path.name: sorted(top_level_imports(path) - allowed) for path in modules("protocol")}
    assert not {name: beyond for name, beyond in wrong.items() if beyond}


def test_the_store_imports_nothing_of_http() -> None:
    assert not [path.name for path in modules("store") if "aiohttp" in top_level_imports(path)]


def test_only_one_module_imports_motor() -> None:
    found = {
        str(path.relative_to(ROOT))
        for package in OURS
        for path in modules(package)
        if "motor" in top_level_imports(path)
    }
    assert found == {"store/mongo.py"}


def test_the_embedded_database_is_never_imported() -> None:
    named = [path for package in EVERYWHERE for path in modules(package) if "secantus" in path.read_text()]
    assert not [path for path in named if "secantus" in top_level_imports(path)]
