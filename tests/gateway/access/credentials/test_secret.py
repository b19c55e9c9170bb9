"""The file of the secret that signs tokens."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.support.credentials import SECRET, pem_of, write_secret
from turnwire.gateway.access.credentials.secret import SecretError, read_secret


@pytest.mark.parametrize("newline", [b"", b"\n", b"\r\n"])
def test_a_final_newline_is_not_part_of_the_jwt_secret(tmp_path: Path, newline: bytes) -> None:
    path = tmp_path / "secret"
    path.write_bytes(SECRET + newline)
    assert read_secret(path).value == SECRET
    path.write_bytes(b"x" * 31 + newline)
    with pytest.raises(SecretError, match="holds 31"):
        read_secret(path)
    path.write_bytes(b"x" * 32 + newline)
    assert len(read_secret(path).value) == 32


def test_a_public_key_is_refused_as_a_jwt_secret(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="key of another kind"):
        read_secret(write_secret(tmp_path / "secret", pem_of("RS256")))


def test_a_missing_or_endless_secret_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="No such file"):
        read_secret(tmp_path / "none")
    with pytest.raises(SecretError, match="32 to 4096"):
        read_secret(write_secret(tmp_path / "secret", b"x" * 5000))


def test_a_secret_file_that_others_may_read_logs_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_secret(tmp_path / "secret")
    with caplog.at_level(logging.WARNING, "turnwire.access"):
        read_secret(path)
        assert not caplog.records
        path.chmod(0o644)
        read_secret(path)
    assert "chmod 600" in caplog.text


def test_the_jwt_secret_is_never_shown(tmp_path: Path) -> None:
    assert SECRET.decode() not in repr(read_secret(write_secret(tmp_path / "secret")))
