"""The negotiation: structure, the owners' floors, the information barrier, the market's rules."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vpp_policies.agentic import Agentic, NegotiationOptions
from vpp_policies.agentic.brains import make_brain
from vpp_policies.agentic.dispatch import CoalitionProblem
from vpp_policies.agentic.messages import AggregatorOffer, CoalitionTable, NegotiationSummary, parse
from vpp_policies.agentic.negotiation import CAR, FULL, RESERVE, Declared, Negotiation, Offer, Response
from vpp_policies.agentic.policy import Nodes, build_graph
from vpp_policies.agentic.rules import RulesProsumer, own_lines
from vpp_policies.evening import Promise
from vpp_policies.forecast import make_forecaster
from vpp_policies.stochastic.policy import ValueBids

from tests.policies.gates import real_gate
from vpp_env.contract.bids import BUY_KW, RESERVE_KW, SELL1_KW, SELL2_KW, Offers, check_actions, decode
from vpp_env.contract.policy import MarketRules
from vpp_env.contract.views import Homes, Public
from vpp_env.evaluation.kpi import summarize
from vpp_env.evaluation.measures import prosumer_table
from vpp_env.evaluation.simulate import simulate
from vpp_env.scenario import load_scenario
from vpp_env.simulation.month import Month
from vpp_env.units import POWER_QUANTUM_KW, PRICE_TICK

EVENING = 18


def gate(hour: int = EVENING) -> tuple[Homes, Public, MarketRules]:
    """A gate of the second day."""
    return real_gate(24 + hour)


@lru_cache
def problem() -> CoalitionProblem:
    """The dispatch problem, compiled once for all tests."""
    return CoalitionProblem(gate()[2].sell_limit_kw > 0)


def negotiate(
    homes: Homes, public: Public, rules: MarketRules, max_rounds: int = 3, brains: Any = None
) -> dict[str, Any]:
    aggregator, prosumers = brains or make_brain("rules", NegotiationOptions()).begin(rules)
    nodes = Nodes(rules, aggregator, prosumers, problem(), max_rounds, make_forecaster("learned"), Promise(rules))
    return build_graph(nodes).invoke({"homes": homes, "public": public})


def shuffled(hour: int, seed: int, level: float, min_bid_kw: float) -> tuple[Homes, Public, MarketRules]:
    """Random homes: rows drawn apart, prices and preferences scaled."""
    homes, public, rules = gate(hour)
    rng = np.random.default_rng(seed)
    n = rules.n_homes

    homes = replace(
        homes,
        willingness=rng.uniform(0.0, 1.0, n),
        own_ask=homes.own_ask * rng.uniform(0.2, 3.0, n),
        defer_ask=homes.defer_ask * rng.uniform(0.2, 3.0, n),
        reserve_ask=homes.reserve_ask * rng.uniform(0.0, 3.0, n),
        buy_limit=rng.uniform(-0.1, 0.3, n),
        blackout_now=rng.random(n) < 0.2,
        bess_sell_kw=homes.bess_sell_kw * rng.uniform(0.0, 1.0, n),
        defer_kw=np.minimum(rng.uniform(0.0, 11.0, n), homes.ev_kw),
        day_left_kwh=homes.day_left_kwh * rng.uniform(0.0, 1.0, n),
    )
    homes = replace(homes, defer_first_kw=np.maximum(homes.defer_first_kw, homes.defer_kw))
    homes = replace(homes, storage_sell_kw=np.maximum(homes.bess_sell_kw, homes.v2g_sell_kw))
    steps = len(public.da_usd_per_kwh)
    public = replace(public, da_usd_per_kwh=np.clip(level * rng.uniform(0.3, 2.0, steps), -0.15, 1.0))
    return homes, public, replace(rules, min_bid_kw=min_bid_kw, minimum="award")


def test_graph_has_the_stages_and_one_loop() -> None:
    policy = Agentic()
    policy.reset(gate()[2], np.random.default_rng(0))
    drawn = policy.graph.get_graph()
    stages = ["announce", "collect_bids", "rank", "counter_offer", "respond", "form_coalition", "dispatch", "bid"]
    assert set(stages) <= set(drawn.nodes)
    edges = {(e.source, e.target) for e in drawn.edges}
    assert {("respond", "counter_offer"), ("respond", "form_coalition"), ("form_coalition", "bid")} <= edges
    assert policy.graph.checkpointer is None
    # the information barrier is in the graph: only these two are handed the homes' rows
    private = {
        name for name, node in policy.graph.builder.nodes.items() if "homes" in node.input_schema.__annotations__
    }
    assert private == {"collect_bids", "respond"}


@given(
    st.sampled_from([2, 8, 13, EVENING, 20]),
    st.integers(0, 2**32 - 1),
    st.floats(-0.1, 0.6),
    st.sampled_from([0.0, 10.0, 60.0]),
    st.integers(1, 4),
)
@settings(max_examples=30, deadline=None)
def test_nobody_gives_more_or_for_less_than_it_said(
    hour: int, seed: int, level: float, min_bid_kw: float, max_rounds: int
) -> None:
    homes, public, rules = shuffled(hour, seed, level, min_bid_kw)
    final = negotiate(homes, public, rules, max_rounds)
    negotiation: Negotiation = final["negotiation"]
    kw, own, now = own_lines(homes, public, rules)
    assert negotiation.rounds <= max_rounds
    done = ~np.isnan(negotiation.agreed)
    assert (negotiation.agreed[done] >= own[done] - 1e-9).all()
    assert not (done & ~negotiation.declared.available).any()
    for offer, response in zip(negotiation.offers, negotiation.responses, strict=True):
        assert (offer.price[response.accepted] >= own[response.accepted] - 1e-9).all()
    # the bids, as the market reads them
    bids = final["bids"]
    read = decode(check_actions(bids.actions, rules.n_homes), rules.sell_limit_kw, rules.buy_limit_kw)
    offers = Offers(*read)
    sell, buy, reserve = (q * POWER_QUANTUM_KW for q in (offers.sell_q, offers.buy_q, offers.reserve_q))
    can = ~homes.blackout_now
    if rules.safeguard:
        assert (np.maximum(sell, reserve) <= kw[FULL] * can + 1e-6).all()
    else:
        assert (sell + reserve <= kw[FULL] * can + 1e-6).all()
    assert (reserve <= kw[RESERVE] * can + 1e-6).all()
    assert (buy <= now["buy_kw"] * can + 1e-6).all()
    # storage is never sold below the owner's ask: the first line holds no more than what the car can defer
    low = np.minimum(own[FULL], 1.0)
    assert (offers.sell1_q * POWER_QUANTUM_KW <= kw[CAR] * can + 1e-6).all()
    stored = (offers.sell2_q > 0) | ((reserve > 0) & (kw[FULL] > kw[CAR]))
    assert (offers.sell2_tick[stored] * PRICE_TICK >= low[stored] - 1e-9).all()
    sells = offers.sell1_q > 0
    assert (offers.sell1_tick[sells] * PRICE_TICK >= np.minimum(own[CAR], 1.0)[sells] - 1e-9).all()
    buys = buy > 0
    assert (offers.buy_tick[buys] * PRICE_TICK <= now["buy_limit"][buys] + 1e-9).all()
    bid = (sell > 0) | (buy > 0) | (reserve > 0)
    assert not (bid & ~bids.accepted).any()
    assert negotiation.status == "bid" or not bid.any()
    assert reserve.sum() == 0 or reserve.sum() >= rules.min_bid_kw - 0.01 * rules.n_homes
    assert sell.sum() + reserve.sum() <= public.required_kw + 1e-6


class Recited:
    """A prosumer side that says the same whatever the homes are."""

    def __init__(self, declared: Declared, responses: tuple[Response, ...]) -> None:
        self._declared, self._responses = declared, responses

    def declare(self, homes: Homes, public: Public, rules: MarketRules) -> Declared:
        return self._declared

    def respond(self, homes: Homes, public: Public, rules: MarketRules, offer: Offer, *_: object) -> Response:
        return self._responses[offer.round - 1]


def test_the_aggregator_is_blind_to_what_was_not_declared() -> None:
    homes, public, rules = gate()
    first = negotiate(homes, public, rules)
    recited = Recited(first["negotiation"].declared, first["negotiation"].responses)
    rng = np.random.default_rng(5)
    other = {}
    for f in fields(Homes):
        value = np.array(getattr(homes, f.name))
        other[f.name] = ~value if value.dtype == bool else rng.permutation(value.T).T * 3 + 1
    brains = (make_brain("rules", NegotiationOptions()).begin(rules)[0], recited)
    second = negotiate(Homes(**other), public, rules, brains=brains)
    assert second["bids"].actions.tobytes() == first["bids"].actions.tobytes()
    assert second["negotiation"].offers[0].price.tobytes() == first["negotiation"].offers[0].price.tobytes()


@given(st.integers(0, 19), st.floats(0.3, 2.0))
@settings(max_examples=20, deadline=None)
def test_a_home_answers_from_its_own_row(j: int, factor: float) -> None:
    homes, public, rules = gate()
    brain, brain_then = (
        RulesProsumer(0.15, 1.0, ValueBids(rules, make_forecaster("learned"), Promise(rules))) for _ in range(2)
    )
    changed = {}
    for f in fields(Homes):
        value = np.array(getattr(homes, f.name))
        if value.dtype != bool:
            value[..., j] = (value[..., j] * factor).astype(value.dtype)
        else:
            value[j] = ~value[j]
        changed[f.name] = value
    declared, declared_then = brain.declare(homes, public, rules), brain_then.declare(Homes(**changed), public, rules)
    rest = np.arange(rules.n_homes) != j
    for f in fields(Declared):
        np.testing.assert_array_equal(getattr(declared, f.name)[..., rest], getattr(declared_then, f.name)[..., rest])
    offer = Offer(1, declared.ask * 0.97, declared.kw, declared.kw > 0)
    said = brain.respond(homes, public, rules, offer, 3, declared)
    said_then = brain_then.respond(Homes(**changed), public, rules, offer, 3, declared_then)
    np.testing.assert_array_equal(said.accepted[:, rest], said_then.accepted[:, rest])
    np.testing.assert_array_equal(said.counter[:, rest], said_then.counter[:, rest])


def test_homes_give_way_and_end_at_their_own_ask() -> None:
    homes, public, rules = gate()
    cheap = replace(public, da_usd_per_kwh=public.da_usd_per_kwh * 0.0)
    dear = replace(public, da_usd_per_kwh=public.da_usd_per_kwh * 0.0 + 2.0)
    options = NegotiationOptions(markup=0.15, without="values")

    def talk(prices: Public) -> Negotiation:
        found: Negotiation = negotiate(homes, prices, rules, brains=make_brain("rules", options).begin(rules))[
            "negotiation"
        ]
        return found

    negotiation = talk(cheap)
    asks = [negotiation.declared.ask, *(r.counter for r in negotiation.responses)]
    assert negotiation.rounds == 3
    for earlier, later in pairwise(asks):
        assert (later <= earlier + 1e-12).all()
    own = own_lines(homes, cheap, rules)[1]
    np.testing.assert_allclose(asks[-1], np.minimum(own, asks[0]), atol=1e-9)
    # dear hours end early: everybody's ask is below what the price is worth
    early = talk(dear)
    selling = early.declared.kw[FULL] > 0
    assert (early.agreed[FULL, selling] >= negotiation.agreed[FULL, selling] - 1e-9).all()


@pytest.mark.parametrize("kind", ["summary", "full"])
def test_transcript_holds_valid_messages_and_no_clock(kind: str) -> None:
    month = Month(replace(load_scenario("week20"), time=replace(load_scenario("week20").time, duration_hours=6)), 0)
    runs = [simulate(month, Agentic("rules", NegotiationOptions(transcript=kind))).record.transcripts for _ in range(2)]
    assert runs[0] == runs[1]
    said = [parse(record) for record in runs[0]]
    assert sum(isinstance(m, NegotiationSummary) for m in said) == 6
    assert all(m.round <= m.of_rounds == 3 for m in said if isinstance(m, AggregatorOffer))
    assert kind == "full" or any(isinstance(m, CoalitionTable) for m in said)
    assert simulate(month, Agentic("rules", NegotiationOptions(transcript="none"))).record.transcripts == []


@pytest.mark.parametrize(("name", "hours"), [("week20", 168), ("august", 96)])
def test_no_owner_is_violated(name: str, hours: int) -> None:
    scenario = load_scenario(name)
    run = simulate(Month(replace(scenario, time=replace(scenario.time, duration_hours=hours)), 0), Agentic())
    kpi = summarize(run)
    assert kpi.total_violations.total == 0
    homes = prosumer_table(run.record, run.world.scenario.satisfaction, run.info)
    assert (homes[["s_reserve", "s_ev", "s_pay", "s_use"]].fillna(1.0) > 0.999).all(axis=None)
    assert kpi["satisfaction_consented"] == 0.0, "its agents' acceptance is its own word"
    assert kpi["owners_lost"] == 0
    table = run.record.opportunities()
    assert table["notes_fallbacks"].sum() == 0
    assert table["negotiation_rounds"].max() <= 3


def test_a_fleet_without_devices_bids_nothing() -> None:
    scenario = load_scenario("quick")
    bare = replace(scenario, fleet=replace(scenario.fleet, share_bess=0.0, share_ev=0.0))
    run = simulate(Month(bare, 0), Agentic())
    table = run.record.opportunities()
    assert run.complete
    assert not table["success"].any()
    assert (table["negotiation_rounds"] == 0).all()


def test_below_the_minimum_bid_nothing_is_bid() -> None:
    homes, public, rules = gate()
    final = negotiate(homes, public, replace(rules, min_bid_kw=1e4, minimum="award"))
    assert final["negotiation"].status == "below the minimum bid"
    assert (final["bids"].actions[:, [SELL1_KW, SELL2_KW, BUY_KW, RESERVE_KW]] == -1.0).all()
