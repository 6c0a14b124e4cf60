"""The nodes of the graph. Each is a function of what its input schema names, and no Python loop over homes.

The aggregator's nodes (`rank`, `counter_offer`, `form_coalition`, `dispatch`, `bid`) are given the talk: declared and
public content. The prosumers' nodes (`collect_bids`, `respond`) are given the homes' own rows and are row-wise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vpp_env.contract.bids import Bids, encode
from vpp_env.contract.policy import MarketRules
from vpp_env.units import SELL_ASK_RANGE
from vpp_policies.agentic.brains import AggregatorBrain, Listener, ProsumerBrain
from vpp_policies.agentic.dispatch import CoalitionProblem, Lines, Shares, proportional, with_margin
from vpp_policies.agentic.outlook import notice
from vpp_policies.agentic.state import (
    CAR,
    FULL,
    STANDBY,
    DeclaredInput,
    Notice,
    OpeningInput,
    Plan,
    PrivateInput,
    PublicInput,
    Talk,
    WordsInput,
)

TOP_ASK = SELL_ASK_RANGE[1]
WINDOW_HOURS = 12
"""Batteries are refilled in the cheapest of the next 12 hours: that far are a day's cheap hours from its dear ones."""


@dataclass(frozen=True)
class Nodes:
    """The nodes of one month's graph.

    Parameters
    ----------
    rules : MarketRules
        The market's rules and device limits (public).
    aggregator, prosumers : AggregatorBrain, ProsumerBrain
        The two sides.
    problem : CoalitionProblem or None
        Compiled once; None scales everybody's line alike (an ablation: no solver).
    max_rounds : int
        Rounds at most; 0 takes the opening asks as limits (an ablation: no negotiation).
    """

    rules: MarketRules
    aggregator: AggregatorBrain
    prosumers: ProsumerBrain
    problem: CoalitionProblem | None
    max_rounds: int

    def hear(self, state: WordsInput) -> dict[str, Any]:
        """Let the homes' agents hear their owners, each its own; only where they listen to words (`Listener`)."""
        if isinstance(self.prosumers, Listener):
            self.prosumers.hear(state["words"], self.rules.n_homes)
        return {}

    def announce(self, state: PublicInput) -> dict[str, Any]:
        """Say what is for sale."""
        return {"notice": notice(state["public"], self.rules, self.max_rounds)}

    def collect_bids(self, state: OpeningInput) -> dict[str, Any]:
        """Every home bids for itself."""
        declared = self.prosumers.declare(state["homes"], state["public"], self.rules)
        return {"talk": Talk.begin(state["notice"], declared)}

    def rank(self, state: DeclaredInput) -> dict[str, Any]:
        """Order the bids and set the aggregator's terms."""
        talk = state["talk"]
        return {"talk": replace(talk, terms=self.aggregator.opening(talk.notice, talk.declared))}

    def counter_offer(self, state: DeclaredInput) -> dict[str, Any]:
        """Make the offers of the next round to all lines without agreement."""
        talk = state["talk"]
        assert talk.terms is not None
        offer = self.aggregator.counter_offer(
            talk.notice, talk.declared, talk.terms, talk.rounds + 1, talk.asks(), talk.asks(1), open_lines(talk)
        )
        return {"talk": replace(talk, offers=(*talk.offers, offer))}

    def respond(self, state: PrivateInput) -> dict[str, Any]:
        """Every home answers what it was offered."""
        talk = state["talk"]
        offer = talk.offers[-1]
        response = self.prosumers.respond(
            state["homes"], state["public"], self.rules, offer, self.max_rounds, talk.declared
        )
        agreed = np.where(response.accepted, offer.price, talk.agreed)
        return {"talk": replace(talk, responses=(*talk.responses, response), agreed=agreed)}

    def form_coalition(self, state: DeclaredInput) -> dict[str, Any]:
        """Take the agreements, and the final asks of the others as limits; check the market's minimum."""
        talk = state["talk"]
        assert talk.terms is not None
        asks = talk.asks()
        taken = open_lines(talk) & self.aggregator.accepts(talk.notice, talk.terms, asks)
        agreed = np.where(taken, asks, talk.agreed)
        coalition = (~np.isnan(agreed)).any(axis=0) | (talk.declared.available & (talk.declared.buy_kw > 0))
        return {"talk": replace(talk, agreed=agreed, coalition=coalition, status=_status(talk, agreed))}

    def dispatch(self, state: DeclaredInput) -> dict[str, Any]:
        """Decide what each member is called for."""
        talk = state["talk"]
        return {"talk": replace(talk, plan=dispatch(talk, self.problem))}

    def bid(self, state: DeclaredInput) -> dict[str, Any]:
        """Encode the plan; without one, an empty bid."""
        talk, rules = state["talk"], self.rules
        if talk.plan is None:
            actions = encode(rules.sell_limit_kw, rules.buy_limit_kw)
            nobody = np.zeros(rules.n_homes, dtype=bool)
            return {"bids": Bids(actions, accepted=nobody, expected_profit_usd=0.0, notes=_notes(talk))}
        plan = talk.plan
        actions = encode(
            rules.sell_limit_kw,
            rules.buy_limit_kw,
            sell_kw=plan.sell_kw,
            sell_ask=plan.sell_ask,
            buy_kw=plan.buy_kw,
            buy_limit=plan.buy_limit,
            reserve_kw=plan.reserve_kw,
            reserve_ask=np.nan_to_num(talk.agreed[STANDBY]),
        )
        notes = _notes(talk)
        return {"bids": Bids(actions, accepted=talk.coalition, expected_profit_usd=plan.expected_usd, notes=notes)}


def open_lines(talk: Talk) -> np.ndarray:
    """(3, N) bool: lines that were bid and are not agreed."""
    return talk.declared.available & (talk.declared.kw > 0) & np.isnan(talk.agreed)


def _status(talk: Talk, agreed: np.ndarray) -> str:
    """Whether the market's minimum can be met by anything that was agreed."""
    declared, least = talk.declared, talk.notice.min_bid_kw
    kw = np.where(np.isnan(agreed), 0.0, declared.kw)
    most = max(float(kw[:STANDBY].max(axis=0).sum()), float(declared.buy_kw.sum()))
    if most <= 0.0:
        return "nothing offered"
    return "bid" if most >= least else "below the minimum bid"


def _notes(talk: Talk) -> dict[str, float]:
    plan = talk.plan
    return {
        "negotiation_rounds": float(talk.rounds),
        "coalition_size": float(0 if plan is None else talk.coalition.sum()),
        "optimization_s": 0.0 if plan is None else plan.seconds,
        "fallbacks": 0.0 if plan is None else float(plan.fallback),
    }


def later_price(talk: Talk) -> np.ndarray:
    """(N,) USD/kWh: what the energy of this opportunity is expected to bring later today.

    A battery that lasts for n hours at the agreed power sells in the n dearest hours; selling now takes the place of
    the least of them.
    """
    kw, span = talk.declared.kw[FULL], talk.notice.hours
    dear = np.maximum(talk.notice.later @ talk.notice.weight, 0.0)
    total = np.concatenate([[0.0], np.cumsum(dear)])
    knots = np.arange(len(total), dtype=np.float64)
    hours = np.full(kw.shape, np.inf)
    np.divide(talk.declared.energy_kwh, kw, out=hours, where=kw > 0)
    last = np.minimum(hours, len(dear) + span)
    got = np.interp(last, knots, total) - np.interp(np.maximum(last - span, 0.0), knots, total)
    return np.where(np.isfinite(hours), got / span, 0.0)


def buy_limits(talk: Talk) -> np.ndarray:
    """(N,) USD/kWh: buy now only at what the needed hours will cost later, never above the declared limit."""
    declared, ahead = talk.declared, talk.notice.cheap[:WINDOW_HOURS]
    if not len(ahead):
        return declared.buy_limit
    later = np.arange(1, len(ahead) + 1)
    reach = np.where(later <= declared.due_hours[:, None] - 1.0, ahead, np.inf)
    ordered = np.sort(reach, axis=1)
    # only whole hours to come can be counted on
    need = np.ceil(declared.buy_hours).astype(np.int64)
    pick = np.clip(need, 1, len(ahead)) - 1
    price = np.take_along_axis(ordered, pick[:, None], axis=1)[:, 0]
    return np.minimum(declared.buy_limit, np.where(need > len(ahead), np.inf, price))


def dispatch(talk: Talk, problem: CoalitionProblem | None) -> Plan:
    """Solve the coalition's program and read each member's bid from its shares."""
    notice_, declared, agreed = talk.notice, talk.declared, talk.agreed
    guidance = None if talk.terms is None else talk.terms.guidance
    asks = np.nan_to_num(agreed, nan=1.0)
    if guidance is not None:
        asks = with_margin(asks, guidance.margin)
    keep = later_price(talk) / (1.0 + notice_.margin)
    asks[FULL] = np.maximum(asks[FULL], np.minimum(keep, TOP_ASK))
    lines = Lines(np.where(np.isnan(agreed), 0.0, declared.kw), asks, talk.coalition)
    if problem is None:
        result = Shares(proportional(lines, notice_), 0.0, fallback=False)
    else:
        result = problem.solve(lines, notice_, guidance, declared.kw[:STANDBY].max(axis=0))
    share = result.share
    # where a home's optimum is a mix (at most where the VPP's maximum binds), it is called for the larger part
    car_only = share[CAR] > share[FULL] + share[STANDBY]
    sell = np.where(car_only, share[CAR] * lines.kw[CAR], share[FULL] * lines.kw[FULL])
    reserve = np.where(car_only, 0.0, share[STANDBY] * lines.kw[FULL])
    ask = np.where(car_only, asks[CAR], asks[FULL])
    return Plan(
        sell_kw=sell,
        sell_ask=ask,
        reserve_kw=reserve,
        buy_kw=np.where(talk.coalition, declared.buy_kw, 0.0),
        buy_limit=buy_limits(talk),
        car_only=car_only,
        expected_usd=_expected_profit(notice_, sell, ask, reserve, asks[STANDBY]),
        seconds=result.seconds,
        fallback=result.fallback,
    )


def _expected_profit(
    notice_: Notice, sell: np.ndarray, ask: np.ndarray, reserve: np.ndarray, standby: np.ndarray
) -> float:
    """Profit of the VPP over the outlook, USD: what clears, less the members' pay (ask or revenue share)."""
    keep, share = 1.0 + notice_.margin, notice_.revenue_share

    def mean(price: np.ndarray, asked: np.ndarray, kw: np.ndarray) -> float:
        clears = asked[:, None] * keep <= price
        total = (clears * kw[:, None]).sum(axis=0)
        kept = np.minimum(price - asked[:, None], (1.0 - share) * price) * clears
        return float(((kept * kw[:, None]).sum(axis=0) * (total >= notice_.min_bid_kw)) @ notice_.weight)

    return notice_.hours * (mean(notice_.price, ask, sell) + mean(notice_.rho, standby, reserve))
