"""The native loop: one policy plays one month."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from vpp_env.contract.bids import N_ACTION, Bids
from vpp_env.contract.policy import MarketRules, Policy, PolicyInfo
from vpp_env.errors import PolicyError, VppError, shortened
from vpp_env.evaluation.record import Recorder
from vpp_env.evaluation.returned import checked
from vpp_env.evaluation.verdict import Audit
from vpp_env.scenario.streams import policy_stream
from vpp_env.simulation.month import Month
from vpp_env.simulation.outcome import Outcome
from vpp_env.simulation.view_builder import build_view
from vpp_env.simulation.world import World
from vpp_env.units import KWH_PER_MWH


@dataclass(frozen=True)
class Run:
    """A played month."""

    policy: Policy  # as it is after the month
    info: PolicyInfo  # what the policy declared before it saw anything
    world: World  # at its end
    record: Recorder  # rows of opportunities, intervals, homes and events
    complete: bool  # False: it was interrupted, and the record holds what was played
    audit: Audit | None = None  # None: nobody looked, and what the policy declares is claimed


def market_rules(world: World) -> MarketRules:
    """What every policy is told at the start.

    Parameters
    ----------
    world : World
        Of one month.

    Returns
    -------
    MarketRules
        Limits in kW, prices' steps in USD, products, settlement.
    """
    scenario = world.scenario
    market = scenario.market
    sell, buy = world.sell_limit_kw.copy(), world.buy_limit_kw.copy()
    sell.setflags(write=False)
    buy.setflags(write=False)
    return MarketRules(
        n_homes=world.n_homes,
        n_opportunities=scenario.n_opportunities,
        opportunity_hours=scenario.time.opportunity_minutes / 60,
        sell_limit_kw=sell,
        buy_limit_kw=buy,
        min_bid_kw=market.min_bid_mw * KWH_PER_MWH,
        max_capacity_kw=market.max_capacity_mw * KWH_PER_MWH,
        margin=market.margin,
        revenue_share=market.revenue_share,
        degradation_usd_per_kwh=scenario.home.degradation_usd_per_kwh,
        bess_eta=scenario.fleet.bess_eta,
        ev_eta=scenario.fleet.ev_eta,
        products=world.products,
        reserve_hours=market.reserve_minutes / 60,
        two_settlement=market.two_settlement,
        programme_usd_per_kwh=0.0 if market.programme == "none" else market.programme_usd_per_kwh,
        lead=world.lead,
        minimum=market.minimum,
        safeguard=market.safeguard,
        capacity_usd_per_kw_month=market.capacity_usd_per_kw_month if market.firm_capacity else 0.0,
        capacity_hours=market.capacity_hours,
        capacity_call_usd_per_kwh=market.capacity_call_usd_per_mwh / KWH_PER_MWH,
        feeder_homes=market.feeder_homes,
        feeder_kw=world.months[0].rules.feeder_kw,
    )


def take(world: World, bids: Bids) -> Outcome:
    """Play one opportunity of a world of one month with what a policy has decided."""
    return world.step(bids.actions, (bids.day_ahead,), bids.override, (bids.capacity,))


def policy_rng(seed: int) -> np.random.Generator:
    """The policies' own stream of a seed without a salt, the same for every policy; `Month.policy_rng` has both."""
    return policy_stream(seed)


def rehearse(month: Month) -> None:
    """Play the first opportunity with nobody's bids, and forget it: the market's kernels are then at hand.

    `market.opportunity.play` takes longest to compile, and what a policy needs is compiled before it comes to it: of
    several processes one begins with `play`.
    """
    world = _world(month)
    world.reset()
    world.step(np.full((world.n_homes, N_ACTION), -1.0))


def _world(month: Month) -> World:
    return World([month], contracts_expected=True)  # one variant of each kernel, whoever plays


def _check(month: Any, policy: Any) -> None:
    if not isinstance(month, Month):
        raise VppError(f"simulate: got a {type(month).__name__} as month; allowed is Month(scenario, seed)")
    if isinstance(policy, type) or not isinstance(policy, Policy):
        got = f"the class {policy.__name__}" if isinstance(policy, type) else shortened(repr(policy))
        raise PolicyError(
            f"simulate: got {got} as policy; allowed is an object with `info`, `reset` and `act`, such as "
            "make_policy('truthful') or MyPolicy()"
        )


def simulate(
    month: Month,
    policy: Policy,
    on_opportunity: Callable[[dict[str, Any]], None] | None = None,
    audit: Audit | None = None,
) -> Run:
    """Play `month` with `policy`.

    Parameters
    ----------
    month : Month
        The world that nobody changes; share one among the policies that are compared.
    policy : Policy
        Who bids.
    on_opportunity : callable, optional
        Called with every new row of the record (progress).
    audit : Audit, optional
        What an audit of the policy found, see `evaluation.audit`; without one nobody's consent is counted.

    Returns
    -------
    Run
        With `complete = False` after Ctrl-C: nothing already played is lost.

    Raises
    ------
    VppError
        When `month` is no month, or `policy` no policy.

    Notes
    -----
    What a policy declares is taken once, before its `reset`: it decides what every view holds and how consent is
    counted, and cannot be changed by the policy while it plays.
    """
    _check(month, policy)
    info = policy.info
    world = _world(month)
    world.reset()
    policy.reset(market_rules(world), month.policy_rng())
    record = Recorder(world, info, audit)
    try:
        while not world.done:
            begin = time.perf_counter()
            bids = checked(policy.act(build_view(world, info.information)), world.n_homes)
            seconds = time.perf_counter() - begin
            outcome = take(world, bids)
            row = record.add(bids, outcome, seconds)
            if on_opportunity is not None:
                on_opportunity(row)
    except KeyboardInterrupt:
        return Run(policy, info, world, record, False, audit)
    return Run(policy, info, world, record, True, audit)
