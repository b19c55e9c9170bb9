"""The settings table of docs/operations.md lists what the gateway reads."""

from __future__ import annotations

from pathlib import Path

from turnwire.gateway.config import Config, environment_name

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


def test_the_settings_table_holds_every_setting_with_its_default_and_meaning() -> None:
    table = PAGE.read_text().split("## Settings", 1)[1]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    expected = [
        f"| `{environment_name(name)}` | {'' if each.default is None else f'`{each.default}`'} | {each.description} |"
        for name, each in Config.model_fields.items()
    ]
    assert rows == expected
