"""The systemd unit of docs/deploy: systemd itself finds nothing wrong with it, and it agrees with the gateway."""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Final

import pytest

from tests.support.processes import ROOT
from turnwire.gateway.config import Config, environment_name
from turnwire.gateway.running.serve import _STOP_SECONDS

UNIT: Final = ROOT / "docs" / "deploy" / "turnwire.service"
SETTINGS: Final = ROOT / "docs" / "deploy" / "turnwire.env"


def values(name: str) -> list[str]:
    """Return what the unit gives this name, each time."""
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)


def analyzed(tmp_path: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run `systemd-analyze` on the unit, with the program of this environment in it."""
    program = shutil.which("systemd-analyze")
    assert program is not None, "systemd-analyze is not installed: `make balancers` does that"
    ours = tmp_path / UNIT.name
    here = f"{sysconfig.get_path('scripts')}/turnwire"
    ours.write_text(UNIT.read_text().replace("/opt/turnwire/bin/turnwire", here))
    return subprocess.run([program, *command, str(ours)], capture_output=True, text=True, check=False)


@pytest.mark.e2e
def test_systemd_knows_every_line_of_the_unit(tmp_path: Path) -> None:
    result = analyzed(tmp_path, "verify")
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.e2e
def test_systemd_finds_the_service_little_exposed(tmp_path: Path) -> None:
    result = analyzed(tmp_path, "security", "--offline=true", "--threshold=20", "--no-pager")
    assert result.returncode == 0, result.stdout


def test_systemd_waits_longer_than_the_gateway_takes_to_stop_and_leaves_its_children_to_it() -> None:
    assert float(values("TimeoutStopSec")[0]) > _STOP_SECONDS + 5
    assert values("KillMode") == ["mixed"]
    assert values("Type") == ["notify"]


def test_the_settings_of_the_service_exist() -> None:
    known = {environment_name(name) for name in Config.model_fields}
    named = re.findall(r"^#?([A-Z_]+)=", SETTINGS.read_text(), re.MULTILINE)
    named += re.findall(r"([A-Z_]+)=", values("Environment")[0])
    assert len(named) > 5
    assert set(named) <= known
