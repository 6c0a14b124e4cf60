"""Programme events: when they are, what they pay, who knows of them when."""

from __future__ import annotations

import numpy as np
import pytest
from support import begin, month, play, with_prices
from vpp_policies.truthful import Truthful

from vpp_env.contract.bids import encode
from vpp_env.contract.views import Information
from vpp_env.core import ledger as led
from vpp_env.core.layout import FLOW
from vpp_env.evaluation.simulate import simulate
from vpp_env.simulation.view_builder import build_view
from vpp_env.traces.weather import build_day_weather, heatwave_range
from vpp_env.units import PRICE_TICK

HOT = {"market.programme": "elrp", "prices.heatwave_days": 3, "fleet.size": 12, "market.min_bid_mw": 0.0}
EVENING = HOT | {"market.programme_temp_c": -50.0, "time.start": "2023-08-02T15:00", "time.duration_hours": 8}


@pytest.mark.parametrize("start", ["2023-08-01T00:00", "2023-11-03T18:00", "2023-08-01T19:00"])
def test_events_are_the_evenings_of_hot_days(start: str) -> None:
    m = month(
        "week20", HOT | {"time.start": start, "market.programme_temp_c": 36.0, "market.programme_season_hours": 12.0}, 1
    )
    expected, hours = [], 0.0
    for t, stamp in enumerate(m.calendar.local):
        hot = build_day_weather(m.scenario, 1, int(m.calendar.day[t]))[0].max() >= 36.0
        event = hot and 16 <= stamp.hour < 21 and hours < 12.0
        hours += 0.25 * event
        expected.append(bool(event))
    assert m.events[: len(expected)].tolist() == expected
    if start == "2023-08-01T00:00":
        days = set(m.calendar.day[np.flatnonzero(m.events[: len(expected)])].tolist())
        assert 0 < m.events.sum() * 0.25 <= 12.0
        assert days & set(heatwave_range(m.scenario, 1))
    assert not month("week20", {"fleet.size": 12}).events.any(), "none by default"


@pytest.mark.parametrize("style", ["any", "sell", "edge"])
def test_the_programme_pays_for_net_delivery_and_money_is_conserved(style: str) -> None:
    world = begin(month("week20", EVENING | {"time.opportunity_minutes": 15}, 2))
    paid, net = 0.0, 0.0
    for o in play(world, 1, style):
        rows, money, lmp, incentive = o.ledger[:, 0], o.money, o.lmp[0, 0], o.incentive[0, 0]
        stamp = world.calendar.local[o.opportunity]
        assert incentive == (2.0 if 16 <= stamp.hour < 21 else 0.0)
        metered = float(o.flow_kw[0, FLOW.market, 0])
        before, net = max(0.0, net), net + 0.25 * metered if incentive else 0.0
        assert money.programme[0] == pytest.approx(incentive * (max(0.0, net) - before), abs=1e-9)
        given = rows[led.L_SOLD] + rows[led.L_CALLED]
        asks = np.sort([o.offers.sell1_tick[0], o.offers.sell2_tick[0]], axis=0) * PRICE_TICK
        least, most = np.maximum(asks, 0.7 * (lmp + incentive)) * given
        assert (rows[led.L_PAY_SOLD] >= least - 1e-12).all()
        assert (rows[led.L_PAY_SOLD] <= most + 1e-12).all()
        alone = (o.offers.sell1_q[0] == 0) | (o.offers.sell2_q[0] == 0) | (asks[0] == asks[1])
        one_line = alone & (rows[led.L_CALLED] == 0.0)
        mine = np.where(o.offers.sell2_q[0] > 0, o.offers.sell2_tick[0], o.offers.sell1_tick[0]) * PRICE_TICK
        pay = np.maximum(mine, 0.7 * (lmp + incentive)) * given
        np.testing.assert_allclose(rows[led.L_PAY_SOLD][one_line], pay[one_line], rtol=0, atol=1e-12)
        left = money.energy + money.programme + money.reserve - money.nopay
        assert money.profit[0] == pytest.approx(float(left[0] - money.payments[0]), abs=1e-12)
        paid += float(money.programme[0])
    assert paid > 0.0


@pytest.mark.parametrize("incentive", [0.05, 2.0])
def test_selling_and_buying_in_turns_inside_an_event_earns_nothing(incentive: float) -> None:
    """The programme pays for the net of the event, and a purchase in it must be worth the incentive that it cancels."""
    changes = EVENING | {"market.programme_usd_per_kwh": incentive, "time.opportunity_minutes": 15}
    made = with_prices(month("week20", changes | {"fleet.share_bess": 1.0}, 2), rt=100.0, da=100.0, calls=False)
    earned, net, bought = {}, {}, {}
    for kind in ("pump", "sell"):
        world, paid, energy, taken = begin(made), 0.0, 0.0, 0.0
        while not world.done:
            turn = world.opportunity % 2 == 0
            event = made.events[world.t]
            sells = event and (turn if kind == "pump" else world.opportunity % 8 < 2)
            o = world.step(
                encode(
                    world.sell_limit_kw,
                    world.buy_limit_kw,
                    sell1_kw=99.0 * sells,
                    sell1_ask=0.0,
                    buy_kw=99.0 * (event and kind == "pump" and not turn),
                    buy_limit=0.35,
                )
            )
            paid += float(o.money.programme[0])
            energy += float(o.flow_kw[:, FLOW.market].sum()) * 0.25 * event
            taken += float(o.ledger[led.L_BOUGHT].sum())
            profit, left = o.money.profit[0], o.money.revenue[0] - o.money.payments[0] - o.money.compute[0]
            assert profit == pytest.approx(left, abs=1e-9)
        earned[kind], net[kind], bought[kind] = paid, energy, taken
    for kind in earned:
        assert earned[kind] == pytest.approx(incentive * max(0.0, net[kind]), abs=1e-9)
    assert earned["sell"] > 0.0
    # at 2 USD/kWh no limit pays for what is given up; at .05 purchases clear, and cancel the sales
    assert (bought["pump"] > 0.0) == (incentive < 0.25)
    assert net["pump"] <= net["sell"] + float(made.fleet.bess_kwh.sum()), "the net is what the stores held"


def test_an_event_is_announced_with_the_prices_of_its_day() -> None:
    m = month("week20", HOT | {"market.programme_temp_c": -50.0, "time.duration_hours": 60})
    world, seen = begin(m), []
    while not world.done:
        public, t = build_view(world, Information.OWN).public, world.t
        incentive = public.incentive_usd_per_kwh
        np.testing.assert_array_equal(incentive, np.where(m.events[t : t + len(incentive)], 2.0, 0.0))
        assert len(incentive) == len(public.da_usd_per_kwh)
        days = m.calendar.day[t : t + len(incentive)][incentive[: len(m.calendar.day) - t] > 0] - m.calendar.day[t]
        seen.append((public.start.hour, int(days.max(initial=0))))
        world.step(np.full((12, 8), -1.0))
    assert all(day == 0 for hour, day in seen if hour < 13)
    assert any(day == 1 for hour, day in seen if hour >= 13)


def test_truthful_homes_answer_an_event() -> None:
    """At a price at which nobody sells anything by itself."""
    sold = []
    for kind in ("elrp", "none"):
        m = with_prices(month("week20", EVENING | {"market.programme": kind}), rt=15.0, da=15.0)
        sold.append(simulate(m, Truthful()).record.opportunities())
    assert sold[0]["sold_kwh"].sum() > 10.0
    assert sold[0]["programme_event"].sum() == 5
    assert sold[1]["bess_kwh"].sum() == 0.0
    assert not sold[1]["programme_event"].any()
