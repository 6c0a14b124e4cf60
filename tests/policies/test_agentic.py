"""The negotiation: structure, the owners' floors, the information barrier, the market's rules."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import month, terms_of
from vpp_policies.agentic import Agentic, NegotiationOptions, agentic
from vpp_policies.agentic.brains import make_brain
from vpp_policies.agentic.dispatch import CoalitionProblem
from vpp_policies.agentic.messages import (
    AggregatorOffer,
    CoalitionTable,
    NegotiationSummary,
    ProsumerResponse,
    parse,
)
from vpp_policies.agentic.negotiation import CAR, FULL, RESERVE, Declared, Negotiation, Standing
from vpp_policies.agentic.policy import Nodes, build_graph
from vpp_policies.agentic.rules import RulesProsumer, own_lines
from vpp_policies.evening import Promise
from vpp_policies.forecast import make_forecaster
from vpp_policies.stochastic.contracted import own_terms, under_contract
from vpp_policies.stochastic.policy import ValueBids

from tests.policies.gates import real_gate
from vpp_env import Answers, Reason, Terms, View
from vpp_env import Offers as ContractOffers
from vpp_env.contract.bids import BUY_KW, RESERVE_KW, SELL1_KW, SELL2_KW, Offers, check_actions, decode
from vpp_env.contract.policy import MarketRules
from vpp_env.contract.terms import LeftTable
from vpp_env.contract.views import Homes, Information, Public
from vpp_env.evaluation.kpi import summarize
from vpp_env.evaluation.measures import prosumer_table
from vpp_env.evaluation.simulate import simulate
from vpp_env.scenario import load_scenario
from vpp_env.simulation.month import Month
from vpp_env.units import POWER_QUANTUM_KW, PRICE_TICK

TERMS = tuple(f.name for f in fields(Terms))
EVENING = 18


def gate(hour: int = EVENING) -> tuple[Homes, Public, MarketRules]:
    """A gate of the second day."""
    return real_gate(24 + hour)


@lru_cache
def problem() -> CoalitionProblem:
    """The dispatch problem, compiled once for all tests."""
    return CoalitionProblem(gate()[2].sell_limit_kw > 0)


def no_contracts(n: int) -> LeftTable:
    """A table at which nobody is asked and nobody has a contract."""
    return LeftTable(0, 0, np.zeros(n, dtype=np.bool_), terms_of(n))


def negotiate(
    homes: Homes, public: Public, rules: MarketRules, table: Any = None, brains: Any = None
) -> dict[str, Any]:
    aggregator, prosumers = brains or make_brain("rules", NegotiationOptions()).begin(rules)
    nodes = Nodes(rules, aggregator, prosumers, problem(), 3, make_forecaster("learned"), Promise(rules))
    table = no_contracts(rules.n_homes) if table is None else table
    found: dict[str, Any] = build_graph(nodes).invoke({"homes": homes, "public": public, "table": table})
    return found


def some_contracts(homes: Homes, rules: MarketRules, seed: int) -> LeftTable:
    """Contracts of half of the homes, at random prices, some with concessions."""
    rng, n = np.random.default_rng(seed), rules.n_homes
    own = own_terms(homes, rules, 0.7)
    gives = rng.random(n) < 0.5
    terms = replace(
        own,
        price=own.price * rng.uniform(0.3, 1.0, n),
        floor_kwh=np.where(gives, homes.bess_min_kwh, own.floor_kwh),
        floor_price=0.01 * gives,
        day_kwh=np.where(gives, homes.bess_max_kwh, own.day_kwh),
        overuse_price=0.1 * gives,
        blackout=np.float64(gives),
    )
    return LeftTable(0, 0, rng.random(n) < 0.5, terms)


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
    assert {"announce", "collect_bids", "offers", "answers", "form_coalition", "dispatch", "bid"} <= set(drawn.nodes)
    edges = {(e.source, e.target) for e in drawn.edges}
    assert {
        ("offers", "answers"),
        ("answers", "offers"),
        ("offers", "form_coalition"),
        ("form_coalition", "bid"),
    } <= edges
    assert policy.graph.checkpointer is None
    # the information barrier is in the graph: only these are handed the homes' rows
    given = {name: set(node.input_schema.__annotations__) for name, node in policy.graph.builder.nodes.items()}
    assert {name for name, channels in given.items() if "homes" in channels} == {"collect_bids", "form_coalition"}
    assert given["dispatch"] == {"negotiation"}


@given(
    st.sampled_from([2, 8, 13, EVENING, 20]),
    st.integers(0, 2**32 - 1),
    st.floats(-0.1, 0.6),
    st.sampled_from([0.0, 10.0, 60.0]),
)
@settings(max_examples=30, deadline=None)
def test_nobody_gives_more_or_for_less_than_was_agreed(hour: int, seed: int, level: float, min_bid_kw: float) -> None:
    homes, public, rules = shuffled(hour, seed, level, min_bid_kw)
    table = some_contracts(homes, rules, seed)
    final = negotiate(homes, public, rules, table)
    negotiation: Negotiation = final["negotiation"]
    view = View(public, Information.DECLARED, homes)
    kw, own, now = own_lines(under_contract(view, rules, table.in_force, table.terms)[0], rules)
    _, asked, _ = own_lines(view, rules)
    assert (own[:, ~table.in_force] == asked[:, ~table.in_force]).all(), (
        "who has no contract is asked for the own price"
    )
    # the bids, as the market reads them
    bids = final["bids"]
    read = decode(check_actions(bids.actions, rules.n_homes), rules.sell_limit_kw, rules.buy_limit_kw)
    offers = Offers(*read)
    sell, buy, reserve = (q * POWER_QUANTUM_KW for q in (offers.sell_q, offers.buy_q, offers.reserve_q))
    waived = table.in_force & (table.terms.blackout > 0.0)
    can = ~homes.blackout_now | waived
    if rules.safeguard:
        assert (np.maximum(sell, reserve) <= kw[FULL] * can + 1e-6).all()
    else:
        assert (sell + reserve <= kw[FULL] * can + 1e-6).all()
    assert (reserve <= kw[RESERVE] * can + 1e-6).all()
    assert (buy <= now["buy_kw"] * can + 1e-6).all()
    # storage is never sold below the contract's or the owner's ask: the first line holds what the car can defer
    low = np.minimum(own[FULL], 1.0)
    assert (offers.sell1_q * POWER_QUANTUM_KW <= kw[CAR] * can + 1e-6).all()
    stored = (offers.sell2_q > 0) | ((reserve > 0) & (kw[FULL] > kw[CAR]))
    assert (offers.sell2_tick[stored] * PRICE_TICK >= low[stored] - 1e-9).all()
    sells = offers.sell1_q > 0
    assert (offers.sell1_tick[sells] * PRICE_TICK >= np.minimum(own[CAR], 1.0)[sells] - 1e-9).all()
    bid = (sell > 0) | (buy > 0) | (reserve > 0)
    np.testing.assert_array_equal(bids.accepted, table.in_force)
    assert negotiation.status == "bid" or not bid.any()
    assert reserve.sum() == 0 or reserve.sum() >= rules.min_bid_kw - 0.01 * rules.n_homes
    assert sell.sum() + reserve.sum() <= public.required_kw + 1e-6


class Recited:
    """A prosumer side that says the same whatever the homes are."""

    def __init__(self, standing: Standing, declared: Declared) -> None:
        self._standing, self._declared = standing, declared

    def standing(self, homes: Homes, public: Public, rules: MarketRules) -> Standing:
        return self._standing

    def bid(self, homes: Homes, public: Public, rules: MarketRules, contracted: Any, terms: Terms) -> Declared:
        return self._declared


class Agreeable:
    """A table of owners who sign whatever is offered; keeps what that was."""

    def __init__(self, n: int) -> None:
        self.heard: list[ContractOffers] = []
        self.in_force, self.terms = np.zeros(n, dtype=np.bool_), no_contracts(n).terms

    @property
    def rounds_left(self) -> int:
        return 3 - len(self.heard)

    def propose(self, offers: ContractOffers) -> Answers:
        self.heard.append(offers)
        self.in_force, self.terms = self.in_force | offers.to, offers.terms
        nobody = np.zeros(len(offers.to), dtype=np.bool_)
        reason = np.where(offers.to, Reason.AGREED, Reason.NOT_ASKED)
        return Answers(offers.to, nobody, reason, offers.terms, len(self.heard), 3)


def test_the_aggregator_is_blind_to_what_was_not_declared() -> None:
    homes, public, rules = gate()
    one, two = Agreeable(rules.n_homes), Agreeable(rules.n_homes)
    first = negotiate(homes, public, rules, one)
    negotiation: Negotiation = first["negotiation"]
    assert negotiation.rounds == 1
    recited = Recited(negotiation.standing, negotiation.declared)  # type: ignore[arg-type]
    rng = np.random.default_rng(5)
    other = {}
    for f in fields(Homes):
        value = np.array(getattr(homes, f.name))
        other[f.name] = ~value if value.dtype == bool else rng.permutation(value.T).T * 3 + 1
    brains = (make_brain("rules", NegotiationOptions()).begin(rules)[0], recited)
    second = negotiate(Homes(**other), public, rules, two, brains=brains)
    assert second["bids"].actions.tobytes() == first["bids"].actions.tobytes()
    for f in fields(Terms):
        assert getattr(one.heard[0].terms, f.name).tobytes() == getattr(two.heard[0].terms, f.name).tobytes(), f.name


@given(st.integers(0, 19), st.floats(0.3, 2.0))
@settings(max_examples=20, deadline=None)
def test_a_home_answers_from_its_own_row(j: int, factor: float) -> None:
    homes, public, rules = gate()
    forecaster = make_forecaster("learned")
    brain, brain_then = (RulesProsumer(ValueBids(rules, forecaster, Promise(rules))) for _ in range(2))
    table = some_contracts(homes, rules, 3)
    changed = {}
    for f in fields(Homes):
        value = np.array(getattr(homes, f.name))
        if value.dtype != bool:
            value[..., j] = (value[..., j] * factor).astype(value.dtype)
        else:
            value[j] = ~value[j]
        changed[f.name] = value
    rest = np.arange(rules.n_homes) != j
    said = brain.bid(homes, public, rules, table.in_force, table.terms)
    said_then = brain_then.bid(Homes(**changed), public, rules, table.in_force, table.terms)
    for f in fields(Declared):
        np.testing.assert_array_equal(getattr(said, f.name)[..., rest], getattr(said_then, f.name)[..., rest])
    stands, stands_then = brain.standing(homes, public, rules), brain.standing(Homes(**changed), public, rules)
    for name in TERMS:
        np.testing.assert_array_equal(getattr(stands.terms, name)[rest], getattr(stands_then.terms, name)[rest])


def test_owners_sign_and_what_they_sign_is_kept() -> None:
    changes = {"fleet.size": 60, "time.duration_hours": 96, "market.min_bid_mw": 0.03}
    run = simulate(month("august", changes, 1000), Agentic("rules", NegotiationOptions(transcript="full")))
    kpi = summarize(run)
    assert kpi.contracts_signed > 20
    assert kpi.contracts_broken == 0
    assert kpi.total_violations.total == 0
    assert kpi["satisfaction_consented"] > 0.0, "the owners of the world have signed"
    said = [parse(record) for record in run.record.transcripts]
    made = [m for m in said if isinstance(m, NegotiationSummary) and m.rounds > 0]
    assert made[0].signed == sum(m.accepted for m in said if isinstance(m, ProsumerResponse)) == kpi.contracts_signed
    assert made[0].contracted == made[0].signed
    table = run.record.opportunities()
    assert (table["negotiation_rounds"] > 0).sum() == 1, "a week has not gone by"
    alone = simulate(month("august", changes, 1000), agentic(without="negotiation"))
    assert summarize(alone).contracts_offered == 0
    assert kpi.welfare > summarize(alone).welfare


@pytest.mark.parametrize("kind", ["summary", "full"])
def test_transcript_holds_valid_messages_and_no_clock(kind: str) -> None:
    month = Month(replace(load_scenario("week20"), time=replace(load_scenario("week20").time, duration_hours=6)), 0)
    runs = [simulate(month, Agentic("rules", NegotiationOptions(transcript=kind))).record.transcripts for _ in range(2)]
    assert runs[0] == runs[1]
    said = [parse(record) for record in runs[0]]
    assert sum(isinstance(m, NegotiationSummary) for m in said) == 6
    assert any(m.round <= m.of_rounds == 3 for m in said if isinstance(m, AggregatorOffer))
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
    assert kpi.contracts_broken == 0
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
