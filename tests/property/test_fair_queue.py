"""Whatever the clients ask for, each of them gets an equal share, and everybody's work is done."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tests.property.wire_values import search
from turnwire.store.sharing.fair_queue import FairQueue

clients = st.sampled_from("abcd")
pieces = st.tuples(clients, st.integers(1, 50))
all_steps = st.lists(st.one_of(pieces, st.none()), max_size=60)
"""Pieces of work (client, cost) that are put, and takes."""


@search(100)
@given(all_steps)
def test_everything_is_taken_once_and_each_clients_work_in_its_order(steps: list[tuple[str, int] | None]) -> None:
    queue, waiting = FairQueue[tuple[str, int]](), dict[str, list[int]]()
    for number, step in enumerate([*steps, *[None] * len(steps)]):
        if step is not None:
            queue.put((step[0], number), *step)
            waiting.setdefault(step[0], []).append(number)
        elif len(queue):
            client, taken = queue.take()
            assert waiting[client].pop(0) == taken
    assert len(queue) == 0
    assert not any(waiting.values())


@search(100)
@given(st.lists(pieces, min_size=1, max_size=80))
def test_while_all_wait_none_gets_ahead_of_another_by_more_than_a_piece_of_each(asked: list[tuple[str, int]]) -> None:
    queue, left, spent = FairQueue[tuple[str, int]](), Counter(client for client, _ in asked), Counter[str]()
    largest = {client: max(cost for other, cost in asked if other == client) for client in left}
    for piece in asked:
        queue.put(piece, *piece)
    while all(left.values()):
        client, cost = queue.take()
        left[client] -= 1
        spent[client] += cost
        assert all(spent[client] - spent[other] <= largest[client] + largest[other] for other in left)


@search(100)
@given(st.lists(pieces, max_size=80), st.integers(0, 80), st.integers(1, 50))
def test_a_new_client_waits_for_what_it_costs_itself_and_a_piece_more_of_each_other(
    asked: list[tuple[str, int]], taken: int, cost: int
) -> None:
    queue, waited = FairQueue[tuple[str, int]](), Counter[str]()
    for piece in asked:
        queue.put(piece, *piece)
    for _ in range(min(taken, len(asked))):
        queue.take()
    queue.put(("new", cost), "new", cost)
    while (piece := queue.take())[0] != "new":
        waited[piece[0]] += piece[1]
    assert all(spent <= cost + 50 for spent in waited.values())


def test_clients_that_are_gone_are_forgotten() -> None:
    queue = FairQueue[int]()
    queue.put(0, "one who waits for long", 1e9)
    for number in range(1, 10_000):
        queue.put(number, number, 1.0)
        assert queue.take() == number
    assert len(queue._finishes) < 100
