"""What stored energy is worth at a gate: slopes of the exact value functions."""

from __future__ import annotations

import numpy as np
from vpp_policies.gate.inputs import SEGMENTS
from vpp_policies.optimal.devices import Wishes
from vpp_policies.optimal.month_value import MonthValue

from tests.support import begin, month, with_prices
from vpp_env.contract.views import Information
from vpp_env.evaluation.simulate import market_rules
from vpp_env.simulation.view_builder import build_view


def value_of(rt: float | None = None) -> MonthValue:
    changes = {"time.duration_hours": 24, "market.reserve": False}
    base = month("week20", changes)
    world = begin(base if rt is None else with_prices(base, rt=rt, da=rt))
    view = build_view(world, Information.ORACLE)
    return MonthValue(view.homes, view.foresight(), market_rules(world), Wishes.FREE)


def test_pieces_fall_and_add_up_to_the_value_between_their_ends() -> None:
    value = value_of()
    every = slice(None)
    devices = len(value.stores)
    assert devices > 3
    for gate in (0, 7, 24):
        low, high = value._low[:, gate], value._high[:, gate]
        slopes = value.slopes(every, gate, low, high, SEGMENTS)
        assert slopes.shape == (devices, SEGMENTS)
        assert (np.diff(slopes, axis=1) <= 1e-12).all()
        worth = (slopes * ((high - low) / SEGMENTS)[:, None]).sum(axis=1)
        held = np.maximum(high - low, 0.0) > 1e-6
        grid = value._value[:, gate]
        np.testing.assert_allclose(worth[held], (grid[:, -1] - grid[:, 0])[held], atol=1e-9)
    # beyond the end nothing changes any more
    end = value.slopes(every, 24, low, high, SEGMENTS)
    np.testing.assert_array_equal(value.slopes(every, 99, low, high, SEGMENTS), end)


def test_a_span_of_no_width_is_worth_nothing() -> None:
    value = value_of()
    low = value._low[:, 3]
    np.testing.assert_array_equal(value.slopes(slice(None), 3, low, low, SEGMENTS), 0.0)


def test_dearer_prices_make_stored_energy_dearer() -> None:
    cheap, dear = value_of(50.0), value_of(500.0)
    low, high = cheap._low[:, 6], cheap._high[:, 6]
    first = [v.slopes(slice(None), 6, low, high, SEGMENTS)[:, 0] for v in (cheap, dear)]
    assert (first[1] >= first[0] - 1e-9).all()
    assert (first[1] > first[0] + 0.1).any()


def test_a_walk_is_what_the_devices_do_and_keeps_the_days_limit() -> None:
    changes = {"time.duration_hours": 48, "market.reserve": False}
    world = begin(month("week20", changes))
    view, rules = build_view(world, Information.ORACLE), market_rules(world)
    f, homes = view.foresight(), view.homes
    value = MonthValue(homes, f, rules, Wishes.ASKS)
    steps = value.walk(homes, 0, f.n_steps)
    b = np.flatnonzero(homes.bess_kwh > 0)
    held = np.concatenate([homes.soc_kwh[b][:, None], steps.held[: len(b)]], axis=1)
    change = steps.took[: len(b)].sum(axis=2) - steps.gave[: len(b)].sum(axis=2)
    np.testing.assert_allclose(np.diff(held, axis=1), change, atol=1e-9)
    sold = steps.gave[: len(b), :, 0] * rules.bess_eta
    for day in np.unique(f.day):
        left = homes.day_left_kwh if day == f.day[0] else homes.day_limit_kwh
        assert (sold[:, f.day == day].sum(axis=1) <= left[b] + 1e-9).all()
    assert sold.sum() > 1.0
    # it ends with the month, and begins where it is told to
    assert value.walk(homes, 100, 10_000).held.shape[1] == f.n_steps - 100
    np.testing.assert_array_equal(value.walk(homes, 0, 8).held, steps.held[:, :8])
