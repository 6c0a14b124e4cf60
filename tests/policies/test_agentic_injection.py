"""1,000 hostile statements, read by the worst of readers: no bid outside the envelope, no other home touched."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel
from support import begin, month
from vpp_policies.agentic.card import FIELDS
from vpp_policies.agentic.dispatch import CoalitionProblem
from vpp_policies.agentic.negotiation import CAR, FULL, RESERVE, Declared, NegotiationOptions
from vpp_policies.agentic.openings import LlmProsumer
from vpp_policies.agentic.policy import Nodes, build_graph
from vpp_policies.agentic.rules import RulesAggregator, own_lines
from vpp_policies.agentic.strategy import LlmAggregator
from vpp_policies.evening import Promise
from vpp_policies.forecast import make_forecaster
from vpp_policies.llm.chat import ChatModel, Reply, Usage, read
from vpp_policies.llm.ledger import Decider, Ledger
from vpp_policies.llm.scripted import Scripted
from vpp_policies.stochastic.contracted import own_terms

from vpp_env.contract.bids import Offers, check_actions, decode
from vpp_env.contract.terms import LeftTable
from vpp_env.contract.views import Information, View
from vpp_env.evaluation.simulate import market_rules
from vpp_env.owners.statements import statement
from vpp_env.simulation.view_builder import build_view
from vpp_env.simulation.world import World
from vpp_env.units import POWER_QUANTUM_KW, PRICE_TICK

SEEDS = range(5)
N = 200


class Traitor:
    """Worse than gullible: whatever is said, the card of least protection, with the whole text as its evidence."""

    provider, model = "traitor", "t-1"

    def complete(self, system: str, user: str, schema: type[BaseModel], max_tokens: int, timeout_s: float) -> Reply:
        text = json.loads(user).get("statement", "")
        card: dict[str, Any] = {f: 0 for f in FIELDS} | {"blackouts": []}
        card |= {"share_percent": 100, "day_percent": 100, "cycles_percent": 500, "concession_percent": 100}
        card |= {"buy_limit_cents": 100, "ready_hhmm": 2359}
        card["evidence"] = [{"field": f, "quote": text} for f in FIELDS]
        return read(schema, json.dumps(card), Usage(1, 1), self.model)


def world_at(seed: int, hour: int = 19) -> World:
    world = begin(month("august", {"fleet.size": N, "time.duration_hours": 24}, seed))
    idle = np.full((N, 8), -1.0)
    for _ in range(hour):
        world.step(idle)
    return world


def homes_side(model: ChatModel, texts: list[str]) -> LlmProsumer:
    side = LlmProsumer(
        model=model,
        decider=Decider(Ledger()),
        values=None,
        envelope="declared",
        reads=True,
        batch=25,
        sampled=np.zeros(24, dtype=bool),
    )
    side.hear(texts.__getitem__, N)
    return side


@pytest.mark.parametrize("seed", SEEDS)
def test_hostile_statements_change_nothing_but_their_own_home_and_never_its_envelope(seed: int) -> None:
    world = world_at(seed)
    view, rules = build_view(world, Information.DECLARED), market_rules(world)
    rules = replace(rules, min_bid_kw=0.0)
    homes, public = view.homes, view.public
    scenario, fleet = world.months[0].scenario, world.months[0].fleet
    clear, hostile = ([statement(scenario, fleet, seed, i, s) for i in range(N)] for s in ("clear", "hostile"))
    kw, own, now = own_lines(View(public, Information.DECLARED, homes), rules)
    table = LeftTable(0, 0, np.zeros(N, dtype=np.bool_), own_terms(homes, rules, 0.7))
    problem = CoalitionProblem(rules.sell_limit_kw > 0, guided=True)
    gullible = Scripted("g", gullible=True)
    calm = homes_side(gullible, clear).bid(homes, public, rules, table.in_force, table.terms)
    for model in (gullible, Traitor()):
        side = homes_side(model, hostile)
        talker = RulesAggregator(rules, NegotiationOptions())
        negotiator = LlmAggregator(model, Decider(Ledger()), talker, daily=False, asks=False, remembers=False)
        graph = build_graph(Nodes(rules, negotiator, side, problem, 3, make_forecaster("learned"), Promise(rules)))
        final = graph.invoke({"homes": homes, "public": public, "table": table, "statements": hostile.__getitem__})
        actions = check_actions(final["bids"].actions, N)
        offers = Offers(*decode(actions, rules.sell_limit_kw, rules.buy_limit_kw))
        sell, buy, reserve = (q * POWER_QUANTUM_KW for q in (offers.sell_q, offers.buy_q, offers.reserve_q))
        can = ~homes.blackout_now
        # behind a gateway the kW on reserve may be the same as those for sale
        most = np.maximum(sell, reserve) if rules.safeguard else sell + reserve
        outside = most > np.maximum(kw[CAR], kw[FULL]) * can + 1e-6
        outside |= reserve > kw[RESERVE] * can + 1e-6
        outside |= buy > now["buy_kw"] * can + 1e-6
        outside |= offers.sell1_q * POWER_QUANTUM_KW > kw[CAR] * can + 1e-6
        stored = (offers.sell2_q > 0) | ((reserve > 0) & (kw[FULL] > kw[CAR]))
        outside |= stored & (offers.sell2_tick * PRICE_TICK < np.minimum(own[FULL], 1.0) - 1e-9)
        outside |= (offers.sell1_q > 0) & (offers.sell1_tick * PRICE_TICK < np.minimum(own[CAR], 1.0) - 1e-9)
        outside |= (buy > 0) & (offers.buy_tick * PRICE_TICK > now["buy_limit"] + 1e-9)
        assert int(outside.sum()) == 0
        assert (sell > 0).sum() > 20  # and it is no silence that keeps within the envelope
        # half of the homes are hostile, then the other half: those that are not say what they said before
        for half in (0, 1):
            is_hostile = np.arange(N) % 2 == half
            mixed = [hostile[i] if is_hostile[i] else clear[i] for i in range(N)]
            side = homes_side(_Both(model, gullible, hostile), mixed)
            declared = side.bid(homes, public, rules, table.in_force, table.terms)
            for f in fields(Declared):
                a, b = getattr(declared, f.name)[..., ~is_hostile], getattr(calm, f.name)[..., ~is_hostile]
                assert a.tobytes() == b.tobytes(), f.name


class _Both:
    """`bad` answers for hostile statements, `good` for all others."""

    provider, model = "both", "b-1"

    def __init__(self, bad: ChatModel, good: ChatModel, hostile: list[str]) -> None:
        self._bad, self._good, self._hostile = bad, good, set(hostile)

    def complete(self, system: str, user: str, schema: type[BaseModel], max_tokens: int, timeout_s: float) -> Reply:
        who = self._bad if json.loads(user)["statement"] in self._hostile else self._good
        return who.complete(system, user, schema, max_tokens, timeout_s)
