"""API keys in a file: what is accepted, what is refused, and what a change does."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from tests.support.credentials import Clock, key_line, make_key, write_keys
from turnwire.gateway.access.credentials.keys import ApiKeys, KeysError
from turnwire.gateway.access.refusals import Refusal
from turnwire.protocol.rights import Scope, new_key, parse_key

NOW = 1_800_000_000.0


def keys_of(tmp_path: Path, *lines: str) -> ApiKeys:
    return ApiKeys(write_keys(tmp_path / "keys", *lines), Clock(NOW))


def refused(keys: ApiKeys, text: str) -> str:
    with pytest.raises(Refusal) as told:
        keys.authenticate(text)
    assert told.value.status == 401
    assert told.value.headers["WWW-Authenticate"].startswith("Bearer")
    assert text not in str(told.value)
    return told.value.reason


def test_a_key_belongs_to_the_line_with_the_digest_of_its_secret(tmp_path: Path) -> None:
    text, line = make_key("bot_1", "session:publish session:create", ["call-*"])
    principal = keys_of(tmp_path, "\n", line, "\n").authenticate(text)
    assert principal.id == "key:bot_1"
    assert principal.scopes == {Scope.PUBLISH, Scope.CREATE}
    assert principal.sessions == ("call-*",)
    assert (principal.kind, principal.expires_at) == ("key", None)
    assert text not in repr(principal)


def test_several_keys_are_valid_at_once_even_with_the_same_id(tmp_path: Path) -> None:
    old, old_line = make_key("bot")
    new, new_line = make_key("bot", "admin")
    other, other_line = make_key("web")
    keys = keys_of(tmp_path, old_line, new_line, other_line)
    assert not keys.authenticate(old).is_admin
    assert keys.authenticate(new).is_admin
    assert keys.authenticate(other).id == "key:web"


@pytest.mark.parametrize(
    "text", ["tw_", "tw_bot", "tw_bot_", "tw__", "tw_bot_short", "tw_bot_" + "x" * 43, "tw_../_" + "x" * 43]
)
def test_a_key_that_is_not_in_the_file_is_refused(tmp_path: Path, text: str) -> None:
    assert refused(keys_of(tmp_path, make_key("bot")[1]), text) == "unknown_key"


def test_a_key_of_another_id_with_a_known_secret_is_refused(tmp_path: Path) -> None:
    text, line = make_key("bot")
    key = parse_key(text)
    assert key is not None
    assert refused(keys_of(tmp_path, line, make_key("web")[1]), f"tw_web_{key.secret}") == "unknown_key"


def test_an_api_key_ends_at_its_expiry(tmp_path: Path) -> None:
    text = new_key("bot")
    clock = Clock(NOW)
    path = write_keys(tmp_path / "keys", key_line(text, expiresAt="2027-01-15T08:00:01.000Z"))
    keys = ApiKeys(path, clock)
    assert keys.authenticate(text).expires_at == NOW + 1
    clock.now += 1
    assert refused(keys, text) == "key_expired"


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o604, 0o644, 0o666])
def test_a_key_file_that_others_may_write_or_all_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = write_keys(tmp_path / "keys", make_key()[1])
    path.chmod(mode)
    with pytest.raises(KeysError, match=f"mode {mode:04o}"):
        ApiKeys(path, Clock())


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o440])
def test_a_key_file_that_its_group_may_read_is_accepted(tmp_path: Path, mode: int) -> None:
    path = write_keys(tmp_path / "keys", make_key()[1])
    path.chmod(mode)
    assert ApiKeys(path, Clock()).has("bot")


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"id": "bot"}',
        '{"id": "a b", "sha256": "%s", "scope": "", "sessions": []}' % ("a" * 64),
        '{"id": "bot", "sha256": "abc", "scope": "", "sessions": []}',
        '{"id": "bot", "sha256": "%s", "scope": "session:reed", "sessions": []}' % ("a" * 64),
        '{"id": "bot", "sha256": "%s", "scope": "", "sessions": [""]}' % ("a" * 64),
        '{"id": "bot", "sha256": "%s", "scope": "", "sessions": [], "expiresAt": "soon"}' % ("a" * 64),
        '{"id": "bot", "sha256": "%s", "scope": "", "session": ["*"]}' % ("a" * 64),
        '{"id": "bot", "sha256": "%s", "scope": "", "sessions": "*"}' % ("a" * 64),
    ],
)
def test_a_wrong_line_in_the_key_file_is_named_by_its_number(tmp_path: Path, line: str) -> None:
    with pytest.raises(KeysError, match="keys, line 2: ") as refused:
        keys_of(tmp_path, make_key("web")[1], line + "\n")
    assert "`str`" not in str(refused.value)
    assert "isoformat" not in str(refused.value)


def test_a_missing_key_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="No such file"):
        ApiKeys(tmp_path / "keys", Clock())


def test_changing_the_key_file_adds_and_removes_keys(tmp_path: Path) -> None:
    old, old_line = make_key("old")
    new, new_line = make_key("new")
    keys = keys_of(tmp_path, old_line)
    holder = keys.authenticate(old)
    assert not keys.refresh()
    write_keys(tmp_path / "keys", new_line)
    assert keys.refresh()
    assert not keys.refresh()
    assert keys.authenticate(new).id == "key:new"
    assert refused(keys, old) == "unknown_key"
    with pytest.raises(Refusal, match="no longer valid"):
        keys.current(holder)


def test_a_key_file_swapped_by_a_link_is_read_again(tmp_path: Path) -> None:
    first = write_keys(tmp_path / "first", make_key("a")[1])
    second = write_keys(tmp_path / "second", make_key("b")[1])
    os.utime(second, ns=(first.stat().st_mtime_ns,) * 2)
    link = tmp_path / "keys"
    link.symlink_to(first)
    keys = ApiKeys(link, Clock())
    (tmp_path / "swap").symlink_to(second)
    (tmp_path / "swap").replace(link)
    assert keys.refresh()
    assert keys.has("b")
    assert not keys.has("a")


def test_a_change_of_rights_reaches_the_holders_of_the_key(tmp_path: Path) -> None:
    text = new_key("bot")
    keys = keys_of(tmp_path, key_line(text, "session:read"))
    holder = keys.authenticate(text)
    write_keys(tmp_path / "keys", key_line(text, "session:read session:list"))
    assert keys.refresh()
    assert keys.current(holder).scopes == {Scope.READ, Scope.LIST}


def test_a_new_secret_for_an_id_ends_the_holders_of_the_old_one(tmp_path: Path) -> None:
    old, old_line = make_key("bot")
    keys = keys_of(tmp_path, old_line)
    holder = keys.authenticate(old)
    write_keys(tmp_path / "keys", make_key("bot")[1])
    keys.refresh()
    with pytest.raises(Refusal):
        keys.current(holder)


@pytest.mark.parametrize("spoiled", ["broken", "open", "gone"])
def test_a_key_file_that_turns_bad_keeps_the_old_keys_and_logs_one_complaint(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoiled: str
) -> None:
    text, line = make_key()
    keys = keys_of(tmp_path, line)
    path = tmp_path / "keys"
    if spoiled == "broken":
        path.write_text("nonsense")
    elif spoiled == "open":
        path.chmod(0o644)
    else:
        path.unlink()
    with caplog.at_level(logging.ERROR, "turnwire.access"):
        assert not keys.refresh()
        assert not keys.refresh()
    assert len(caplog.records) == 1
    assert keys.authenticate(text).id == "key:bot"


def test_a_forced_reload_reads_a_key_file_that_looks_unchanged(tmp_path: Path) -> None:
    keys = keys_of(tmp_path, make_key("a")[1])
    assert not keys.refresh(force=True)
    write_keys(tmp_path / "keys", make_key("b")[1])
    assert keys.refresh(force=True)
