"""The name under which the command line can be called from the user's folder."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

import pytest

from turnwire.commands.console import command_here


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of scripts that contains the program."""
    folder = tmp_path / "a checkout" / ".venv" / "bin"
    folder.mkdir(parents=True)
    program = folder / "turnwire"
    program.touch()
    program.chmod(0o755)
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(folder))
    monkeypatch.setenv("PATH", os.defpath)
    monkeypatch.chdir(tmp_path)
    return folder


def test_the_bare_command_name_is_shown_if_it_is_on_the_path(scripts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(scripts))
    assert command_here() == "turnwire"


def test_another_program_called_turnwire_on_the_path_is_not_named(
    scripts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "turnwire"
    other.touch()
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(scripts.parent.parent)
    assert command_here() == ".venv/bin/turnwire"


def test_in_the_checkout_the_command_is_shown_with_its_relative_path(
    scripts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(scripts.parent.parent)
    assert command_here() == ".venv/bin/turnwire"


def test_elsewhere_the_command_is_shown_with_its_absolute_path_quoted_for_a_shell(
    scripts: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert command_here() == f"'{scripts}/turnwire'"


def test_without_the_installed_command_the_module_is_shown(scripts: Path) -> None:
    (scripts / "turnwire").unlink()
    assert command_here() == f"{sys.executable} -m turnwire"
