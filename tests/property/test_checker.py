"""The checker itself: it finds every kind of planted violation, and nothing in a clean history."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.property.planted_violations import PLANTED
from tests.support.checker import assert_clean, check
from tests.support.history import (
    History,
    load,
    save,
)
from tests.support.history_runs import Run, clean_histories
from tests.support.violations import Kind

pytestmark = pytest.mark.property


@given(clean_histories())
def test_the_checker_reports_nothing_in_a_clean_history(history: History) -> None:
    assert check([history]) == []
    assert_clean([history])


@given(history=clean_histories())
def test_a_history_is_unchanged_by_writing_it_to_a_file(
    history: History, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("history") / "history"
    save([history], path)
    assert load(path) == [history]


@pytest.mark.parametrize(("plant", "kind"), PLANTED, ids=lambda each: getattr(each, "__name__", ""))
@given(data=st.data())
def test_the_checker_finds_a_planted_violation(
    plant: Callable[[History, int], None], kind: Kind, data: st.DataObject
) -> None:
    history = copy.deepcopy(data.draw(clean_histories()))
    plant(history, data.draw(st.integers(0, 100)))
    found = check([history])
    assert kind in {violation.kind for violation in found}
    with pytest.raises(AssertionError, match="violations"):
        assert_clean([history])


def test_every_kind_of_violation_is_planted() -> None:
    assert {kind for _, kind in PLANTED} == set(Kind)


def test_violations_of_one_session_are_not_blamed_on_another() -> None:
    run = Run(show_epochs=False)
    run.connect(same_gateway=True)
    run.send(run.make(2), answered=2)
    good, bad = run.finish(), copy.deepcopy(run.history)
    bad.session_id = "bad"
    bad.log.pop()
    assert {violation.session_id for violation in check([good, bad])} == {"bad"}
