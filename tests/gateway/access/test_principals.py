"""What a principal may do."""

from __future__ import annotations

import pytest

from turnwire.gateway.access.principals import ANONYMOUS, Principal
from turnwire.gateway.access.refusals import Refused
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
def test_sessions_are_exact_ids_or_prefixes(patterns: tuple[str, ...], session_id: str, covered: bool) -> None:
    asking = principal("session:read", *patterns)
    assert asking.covers(session_id) is covered
    assert asking.may(Scope.READ, session_id) is covered


def test_a_scope_allows_only_what_it_says() -> None:
    asking = principal("session:read session:list", "*")
    assert asking.may(Scope.READ, "a")
    assert asking.may(Scope.LIST)
    assert not any(asking.may(scope, "a") for scope in set(Scope) - {Scope.READ, Scope.LIST})


def test_admin_may_all_and_passes_over_sessions() -> None:
    asking = principal("admin")
    assert all(asking.may(scope, "a") for scope in Scope)
    assert asking.covers_all
    asking.require_new_session(None)


def test_anonymous_may_all() -> None:
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
def test_what_may_not_be_created_is_forbidden_without_a_word_on_what_exists(
    asking: Principal, session_id: str | None, reason: str
) -> None:
    with pytest.raises(Refused) as refused:
        asking.require_new_session(session_id)
    assert (refused.value.code, refused.value.status, refused.value.reason) == (ErrorCode.FORBIDDEN, 403, reason)


def test_a_session_without_an_id_needs_all_sessions() -> None:
    principal("session:create", "*").require_new_session(None)
    principal("session:create", "a*").require_new_session("ab")


def test_a_publisher_is_taken_over_by_the_same_principal_or_admin() -> None:
    holder = principal("session:publish", "*", name="one").id
    assert principal("session:publish", "*", name="one").may_take_over_from(holder)
    assert not principal("session:publish", "*", name="two").may_take_over_from(holder)
    assert principal("admin", name="two").may_take_over_from(holder)


def test_either_of_two_scopes_is_enough_where_two_are_named() -> None:
    principal("session:list").require_any(Scope.READ, Scope.LIST)
    with pytest.raises(Refused, match="session:read or session:list"):
        principal("metrics").require_any(Scope.READ, Scope.LIST)


def test_an_unknown_scope_is_wrong_in_a_file_and_passed_over_in_a_token() -> None:
    with pytest.raises(ValueError, match="'session:reed'"):
        parse_scope("session:reed admin")
    assert known_scopes("openid session:read profile") == {Scope.READ}
