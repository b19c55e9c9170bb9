"""What a principal may do."""

from __future__ import annotations

import pytest

from turnwire.gateway.access.principals import ANONYMOUS, Principal
from turnwire.gateway.access.refusals import Refusal
from turnwire.protocol.errors import ErrorCode
from turnwire.protocol.rights import Scope, known_scopes, parse_scope


def principal(scope: str, *sessions: str, name: str = "p") -> Principal:
    return Principal(id=name, scopes=parse_scope(scope), sessions=sessions)


@pytest.mark.parametrize(
    ("patterns", "session_id", "covered"),
    [
        ((), "a", False),
        (("a",), "a", True),
        (("a",), "ab", False),
        (("a*",), "a", True),
        (("a*",), "ab", True),
        (("a*",), "b", False),
        (("a*b",), "axb", False),
        (("a*b",), "a*b", True),
        (("*",), "anything/at all", True),
        (("x", "call-*", "y"), "call-17", True),
    ],
)
def test_a_principal_covers_exact_session_ids_and_prefixes(
    patterns: tuple[str, ...], session_id: str, covered: bool
) -> None:
    asking = principal("session:read", *patterns)
    assert asking.covers(session_id) is covered
    assert asking.may(Scope.READ, session_id) is covered


def test_a_scope_allows_only_what_it_says() -> None:
    asking = principal("session:read session:list", "*")
    assert asking.may(Scope.READ, "a")
    assert asking.may(Scope.LIST)
    assert not any(asking.may(scope, "a") for scope in set(Scope) - {Scope.READ, Scope.LIST})


def test_an_admin_may_do_everything_on_every_session() -> None:
    asking = principal("admin")
    assert all(asking.may(scope, "a") for scope in Scope)
    assert asking.covers_all
    asking.require_new_session(None)


def test_the_anonymous_principal_may_do_everything() -> None:
    assert all(ANONYMOUS.may(scope, "a") for scope in Scope)
    assert ANONYMOUS.expires_at is None


@pytest.mark.parametrize(
    ("asking", "session_id", "reason"),
    [
        (principal("session:publish", "*"), "a", "scope"),
        (principal("session:create", "a"), "b", "sessions"),
        (principal("session:create", "a*"), None, "sessions"),
    ],
)
def test_creating_an_uncovered_session_is_forbidden_without_revealing_whether_it_exists(
    asking: Principal, session_id: str | None, reason: str
) -> None:
    with pytest.raises(Refusal) as refused:
        asking.require_new_session(session_id)
    assert (refused.value.code, refused.value.status, refused.value.reason) == (ErrorCode.FORBIDDEN, 403, reason)


def test_creating_a_session_without_an_id_needs_all_sessions() -> None:
    principal("session:create", "*").require_new_session(None)
    principal("session:create", "a*").require_new_session("ab")


def test_only_the_same_principal_or_an_admin_may_replace_a_publisher() -> None:
    holder = principal("session:publish", "*", name="one").id
    assert principal("session:publish", "*", name="one").may_take_over_from(holder)
    assert not principal("session:publish", "*", name="two").may_take_over_from(holder)
    assert principal("admin", name="two").may_take_over_from(holder)


def test_may_any_needs_one_of_the_named_scopes() -> None:
    principal("session:list").require_any(Scope.READ, Scope.LIST)
    with pytest.raises(Refusal, match="session:read or session:list"):
        principal("metrics").require_any(Scope.READ, Scope.LIST)


def test_an_unknown_scope_is_an_error_in_a_key_file_and_ignored_in_a_token() -> None:
    with pytest.raises(ValueError, match="'session:reed'"):
        parse_scope("session:reed admin")
    assert known_scopes("openid session:read profile") == {Scope.READ}
