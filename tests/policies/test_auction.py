"""The auction as a policy: one price for all, nobody below its ask, blindness of the auctioneer."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import vpp_policies.auction as room
from support import begin, month, with_prices
from vpp_policies.auction import Auction, auctioned
from vpp_policies.truthful import Truthful, own_offers

from tests.policies.gates import real_gate
from vpp_env.contract.bids import Offers, decode
from vpp_env.contract.policy import MarketRules
from vpp_env.contract.views import Homes, Information, Public, View
from vpp_env.core import ledger as led
from vpp_env.evaluation.kpi import summarize
from vpp_env.evaluation.measures import prosumer_table
from vpp_env.evaluation.simulate import market_rules, policy_rng, simulate
from vpp_env.simulation.view_builder import build_view
from vpp_env.units import POWER_QUANTUM_KW, PRICE_TICK

FLEET = {"fleet.size": 30, "fleet.share_bess": 0.8, "fleet.share_ev": 0.7, "market.min_bid_mw": 0.0}


def gate(hours: int = 42, changes: tuple[tuple[str, float], ...] = ()) -> tuple[Homes, Public, MarketRules]:
    return real_gate(hours, tuple((FLEET | dict(changes)).items()))


def at_price(public: Public, level: float, incentive: float = 0.0) -> Public:
    steps = len(public.da_usd_per_kwh)
    return replace(public, da_usd_per_kwh=np.full(steps, level), incentive_usd_per_kwh=np.full(steps, incentive))


def lines(offers: dict[str, np.ndarray], what: str) -> np.ndarray:
    """(2 N,) `kw` or `ask`: the first lines of all homes, then the second."""
    return np.concatenate([offers[f"sell1_{what}"], offers[f"sell2_{what}"]])


def view_of(homes: Homes, public: Public) -> View:
    return View(public, Information.DECLARED, homes)


def decoded(policy: Auction | Truthful, homes: Homes, public: Public, rules: MarketRules) -> Offers:
    policy.reset(rules, policy_rng(0))
    actions = policy.act(view_of(homes, public)).actions
    return Offers(*decode(actions, rules.sell_limit_kw, rules.buy_limit_kw))


@pytest.mark.parametrize("hours", [2, 12, 20, 42])
@pytest.mark.parametrize("level", [-0.2, -0.03, 0.02, 0.08, 0.15, 0.3, 0.9])
@pytest.mark.parametrize("incentive", [0.0, 2.0])
def test_one_price_and_nobody_beyond_its_own(hours: int, level: float, incentive: float) -> None:
    homes, public, rules = gate(hours)
    public = at_price(public, level, incentive)
    declared = own_offers(homes, public, rules)
    bids, cleared = auctioned(declared, public, rules)
    sells, buys = cleared.sold[:-1] > 0, cleared.bought[:-1] > 0
    price = np.floor(cleared.price + 1e-9) * PRICE_TICK
    got, asked = lines(bids, "ask"), lines(declared, "ask")
    assert (got >= asked).all()
    assert (bids["buy_limit"] <= declared["buy_limit"]).all()
    for name in ("sell1_kw", "sell2_kw", "buy_kw", "reserve_kw", "reserve_ask"):
        assert np.array_equal(bids[name], declared[name])
    # asks live on whole ticks: within one tick of the price all are at it, or at what a bid can express
    at = np.clip(price, 0.0, 1.0)
    assert (np.abs(got[sells] - at) < PRICE_TICK).all()
    np.testing.assert_allclose(bids["buy_limit"][buys], max(price, -0.15))
    assert np.array_equal(got[~sells], asked[~sells])
    assert np.array_equal(bids["buy_limit"][~buys], declared["buy_limit"][~buys])
    # the wholesale market is elastic: the price lies between what it pays and what it asks
    outlet = (level + incentive) / (1 + rules.margin)
    assert outlet - 1.001 * PRICE_TICK <= price <= max(level, outlet) + 1.001 * PRICE_TICK
    # as the market decodes it: quantities as truthful homes offer them, prices never worse for the home
    own, sent = decoded(Truthful(), homes, public, rules), decoded(Auction(), homes, public, rules)
    assert np.array_equal(sent.sell1_q, own.sell1_q)
    assert np.array_equal(sent.sell2_q, own.sell2_q)
    assert np.array_equal(sent.reserve_q, own.reserve_q)
    assert np.array_equal(sent.reserve_tick, own.reserve_tick)
    assert (sent.sell1_tick >= own.sell1_tick).all()
    assert (sent.sell2_tick >= own.sell2_tick).all()
    assert (sent.buy_tick <= own.buy_tick).all()


def test_the_cases_above_hold_every_kind_of_trade() -> None:
    sellers = buyers = rest = 0
    for hours in (2, 12, 20, 42):
        for level in (0.02, 0.08, 0.3):
            homes, public, rules = gate(hours)
            public = at_price(public, level)
            declared = own_offers(homes, public, rules)
            _, cleared = auctioned(declared, public, rules)
            sellers += int((cleared.sold[:-1] > 0).sum())
            buyers += int((cleared.bought[:-1] > 0).sum())
            rest += int(((lines(declared, "kw") > 0) & (cleared.sold[:-1] == 0)).sum())
    assert min(sellers, buyers, rest) > 10


def test_the_wholesale_price_decides_where_homes_do_not() -> None:
    _, public, rules = gate()
    n = rules.n_homes
    zero = np.zeros(n)
    offers = {
        "sell1_kw": np.full(n, 1.0),
        "sell1_ask": np.linspace(0.01, 0.30, n),
        "sell2_kw": zero,
        "sell2_ask": np.ones(n),
        "buy_kw": zero,
        "buy_limit": zero,
        "reserve_kw": zero,
        "reserve_ask": zero,
    }
    bids, cleared = auctioned(offers, at_price(public, 0.105), rules)
    assert cleared.price == 100.0, "the expected price less the margin: .105 / 1.05"
    np.testing.assert_allclose(bids["sell1_ask"], np.maximum(offers["sell1_ask"], 0.10))
    # the VPP may sell only 5 kW: the fifth home in merit order and the first left out make the price
    bids, cleared = auctioned(offers, replace(at_price(public, 0.105), required_kw=5.0), rules)
    assert cleared.sold[:-1].sum() == 500.0
    ticks = np.ceil(offers["sell1_ask"] / PRICE_TICK - 1e-6)
    assert cleared.price == (ticks[4] + ticks[5]) / 2
    # homes buy more at .2 than homes sell below it: the price is what a kWh costs outside
    hungry = offers | {"buy_kw": np.full(n, 9.0), "buy_limit": np.full(n, 0.2)}
    _, cleared = auctioned(hungry, at_price(public, 0.105), rules)
    assert cleared.price == 105.0
    assert cleared.bought[:-1].sum() == 900.0 * n


def test_those_who_do_not_trade_are_sent_away_on_request() -> None:
    homes, public, rules = gate()
    public = at_price(public, 0.08)
    declared = own_offers(homes, public, rules)
    _, cleared = auctioned(declared, public, rules)
    sent = decoded(Auction(offer_rest=False), homes, public, rules)
    np.testing.assert_array_equal(np.concatenate([sent.sell1_q, sent.sell2_q]), np.floor(cleared.sold[:-1] + 1e-6))
    np.testing.assert_array_equal(sent.buy_q, np.floor(cleared.bought[:-1] + 1e-6))
    assert sent.sell_q.sum() * POWER_QUANTUM_KW < lines(declared, "kw").sum() - 1.0


def poked(homes: Homes, rng: np.random.Generator) -> Homes:
    """Everything that is private is another."""
    changed = {}
    for f in fields(homes):
        x = getattr(homes, f.name)
        changed[f.name] = ~x if x.dtype == bool else (x * rng.uniform(0.2, 3.0, x.shape) + 0.01).astype(x.dtype)
    return Homes(**changed)


def test_the_auctioneer_reads_what_is_declared_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    homes, public, rules = gate(changes=(("market.two_settlement", True),))
    assert rules.two_settlement
    declared = own_offers(homes, public, rules)
    monkeypatch.setattr(room, "own_offers", lambda *_: declared)
    sent = []
    for rows in (homes, poked(homes, np.random.default_rng(0))):
        policy = Auction()
        policy.reset(rules, policy_rng(0))
        sent.append(policy.act(view_of(rows, public)))
    assert sent[0].actions.tobytes() == sent[1].actions.tobytes()
    assert sent[0].notes == sent[1].notes
    # the test can fail: what a home declares does matter
    other = {**declared, "sell1_kw": declared["sell1_kw"] * 0.5}
    monkeypatch.setattr(room, "own_offers", lambda *_: other)
    policy = Auction()
    policy.reset(rules, policy_rng(0))
    assert policy.act(view_of(homes, public)).actions.tobytes() != sent[0].actions.tobytes()


def test_a_home_inside_the_margin_cannot_change_what_it_gets() -> None:
    homes, public, rules = gate()
    public = at_price(public, 0.5)
    declared = own_offers(homes, public, rules)
    bids, cleared = auctioned(declared, public, rules)
    inside = np.flatnonzero((cleared.sold[:-1] > 0) & (lines(declared, "ask") < 0.3))
    assert len(inside) > 5
    for i in inside[:6]:
        lie = lines(declared, "ask")
        lie[i] += 0.1
        first, second = lie.reshape(2, -1)
        got, again = auctioned({**declared, "sell1_ask": first, "sell2_ask": second}, public, rules)
        assert again.price == cleared.price
        assert np.array_equal(lines(got, "ask"), lines(bids, "ask"))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"market.two_settlement": True},
        {"market.gate_lead_minutes": 75},
        {"market.payment": "pay_as_bid", "time.opportunity_minutes": 15},
    ],
)
def test_a_short_month_breaks_no_promise(changes: dict[str, object]) -> None:
    base = FLEET | {"time.duration_hours": 72}
    run = simulate(month("week20", base | changes, 1), Auction())
    kpi, totals = summarize(run), run.record.totals
    assert run.complete
    assert kpi.total_violations.total == 0
    homes = prosumer_table(run.record, run.world.scenario.satisfaction, run.info)
    assert (homes[["s_reserve", "s_ev", "s_pay", "s_use"]].fillna(1.0) > 0.999).all(axis=None)
    # what is declared to an auctioneer is no checked consent
    assert kpi["satisfaction_consented"] == 0.0
    assert totals[led.L_SOLD].sum() > 0
    assert totals[led.L_BOUGHT].sum() > 0
    assert (totals[led.L_PAY_SOLD] >= totals[led.L_OWED] - 1e-9).all(), "nobody is paid less than it asks"
    table = run.record.opportunities()
    conserved = table["money_energy"] + table["money_reserve"] - table["money_nopay"] - table["money_deviation"]
    conserved += table["money_programme"] + table["money_day_ahead"]
    np.testing.assert_allclose(conserved, table["actual_profit"] + table["money_payments"] + table["money_compute"])


def test_sellers_are_paid_the_price_of_the_auction_or_more() -> None:
    """Day ahead .20, real time .25: all who trade clear, and are paid the auction's price at least."""
    m = with_prices(month("week20", FLEET | {"market.payment": "pay_as_bid"}, 2), rt=250.0, da=200.0)
    world, policy = begin(m), Auction()
    policy.reset(market_rules(world), policy_rng(0))
    sold = 0.0
    for _ in range(21):
        bids = policy.act(build_view(world, Information.DECLARED))
        rows = world.step(bids.actions).ledger[:, 0]
        offers = Offers(*decode(bids.actions, world.sell_limit_kw, world.buy_limit_kw))
        # real time is above every ask: all that is offered clears, and each line is paid its own
        asks, kw = np.stack([offers.sell1_tick, offers.sell2_tick]), np.stack([offers.sell1_q, offers.sell2_q])
        ask, high = (f(np.where(kw > 0, asks, asks[::-1]), axis=0) * PRICE_TICK for f in (np.min, np.max))
        assert (rows[led.L_PAY_SOLD] >= rows[led.L_SOLD] * ask - 1e-9).all()
        assert (rows[led.L_PAY_SOLD] <= rows[led.L_SOLD] * high + 1e-9).all()
        price = np.floor(bids.notes["auction_price"] / PRICE_TICK + 1e-6) * PRICE_TICK
        assert 0.190 - 1e-9 <= price <= 0.200 + 1e-9, "what wholesale pays, up to what it asks where homes buy more"
        assert (ask[rows[led.L_SOLD] > 0] >= price - 1e-9).all()
        sold += rows[led.L_SOLD].sum()
    assert sold > 5.0


def test_the_rest_is_there_for_a_spike() -> None:
    """Day ahead .02 pays nobody; at a spike of .60 the homes sell all the same - if they are let."""
    m = with_prices(month("week20", FLEET, 2), rt=600.0, da=20.0)
    sold = {}
    for rest in (True, False):
        world, policy = begin(m), Auction(offer_rest=rest)
        policy.reset(market_rules(world), policy_rng(0))
        bids = policy.act(build_view(world, Information.DECLARED))
        assert (np.abs(bids.actions) <= 1.0).all()
        sold[rest] = world.step(bids.actions).ledger[led.L_SOLD].sum()
    assert sold[True] > 1.0
    assert sold[False] < 0.5 * sold[True]
