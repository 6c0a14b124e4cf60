"""The measurement of docs/market.md: a test of which nothing is said is a test all the same."""

from __future__ import annotations

from market.untold import test_of as steps_of_test
from market.untold import untold
from support import begin, month

from vpp_env.contract.views import Information
from vpp_env.simulation.view_builder import build_view

SMALL = {"fleet.size": 8, "market.min_bid_mw": 0.0}


def test_nothing_is_said_of_the_test_and_it_is_called_all_the_same() -> None:
    m = month("august", SMALL, 1004)
    evening = steps_of_test(m)
    assert evening is not None
    world = begin(m)
    # the gate before the evening: its first hours are bid for, all of it is published
    world.visit(evening.start // world.steps - world.lead)
    told = build_view(world, Information.OWN).public.capacity_called
    assert told[: evening.stop - evening.start].all()
    with untold(evening):
        silent = build_view(world, Information.OWN).public.capacity_called
    assert len(silent) == len(told)
    assert not silent.any()
    assert build_view(world, Information.OWN).public.capacity_called.sum() == told.sum()
    assert world.exchange.firm.called[0].sum() == 1


def test_a_month_with_a_dear_evening_has_no_test() -> None:
    assert steps_of_test(month("august", SMALL, 1003)) is None
