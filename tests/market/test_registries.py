"""A stranger's clearing and payment rule: registered, named by a scenario, used by a month that is played."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from support import begin, month, play, with_prices

from vpp_env.contract.bids import encode
from vpp_env.core import ledger as led
from vpp_env.errors import UnknownNameError
from vpp_env.market.clearing import CLEARINGS, Terms
from vpp_env.market.payment import PAYMENTS, PaymentRule
from vpp_env.units import PRICE_TICK

HOUR = {"time.duration_hours": 2, "fleet.size": 20, "fleet.share_bess": 1.0, "market.min_bid_mw": 0.0}
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Lunch:
    """Sales clear up to a fixed ask, whatever the price; nobody may buy."""

    most: float  # USD/kWh

    def terms(self, lmp_usd_per_kwh: Floats, incentive: Floats | float = 0.0, shift: Floats | float = 0.0) -> Terms:
        ticks = np.full(lmp_usd_per_kwh.shape, round(self.most / PRICE_TICK))
        # plain Python integers and another order of axes in memory: what a stranger may well return
        return Terms(np.asfortranarray(ticks), np.full(lmp_usd_per_kwh.shape, 10**6, dtype=np.int32), 0)


def sold(changes: dict[str, object], ask: float) -> tuple[float, float]:
    """(kWh sold, USD paid per kWh) of a first opportunity at 100 USD/MWh in which every home offers 1 kW."""
    world = begin(with_prices(month("week20", HOUR | changes), rt=100.0, calls=False))
    o = world.step(encode(world.sell_limit_kw, world.buy_limit_kw, sell1_kw=1.0, sell1_ask=ask))
    play(world, 0)
    assert world.done
    kwh = float(o.ledger[led.L_SOLD].sum())
    return kwh, float(o.ledger[led.L_PAY_SOLD].sum()) / kwh if kwh else 0.0


def test_a_registered_clearing_clears(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CLEARINGS, "lunch", lambda market: Lunch(2 * market.margin))
    assert sold({"market.clearing": "lunch"}, ask=0.1)[0] > 10.0, "the margin is .05: asks up to .1 clear"
    assert sold({"market.clearing": "lunch"}, ask=0.101)[0] == 0.0
    assert sold({}, ask=0.1)[0] == 0.0, "a price taker refuses the offer of .105 at .1"


def test_a_registered_payment_rule_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PAYMENTS, "all_of_it", lambda market: PaymentRule(1, 0))
    assert sold({"market.payment": "all_of_it"}, ask=0.01)[1] == pytest.approx(0.1)
    assert sold({}, ask=0.01)[1] == pytest.approx(0.07)


@pytest.mark.parametrize("field", ["clearing", "payment"])
def test_an_unknown_name_lists_what_is_registered(field: str) -> None:
    with pytest.raises(UnknownNameError, match="Known: "):
        begin(month("week20", HOUR | {f"market.{field}": "lunch_break"}))
