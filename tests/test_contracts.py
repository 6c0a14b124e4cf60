"""Contracts in the world: windows, envelope, pay, breach; docs/contracts.md has the equations."""

from __future__ import annotations

import numpy as np
import pytest
from support import scenario

from vpp_env.contract.terms import Terms, Window
from vpp_env.errors import VppError
from vpp_env.owners.contracts import TERMS, ContractBook


def terms_of(n: int, **rows: float) -> Terms:
    """The same terms for n homes; what is not said is 0."""
    return Terms(**{name: np.full(n, float(rows.get(name, 0.0))) for name in TERMS})


def book(homes: int = 2, months: int = 1) -> ContractBook:
    """A book of week20, which starts at midnight; evenings end at 21 h."""
    return ContractBook(scenario("week20"), months, homes)


@pytest.mark.parametrize(
    ("window", "first", "runs"),
    [
        (Window.OPPORTUNITY, 5, range(5, 6)),
        (Window.EVENING, 5, range(5, 21)),
        (Window.EVENING, 20, range(20, 21)),
        (Window.EVENING, 21, range(21, 45)),
        (Window.NOTICE, 5, range(5, 168)),
    ],
)
def test_a_contract_runs_as_long_as_its_window_says(window: Window, first: int, runs: range) -> None:
    signed = book()
    signed.sign(0, first, np.array([True, False]), np.full(2, window), terms_of(2, price=0.1))
    for o in range(168):
        on, terms = signed.in_force(0, o)
        assert on.tolist() == [o in runs, False]
        assert terms.price.tolist() == [0.1 * (o in runs), 0.0]


def test_a_newer_contract_replaces_an_older_one_from_its_delivery_on() -> None:
    signed, one = book(), np.array([True, False])
    signed.sign(0, 5, one, np.full(2, Window.NOTICE), terms_of(2, price=0.1))
    signed.sign(0, 7, one, np.full(2, Window.OPPORTUNITY), terms_of(2, price=0.3))
    assert [signed.in_force(0, o)[1].price[0] for o in (4, 5, 6, 7, 8)] == [0.0, 0.1, 0.1, 0.3, 0.0]
    assert signed.signed.tolist() == [[2, 0]]


def test_what_ends_a_contract() -> None:
    signed, both = book(), np.array([True, True])
    signed.sign(0, 5, both, np.full(2, Window.NOTICE), terms_of(2))
    signed.end(0, 7, np.array([True, False]))
    assert [signed.in_force(0, o)[0].tolist() for o in (6, 7)] == [[True, True], [False, True]]
    signed.leave(np.array([[False, True]]))
    assert [signed.in_force(0, o)[0].tolist() for o in (6, 7)] == [[True, False], [False, False]]
    assert signed.standing(7) is None


def test_what_is_over_is_forgotten_and_nothing_else() -> None:
    signed, one = book(months=2), np.array([True, False])
    for first in range(4, 9):
        signed.sign(1, first, one, np.full(2, Window.NOTICE), terms_of(2, price=0.01 * first))
    signed.forget(7)
    assert [signed.in_force(1, o)[1].price[0] for o in (7, 8, 9)] == [0.07, 0.08, 0.08]
    assert not signed.in_force(0, 8)[0].any()
    with pytest.raises(VppError, match="one gate after another"):
        signed.sign(0, 5, one, np.full(2, Window.NOTICE), terms_of(2))
