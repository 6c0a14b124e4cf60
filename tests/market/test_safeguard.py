"""The safeguard: a home's gateway keeps its owner's envelope at delivery unless a policy overrides it."""

from __future__ import annotations

import numpy as np
import pytest
from support import STYLES, begin, month, play, random_actions, same, with_prices

from vpp_env.contract.bids import encode
from vpp_env.core import ledger as led
from vpp_env.core.layout import FLOW
from vpp_env.errors import BidError
from vpp_env.simulation.world import World

ON = {
    "market.safeguard": True,
    "market.min_bid_mw": 0.0,
    "market.call_probability": 0.3,
    "fleet.size": 40,
    "fleet.share_bess": 0.8,
    "fleet.share_ev": 0.8,
    "fleet.v2g_share": 0.5,
    "time.duration_hours": 72,
}
OFF = ON | {"market.safeguard": False}


def wild(world: World, seed: int, style: str, override: np.ndarray | None) -> list:
    rng = np.random.default_rng(seed)
    out = []
    while not world.done:
        out.append(world.step(random_actions(rng, world.n_homes, style), override=override))
    return out


@pytest.mark.parametrize("control", ["backup", "self_consumption"])
@pytest.mark.parametrize("style", STYLES)
def test_no_bid_leaves_the_envelope(style: str, control: str) -> None:
    changes = {"home.control": control}
    out = play(begin(month("week20", ON | changes, 3)), 1, style)
    rows = np.sum([o.ledger[:, 0] for o in out], axis=0)
    for row in (led.L_BEYOND, led.L_BLACK, led.L_DEPTH_H, led.L_OVER):
        np.testing.assert_allclose(rows[row], 0.0, atol=1e-9, err_msg=str(row))
    assert max(o.short.max() for o in out) <= 1e-9
    assert sum(o.missed.sum() for o in out) == 0.0
    assert rows[[led.L_SOLD, led.L_BOUGHT]].sum() > 0.0, "there is something that the gateway let through"
    free = play(begin(month("week20", OFF | changes, 3)), 1, style)
    assert sum(o.ledger[led.L_BEYOND].sum() for o in free) > 1.0, "and something that it did not"


@pytest.mark.parametrize("style", STYLES)
def test_override_everywhere_is_no_safeguard(style: str) -> None:
    guarded, free = begin(month("week20", ON, 1)), begin(month("week20", OFF, 1))
    everywhere = np.ones(guarded.n_homes, dtype=bool)
    for a, b in zip(wild(guarded, 5, style, everywhere), wild(free, 5, style, None), strict=True):
        assert same(a, b)


def test_override_is_of_the_homes_that_it_names() -> None:
    some = np.arange(40) % 2 == 0
    out = wild(begin(month("week20", ON, 2)), 3, "sell", some)
    beyond = np.sum([o.ledger[led.L_BEYOND, 0] for o in out], axis=0)
    assert beyond[some].sum() > 1.0
    np.testing.assert_allclose(beyond[~some], 0.0, atol=1e-9)


def test_override_waits_with_its_bids() -> None:
    """With a lead of one opportunity the gateway is open in the opportunity that the bids were for."""
    world = begin(month("week20", ON | {"market.gate_lead_minutes": 60}, 2))
    fire = encode(world.sell_limit_kw, world.buy_limit_kw, sell1_kw=99.0, sell1_ask=0.0)
    everywhere, beyond = np.ones(world.n_homes, dtype=bool), []
    for override in (everywhere, None, None):
        beyond.append(float(world.step(fire, override=override).ledger[led.L_BEYOND].sum()))
    assert beyond[0] == 0.0
    assert beyond[1] > 1.0
    assert beyond[2] == 0.0


def test_what_is_not_delivered_is_a_deviation() -> None:
    changes = ON | {"market.deviation_kappa": 0.25, "time.duration_hours": 12, "market.call_probability": 0.0}
    made = with_prices(month("week20", changes, 2), rt=200.0, calls=False)
    world, missing = begin(made), 0.0
    fire = encode(world.sell_limit_kw, world.buy_limit_kw, sell1_kw=99.0, sell1_ask=0.0)
    while not world.done:
        o = world.step(fire)
        gap = np.abs(o.flow_kw[:, FLOW.market, 0] - o.award_kw[:, 0])
        assert o.money.deviation[0] == pytest.approx(0.25 * 0.25 * 0.2 * float(gap.sum()), abs=1e-9)
        metered = float(o.flow_kw[:, FLOW.market, 0].sum()) * 0.25
        assert o.money.energy[0] == pytest.approx(0.2 * metered, abs=1e-9)
        assert o.money.revenue[0] == pytest.approx(
            o.money.profit[0] + o.money.payments[0] + o.money.compute[0], abs=1e-9
        )
        missing += float((o.award_kw[:, 0] - o.flow_kw[:, FLOW.sold, 0]).sum()) * 0.25
    assert missing > 1.0


def test_reserve_stays_above_the_owners_floor() -> None:
    changes = {"fleet.size": 60, "fleet.share_bess": 1.0, "fleet.share_ev": 0.0, "time.duration_hours": 1}
    prices = {"spin": 20.0, "nonspin": 5.0}
    held = {}
    for on in (True, False):
        made = with_prices(
            month("week20", ON | changes | {"market.safeguard": on}), rt=100.0, reserve=prices, calls=False
        )
        world = begin(made)
        o = world.step(encode(world.sell_limit_kw, world.buy_limit_kw, reserve_kw=99.0, reserve_ask=0.0))
        held[on], f = o.ledger[led.L_RESERVE, 0], made.fleet
    above = np.maximum(f.bess_init_kwh - np.maximum(f.floor_kwh, f.bess_min_kwh), 0.0) * 0.95 / 0.5
    assert (held[True] <= np.minimum(f.bess_kw, above) + 1e-9).all()
    assert (held[True] <= held[False] + 1e-9).all()
    assert held[True].sum() < held[False].sum() - 1.0


@pytest.mark.parametrize("bad", [np.ones(39, dtype=bool), np.ones(40), [True]])
def test_an_override_of_the_wrong_kind_is_refused(bad: object) -> None:
    with pytest.raises(BidError, match="allowed is bool of shape"):
        begin(month("week20", ON)).step(np.full((40, 8), -1.0), override=bad)  # type: ignore[arg-type]
