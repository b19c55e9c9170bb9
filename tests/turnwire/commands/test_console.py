"""The name under which the command line can be called from where the user stands."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

import pytest

from turnwire.commands.console import command_here


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the scripts, with the program in it."""
    folder = tmp_path / "a checkout" / ".venv" / "bin"
    folder.mkdir(parents=True)
    program = folder / "turnwire"
    program.touch()
    program.chmod(0o755)
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(folder))
    monkeypatch.setenv("PATH", os.defpath)
    monkeypatch.chdir(tmp_path)
    return folder


def test_the_name_alone_is_enough_where_the_path_has_it(scripts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(scripts))
    assert command_here() == "turnwire"


def test_another_program_of_that_name_is_not_taken_for_it(
    scripts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "turnwire"
    other.touch()
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(scripts.parent.parent)
    assert command_here() == ".venv/bin/turnwire"


def test_in_the_checkout_it_is_the_path_from_there(scripts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(scripts.parent.parent)
    assert command_here() == ".venv/bin/turnwire"


def test_elsewhere_it_is_the_whole_path_as_a_shell_takes_it(
    scripts: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert command_here() == f"'{scripts}/turnwire'"


def test_without_the_program_it_is_the_module(scripts: Path) -> None:
    (scripts / "turnwire").unlink()
    assert command_here() == f"{sys.executable} -m turnwire"
