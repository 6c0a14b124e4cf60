"""`centralized` and `preference_aware`: one optimizer that knows everything and asks nobody.

Perfect information (every true state, load, sun, trip and price of the future). `centralized` takes full control down
to the hard limits; the owners' preferences are ignored on purpose, and every violation that this causes is counted by
the same evaluator as everybody else's. `preference_aware` solves the same problem inside every owner's envelope and
at no less than every owner's ask. Both maximise the joint surplus of the VPP and its members.
"""

from __future__ import annotations

import logging

import numpy as np

from policies.centralized.gate import Gates
from policies.centralized.inputs import Inputs, Physics, Plan
from policies.centralized.merit import dispatch
from policies.centralized.problem import DispatchProblem
from policies.optimal.month_value import MonthValue
from vpp_env.bids import Bids, encode
from vpp_env.errors import PolicyError
from vpp_env.policy import Brief, Consent, PolicyInfo
from vpp_env.units import BUY_LIMIT_RANGE, DT_H, POWER_QUANTUM_KW, PRICE_TICK, SELL_ASK_RANGE
from vpp_env.views import Homes, Information, View

log = logging.getLogger(__name__)

MOST_KW = 1e-6
"""Power below this is the solver's rounding."""
LATE_KWH = 1e-3
"""A car that lacks less than this of being ready is ready."""


class Centralized:
    """CVXPY dispatch with perfect information, ignoring preferences.

    Parameters
    ----------
    horizon_hours : float
        Length of the dispatch problem; at least one opportunity. Beyond it, stored energy is worth what each
        device alone could still earn with it (`optimal.month_value`), so that one opportunity (0, the default) is
        enough unless the VPP's maximum binds.
    minimum : bool
        Whether the market's minimum bid is decided on (on/off) where the linear program stays below it.
    """

    info = PolicyInfo(
        name="centralized",
        information=Information.ORACLE,
        consent=Consent.NEVER,
        description="CVXPY with perfect information and control; ignores preferences and asks nobody",
    )
    wishes = False

    def __init__(self, horizon_hours: float = 0.0, minimum: bool = True) -> None:
        if not 0.0 <= horizon_hours <= 168.0:
            raise PolicyError(f"horizon_hours: got {horizon_hours}; allowed is 0 (one opportunity) to 168")
        self._horizon_hours, self._minimum = horizon_hours, minimum

    def reset(self, brief: Brief, rng: np.random.Generator) -> None:
        """Keep the rules; the problem is built at the first gate, when the devices are seen."""
        self._brief = brief
        self.problem: DispatchProblem | None = None
        self.gates: Gates | None = None
        self.failures = 0

    def _begin(self, view: View) -> Gates:
        """Build the problem, and work out what stored energy is worth at every gate to come."""
        homes, brief, foresight = view.homes, self._brief, view.foresight()
        ahead = max(1, round(self._horizon_hours / brief.opportunity_hours))
        value = MonthValue(homes, foresight, brief, self.wishes)
        gates = Gates(homes, brief, value, ahead, self.wishes)
        physics = Physics(
            DT_H,
            brief.bess_eta,
            brief.ev_eta,
            brief.degradation_usd_per_kwh,
            brief.reserve_hours,
            foresight.steps,
            foresight.export_usd_per_kwh,
        )
        self.problem = DispatchProblem(gates.devices, physics, ahead, reserve=bool(brief.products))
        self._first, self._end = view.public.opportunity - view.public.lead, view.public.n_opportunities
        return gates

    def act(self, view: View) -> Bids:
        """Solve one gate and bid the plan of its first opportunity."""
        brief = self._brief
        if self.gates is None:
            self.gates = self._begin(view)
        assert self.problem is not None
        if view.public.opportunity >= self._end:
            return Bids(encode(brief.sell_limit_kw, brief.buy_limit_kw))  # delivery would be beyond the end
        inputs = self.inputs(view)
        plan = self.problem.solve(inputs)
        notes = {"optimization_s": plan.seconds, "commitments": float(plan.committed)}
        if plan.status != "optimal":
            self.failures += 1
            notes["solver_failures"] = 1.0
            log.warning("gate %d: the solver ended as %s; merit order instead", view.public.opportunity, plan.status)
            plan = dispatch(inputs, self.gates.devices, self.problem.physics, plan)
        notes |= cars_late(plan, self.gates.e, view.public.opportunity)
        asks = view.homes if self.wishes else None
        actions, expected = bids_of(plan, inputs, self.gates.who, brief, view.public.steps, asks)
        notes["coalition_size"] = float((actions.max(axis=1, where=_QUANTITIES, initial=-1.0) > -1.0).sum())
        return Bids(actions, accepted=None, expected_profit_usd=expected, notes=notes)

    def inputs(self, view: View) -> Inputs:
        """Write the gate down for the problem."""
        assert self.gates is not None
        least = self._brief.min_bid_kw if self._minimum else 0.0
        return self.gates.inputs(view.homes, view.public.opportunity - self._first, view.public.required_kw, least)


class PreferenceAware(Centralized):
    """CVXPY dispatch with perfect information inside every owner's envelope and at no less than every ask.

    Parameters
    ----------
    horizon_hours, minimum :
        See `Centralized`.
    """

    info = PolicyInfo(
        name="preference_aware",
        information=Information.ORACLE,
        consent=Consent.NEVER,
        description="CVXPY with perfect information, inside every owner's preferences; asks nobody",
    )
    wishes = True


def cars_late(plan: Plan, e: np.ndarray, opportunity: int) -> dict[str, float]:
    """Name the cars that cannot be ready in time whatever is done, and return their number as a note, if any.

    Parameters
    ----------
    e : ndarray
        (C,) homes of the plan's cars.
    opportunity : int
        The gate, for the log.
    """
    late = np.flatnonzero(plan.late_kwh > LATE_KWH)
    if not len(late):
        return {}
    names = ", ".join(f"prosumer_{e[j]}" for j in late)
    log.info("gate %d: cannot be ready in time whatever is done: %s", opportunity, names)
    return {"cars_late": float(len(late))}


_QUANTITIES = np.array([True, False, True, False, True, False])


def offers_of(
    plan: Plan,
    inputs: Inputs,
    who: tuple[np.ndarray, np.ndarray],
    brief: Brief,
    steps: int,
    asks: Homes | None,
    certain: bool = True,
) -> dict[str, np.ndarray]:
    """Turn the first opportunity of a plan into one offer per home, as `bids.encode` takes them.

    Parameters
    ----------
    who : tuple of ndarray
        (B,), (C,) homes of the plan's batteries and cars.
    steps : int
        Intervals of the opportunity; the plan's first ones.
    asks : Homes or None
        Whose asks and envelopes bind; None: nobody is asked, and an ask is only a threshold.
    certain : bool
        Whether the prices are known; if not, any interval of the opportunity may clear.
    """
    n, (b, e) = brief.n_homes, who
    lmp, sale = inputs.lmp[:steps], inputs.sale[:steps]
    sell, buy, reserve = np.zeros((n, steps)), np.zeros((n, steps)), np.zeros(n)
    sell[b] += plan.sell_b[:, :steps]
    sell[e] += plan.defer[:, :steps] + plan.v2g[:, :steps]
    buy[b] += plan.buy_b[:, :steps]
    buy[e] += plan.back[:, :steps]
    reserve[b] += plan.reserve_b[:, 0]
    reserve[e] += plan.reserve_e[:, 0]
    if float(reserve.sum()) < brief.min_bid_kw:
        reserve[:] = 0.0  # the market would void it
    sell_kw, sell_k = spread(sell)
    buy_kw, buy_k = spread(buy)
    ask, limit = sell_threshold(sale, sell_k, brief.margin), buy_threshold(lmp, buy_k)
    reserve_ask = np.zeros(n)
    if asks is not None:
        sell_kw, ask = _at_their_asks(sell_kw, ask, sale, plan, who, asks, brief, certain)
        ask, reserve = _stand_by(sell_kw, ask, reserve, asks)
        # what the car does not take goes into the battery; and one bid cannot spare a part of the hour
        limit = np.where(asks.bess_kwh > 0, np.minimum(limit, asks.buy_limit), limit)
        sell_kw, buy_kw, reserve = (np.where(asks.blackout_now, 0.0, kw) for kw in (sell_kw, buy_kw, reserve))
        reserve = np.minimum(reserve, asks.reserve_kw)
        reserve_ask = asks.standby_ask
    return {
        "sell_kw": sell_kw,
        "sell_ask": ask,
        "buy_kw": buy_kw,
        "buy_limit": limit,
        "reserve_kw": reserve,
        "reserve_ask": reserve_ask,
    }


def bids_of(
    plan: Plan, inputs: Inputs, who: tuple[np.ndarray, np.ndarray], brief: Brief, steps: int, asks: Homes | None
) -> tuple[np.ndarray, float]:
    """Encode `offers_of` a plan, and say what they will bring the VPP, USD."""
    offers = offers_of(plan, inputs, who, brief, steps, asks)
    actions = encode(brief.sell_limit_kw, brief.buy_limit_kw, **offers)
    return actions, expected_profit(offers, inputs, brief, steps)


def _at_their_asks(
    sell_kw: np.ndarray,
    ask: np.ndarray,
    sale: np.ndarray,
    plan: Plan,
    who: tuple[np.ndarray, np.ndarray],
    homes: Homes,
    brief: Brief,
    certain: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Return quantities and asks (N,) that every owner's envelope can serve and at which no device is underpaid.

    A home delivers charging put off first, then from storage, in every interval that its ask clears. One whose
    storage is not meant to serve therefore offers what its car can put off in every interval; another one no more
    than that and its storage can give without the sun that may shine meanwhile.
    """
    steps = len(sale)
    stores = np.zeros(len(sell_kw), dtype=bool)
    stores[who[0]] = plan.sell_b[:, :steps].max(axis=1, initial=0.0) > MOST_KW
    stores[who[1]] |= plan.v2g[:, :steps].max(axis=1, initial=0.0) > MOST_KW
    has = (homes.bess_kwh > 0) | (homes.v2g_kw > 0)
    ask = np.maximum(ask, np.where(stores, _storage_ask(homes), homes.defer_ask))
    above = np.maximum(homes.soc_kwh - np.maximum(homes.floor_kwh, homes.bess_min_kwh), 0.0) * brief.bess_eta
    energy = np.minimum(above, homes.day_left_kwh)
    count = np.maximum(clears(ask, sale, brief.margin).sum(axis=1), 1) if certain else steps
    battery = np.minimum(homes.bess_kw, energy / (count * DT_H))
    # what a car puts off, V2G can no longer give in time; a battery that runs dry leaves all to V2G
    v2g = np.where(homes.defer_mean_kw > 0, 0.0, homes.v2g_sell_kw)
    storage = np.where(battery >= homes.bess_kw, battery + v2g, np.maximum(battery, v2g))
    most = homes.defer_kw + storage * stores
    return np.where(has, np.minimum(sell_kw, most), sell_kw), ask


def _storage_ask(homes: Homes) -> np.ndarray:
    """(N,) least pay per kWh that covers whatever serves a home whose storage may be called on."""
    charges = (homes.ev_kwh > 0) & ((homes.defer_mean_kw > 0) | ~homes.plugged)
    return np.where(charges, np.maximum(homes.own_ask, homes.defer_ask), homes.own_ask)


def _stand_by(sell_kw: np.ndarray, ask: np.ndarray, reserve: np.ndarray, homes: Homes) -> tuple[np.ndarray, np.ndarray]:
    """Return asks and reserve (N,): a call is paid like a sale, so who stands by with storage asks for its cost."""
    storage = (reserve > 0.0) & (homes.storage_sell_kw > 0.0)
    least = _storage_ask(homes)
    ask = np.where(storage & (sell_kw <= 0.0), np.maximum(ask, least), ask)
    return ask, np.where(storage & (ask < least - 1e-9), 0.0, reserve)


def clears(ask: np.ndarray, sale: np.ndarray, margin: float) -> np.ndarray:
    """(N, S) bool: whether a bid at `ask` (N,) clears at each price of a sale (S,), on the market's ticks."""
    tick = np.ceil(np.clip(ask, *SELL_ASK_RANGE) / PRICE_TICK - 1e-6)
    return tick[:, None] <= np.floor(sale / (1.0 + margin) / PRICE_TICK + 1e-9)


def expected_profit(offers: dict[str, np.ndarray], inputs: Inputs, brief: Brief, steps: int) -> float:
    """What offers bring the VPP if they are delivered in full, USD: the market's own rounding and pay.

    Purchases are passed through and bring nothing.
    """
    sale, ask = inputs.sale[:steps], offers["sell_ask"]
    kw = np.floor(np.maximum(offers["sell_kw"], 0.0) / POWER_QUANTUM_KW + 1e-6) * POWER_QUANTUM_KW
    tick = np.ceil(np.clip(ask, *SELL_ASK_RANGE) / PRICE_TICK - 1e-6) * PRICE_TICK
    kept = sale[None, :] - np.maximum(tick[:, None], brief.revenue_share * sale[None, :])
    energy = DT_H * float((kw[:, None] * clears(ask, sale, brief.margin) * kept).sum())
    standby = np.floor(offers["reserve_kw"] / POWER_QUANTUM_KW + 1e-6) * POWER_QUANTUM_KW
    rho = max(float(inputs.rho[0]), 0.0)
    share = rho - np.maximum(offers["reserve_ask"], brief.revenue_share * rho)
    return energy + float((standby * np.maximum(share, 0.0)).sum()) * steps * DT_H


def spread(power: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn (N, S) planned kW into one quantity per home and the number of intervals in which it is meant.

    A bid holds one quantity for the whole opportunity; the plan's energy is spread over the intervals that carry
    at least half of its peak.
    """
    peak = power.max(axis=1)
    used = (power >= 0.5 * peak[:, None]) & (peak[:, None] > MOST_KW)
    count = used.sum(axis=1)
    kw = np.divide(power.sum(axis=1), count, out=np.zeros(len(power)), where=count > 0)
    return kw, count


def sell_threshold(lmp: np.ndarray, count: np.ndarray, margin: float) -> np.ndarray:
    """(N,) lowest ask that clears in the `count` dearest intervals only, USD/kWh.

    Low, because a member is paid at least its ask: nobody asked for more.
    """
    ordered = np.sort(lmp)[::-1]
    following = np.append(ordered, -np.inf)[np.clip(count, 0, len(lmp))]
    # the next interval clears up to this tick; one above it does not
    tick = np.floor(following / (1.0 + margin) / PRICE_TICK + 1e-9) + 1.0
    return np.clip(np.where(np.isfinite(following), tick * PRICE_TICK, 0.0), *SELL_ASK_RANGE)


def buy_threshold(lmp: np.ndarray, count: np.ndarray) -> np.ndarray:
    """(N,) limit that clears in the `count` cheapest intervals, USD/kWh."""
    ordered = np.sort(lmp)
    last = ordered[np.clip(count - 1, 0, len(lmp) - 1)]
    limit = np.where(count > 0, np.ceil(last / PRICE_TICK - 1e-9) * PRICE_TICK, BUY_LIMIT_RANGE[0])
    return np.clip(limit, *BUY_LIMIT_RANGE)
