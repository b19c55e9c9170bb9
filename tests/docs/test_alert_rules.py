"""The alert rules, as Prometheus itself reads them: by its promtool, which `make promtool` fetches."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.monitoring import DEPLOY
from tests.support.processes import ROOT

pytestmark = pytest.mark.e2e

HISTORIES = ROOT / "tests" / "docs" / "alerts_test.yml"


def promtool(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    found = shutil.which("promtool", path=f"{ROOT / '.promtool'}:/usr/local/bin:/usr/bin:/bin")
    assert found is not None, "there is no promtool: run `make promtool`"
    return subprocess.run([found, *arguments], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "command",
    [
        ("check", "rules", DEPLOY / "alerts.yml"),
        ("check", "config", "--syntax-only", DEPLOY / "prometheus.yml"),
        ("test", "rules", HISTORIES),
    ],
    ids=lambda command: " ".join(map(str, command[:2])),
)
def test_prometheus_takes_the_rules_and_the_scrape_job_and_they_fire_when_they_should(
    command: tuple[str | Path, ...],
) -> None:
    done = promtool(*command)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_rule_with_another_threshold_fails_its_histories(tmp_path: Path) -> None:
    rules = (DEPLOY / "alerts.yml").read_text()
    (tmp_path / "alerts.yml").write_text(rules.replace("bound_used_ratio > 0.8", "bound_used_ratio > 0.6"))
    (tmp_path / "test.yml").write_text(HISTORIES.read_text().replace("../../docs/deploy/alerts.yml", "alerts.yml"))
    assert promtool("test", "rules", "test.yml", cwd=tmp_path).returncode != 0
