"""What evolution strategies search: the last layer of a policy, what it begins with, and which of its columns move."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from vpp_policies.constant import Constant
from vpp_policies.learned import Layer

from vpp_env import (
    BUY_KW,
    BUY_LIMIT,
    N_ACTION,
    N_OBS,
    RESERVE_ASK,
    RESERVE_KW,
    SELL1_ASK,
    SELL1_KW,
    SELL2_ASK,
    SELL2_KW,
    Month,
    build_view,
    market_rules,
)
from vpp_env.contract.observation import COLUMNS, PRICE_SCALE
from vpp_env.scenario import Scenario
from vpp_env.scenario.splits import SPLITS
from vpp_env.simulation.world import World
from vpp_env.units import BUY_LIMIT_RANGE, KWH_PER_MWH, PRICE_TICK, Flags, Floats

PRICES = (SELL1_ASK, SELL2_ASK, BUY_LIMIT, RESERVE_ASK)
"""Columns of a bid that are learned where the gateway keeps the owner's envelope."""
READ = (
    *("hour_sin", "hour_cos", "day_ahead_0", "day_ahead_1", "day_ahead_2", "day_ahead_3", "day_ahead_4"),
    *("real_time", "real_time_q10", "real_time_q50", "real_time_q90", "sale_price"),
    *("soc", "floor", "battery_inside_kwh", "battery_room_kwh", "day_used", "ev_deficit", "hours_to_ready", "plugged"),
    *("own_ask", "defer_ask", "buy_limit", "reserve_ask", "pv_16", "net_16", "defer"),
)
"""Columns of the observation that they are learned from: what a kWh that is kept for later may be worth."""
SMALL = 1e-3
"""Scale at which tanh lets a number in [-1, 1] through: off by 3e-7 at most."""
LARGE = 1e3
"""Scale at which tanh says whether a number is more than 0."""
SHUT = 10.0
"""What holds a unit at -1 while one of its gates is shut: off by 4e-9."""
UP = 1e-3
"""Of an ask, on the scale of a bid: half a tick, so that rounding never goes below what the owner wants."""
HOURS = {"morning": (5.0, 9.0), "midday": (9.0, 15.0), "before": (15.0, 17.0), "late": (21.0, 24.0)}
"""Hours of delivery that have a gate in `evening_asks`, beside the evening that the market buys."""
EVENING_READ = (
    *("day_ahead_0", "day_ahead_1", "day_ahead_2", "day_ahead_4", "real_time_q50"),
    *("soc", "day_used", "own_ask", "defer_ask", "buy_limit", "reserve_ask", "defer"),
)
"""Columns of the observation that `evening_asks` reads beside its gates."""
TEST = ("called", "calm_0", "calm_1", "calm_2")
"""Gates of an evening that is called without being dear: the test of a month that has called none before."""
BOTH = (
    *("soc", "day_ahead_0", "rise_1", "rise_2", "rise_4"),
    *("is_evening", "is_called", "is_test", "is_ahead", "is_midday", "is_morning"),
)
LEARNED = {
    SELL2_ASK: (*BOTH, "day_used", "dear_evening", "called_ask", "test_ask", "is_before", "is_late"),
    BUY_LIMIT: (*BOTH, "real_time_q50", "is_car", "is_owed"),
}
"""Column of a bid -> the features of `evening_asks` whose weights move, and its bias: what storage asks and pays."""


@dataclass(frozen=True)
class Form:
    """A policy of which the last layer is learned.

    Parameters
    ----------
    weights : ndarray
        (F + 1, N_ACTION) to begin with, of F features; the last row is the bias.
    learned : ndarray, optional
        (N_ACTION,) bool, columns of the bid whose weights move; or (F + 1, N_ACTION), which weights do. None: all.
    hidden : tuple of Layer
        Layers with tanh that stay as they are. Empty: the observation is what is read.
    mix : ndarray, optional
        (units of the last hidden layer, F) how features are made of them. None: each is one.
    """

    weights: Floats
    learned: Flags | None = None
    hidden: tuple[Layer, ...] = ()
    mix: Floats | None = None

    @property
    def free(self) -> Floats:
        """(F + 1, N_ACTION) 1 for weights that move, 0 for those that stay."""
        learned = np.ones(N_ACTION) if self.learned is None else self.learned
        return np.broadcast_to(learned, self.weights.shape).astype(np.float64)

    def features(self, obs: NDArray[np.float32]) -> NDArray[np.float32]:
        """(..., F) features of (..., N_OBS) observations."""
        found = obs
        for slopes, bias in self.hidden:
            found = np.tanh(found @ slopes.astype(np.float32) + bias.astype(np.float32))
        return found if self.mix is None else np.asarray(found @ self.mix.astype(np.float32), dtype=np.float32)

    def layers(self, weights: Floats) -> list[Layer]:
        """Return a policy with this last layer as `vpp_policies.learned` saves and plays it."""
        slopes, bias = layer(weights)
        return [*self.hidden, (slopes if self.mix is None else self.mix @ slopes, bias)]

    def of(self, layers: list[Layer]) -> Floats | None:
        """Return the last layer of a policy that `layers` made; None where its form is another."""
        if len(layers) != len(self.hidden) + 1:
            return None
        for own, other in zip(self.hidden, layers, strict=False):
            if not all(map(np.array_equal, own, other)):
                return None
        slopes, bias = layers[-1]
        return np.vstack([slopes if self.mix is None else np.linalg.lstsq(self.mix, slopes)[0], bias])


def layer(weights: Floats) -> Layer:
    """Return (F + 1, N_ACTION) weights as slopes and bias."""
    return weights[:-1].copy(), weights[-1].copy()


def start(scenario: Scenario, home_data: str | Path | None = None) -> Floats:
    """(N_OBS + 1, N_ACTION) weights that bid like `constant`, whatever is observed; the last row is the bias."""
    month = Month(scenario, SPLITS["training"].first, home_data=home_data)
    world = World([month])
    world.reset()
    constant = Constant()
    constant.reset(market_rules(world), np.random.default_rng(0))
    bids = constant.act(build_view(world, constant.info.information)).actions
    weights = np.zeros((N_OBS + 1, N_ACTION))
    # a home without a device bids nothing: the bias is of those that have some
    able = (world.sell_limit_kw > 0) & (world.buy_limit_kw > 0)
    weights[-1] = (bids[able] if able.any() else bids).mean(axis=0)
    return weights


def own_asks() -> Form:
    """Bid as `truthful` does where the gateway keeps the owner's envelope; the prices are learned.

    Nothing that is offered can break a wish, so that all is offered: what can wait on one line, the rest on the other,
    at the owner's asks. Features are the columns `READ`, whether a home has storage, and whether its car is owed
    something. What a line can say and `truthful` does otherwise: charging that is owed is bought back at the owner's
    limit for its battery, and a battery beside a car is not asked for more than its own ask.
    """
    row = {name: j for j, name in enumerate(COLUMNS)}
    count = len(READ) + 2
    slopes = np.zeros((N_OBS, count))
    for feature, name in enumerate(READ):
        slopes[row[name], feature] = SMALL
    stores, owed = len(READ), len(READ) + 1
    slopes[[row["power"], row["v2g_power"]], stores] = LARGE
    slopes[row["ev_deficit"], owed] = LARGE
    mix = np.diag([1.0 / SMALL] * len(READ) + [1.0, 1.0])

    weights, at = np.zeros((count + 1, N_ACTION)), {name: j for j, name in enumerate(READ)}
    # who has no storage offers all of its car on the first line; the bid is clipped to [-1, 1]
    weights[[at["defer"], stores, -1], SELL1_KW] = 2.0, -2.0, 1.0
    weights[[at["defer"], stores, -1], SELL2_KW] = -2.0, 2.0, -1.0
    weights[-1, [BUY_KW, RESERVE_KW]] = 1.0
    for column, name in ((SELL1_ASK, "defer_ask"), (SELL2_ASK, "own_ask"), (RESERVE_ASK, "reserve_ask")):
        weights[[at[name], -1], column] = 2.0, -1.0  # what is observed has the scale of the bid
    low, high = BUY_LIMIT_RANGE
    weights[[at["buy_limit"], -1], BUY_LIMIT] = 2.0 * high / (high - low), -2.0 * low / (high - low) - 1.0
    return Form(weights, np.isin(np.arange(N_ACTION), PRICES), ((slopes, np.zeros(count)),), mix)


Threshold = tuple[dict[str, float], float]
"""Open where the sum of columns times numbers, and a number, is more than 0."""
Product = tuple[tuple[str, ...], dict[str, float], float]
"""Gates, and a sum that is let through where all of them are open: columns times numbers, and a number."""


def evening_asks(scenario: Scenario) -> Form:
    """Bid as `truthful` does where evenings are sold; what storage asks and pays is learned.

    The first hidden layer lets columns through, and says of each gate whether it is open. The second one has two units
    for each product, whose difference is a sum of columns while its gates are open and 0 while one is shut: what is
    asked in the evening is learned apart from other hours, and what for a dear owner apart from others.
    """
    gates, products = _gates(scenario), _products(scenario)
    row = {name: j for j, name in enumerate(COLUMNS)}
    at = {name: j for j, name in enumerate((*EVENING_READ, *gates))}
    slopes, bias = np.zeros((N_OBS, len(at))), np.zeros(len(at))
    for name in EVENING_READ:
        slopes[row[name], at[name]] = SMALL
    for name, (columns, number) in gates.items():
        bias[at[name]] = LARGE * number
        for column, times in columns.items():
            slopes[row[column], at[name]] = LARGE * times

    read = len(EVENING_READ)
    units = read + 2 * len(products)
    inner, inner_bias, mix = np.zeros((len(at), units)), np.zeros(units), np.zeros((units, read + len(products)))
    inner[range(read), range(read)] = 1.0
    mix[range(read), range(read)] = 1.0 / SMALL
    for j, (through, columns, number) in enumerate(products.values()):
        some, none = read + 2 * j, read + 2 * j + 1
        for name in through:
            inner[at[name], [some, none]] = SHUT
        for column, times in columns.items():
            inner[at[column], some] = times
        inner_bias[[some, none]] = -SHUT * len(through) + np.array([SMALL * number, 0.0])
        mix[[some, none], read + j] = 1.0 / SMALL, -1.0 / SMALL

    feature = {name: j for j, name in enumerate((*EVENING_READ, *products))}
    weights = _truthful(feature)
    learned = np.zeros(weights.shape, dtype=np.bool_)
    for price, names in LEARNED.items():
        learned[[*(feature[name] for name in names), -1], price] = True
    return Form(weights, learned, ((slopes, bias), (inner, inner_bias)), mix)


def _gates(scenario: Scenario) -> dict[str, Threshold]:
    """Return what is asked of an observation in `evening_asks`."""
    opportunity_h = scenario.time.opportunity_minutes / 60.0
    lead_h = math.ceil(scenario.market.gate_lead_minutes / 60.0 / opportunity_h) * opportunity_h
    hours = {"evening": scenario.market.capacity_hours} | HOURS
    return {
        "stores": ({"power": 1.0, "v2g_power": 1.0}, -0.01),
        "owed": ({"ev_deficit": 1.0}, -0.001),
        "car": ({"ev_capacity": 1.0}, -0.01),
        "late_car": ({"defer_ask": 1.0, "own_ask": -1.0}, 0.0),
        "dear": ({"own_ask": 1.0}, -_strike(scenario)),
        **{name: _between(*span, lead_h, opportunity_h) for name, span in hours.items()},
        "called": ({"capacity_now": 1.0}, -0.1),
        **{f"calm_{j}": ({f"day_ahead_{j}": -1.0}, _observed_price(scenario)) for j in (0, 1, 2)},
        "ahead": ({"capacity_called": 1.0, "capacity_now": -1.0}, -0.5),
        **{f"rises_{j}": ({f"day_ahead_{j}": 1.0, "day_ahead_0": -1.0}, 0.0) for j in (1, 2, 4)},
    }


def _products(scenario: Scenario) -> dict[str, Product]:
    """Return what is learned from in `evening_asks` beside columns; numbers make one step fit all."""
    alone = ("stores", "owed", "car", "evening", *HOURS, "called", "ahead")
    return {
        "late_car": (("late_car", "car"), {"defer_ask": 1.0, "own_ask": -1.0}, 0.0),
        "back": (("car",), {"defer_ask": 1.0}, 0.0),
        "back_limit": (("car",), {"buy_limit": 1.0}, 0.0),
        "dear_evening": (("evening", "dear"), {"own_ask": 20.0}, -20.0 * _strike(scenario)),
        "called_ask": (("called",), {"own_ask": 5.0}, 0.0),
        "test_ask": (TEST, {"own_ask": 25.0}, 0.0),
        **{f"rise_{j}": ((f"rises_{j}",), {f"day_ahead_{j}": 5.0, "day_ahead_0": -5.0}, 0.0) for j in (1, 2, 4)},
        **{f"is_{name}": ((name,), {}, 1.0) for name in alone},
        "is_test": (TEST, {}, 5.0),
    }


def _strike(scenario: Scenario) -> float:
    """Just below the highest ask that a call dispatches, USD/kWh."""
    market = scenario.market
    return float(market.capacity_call_usd_per_mwh / KWH_PER_MWH / (1.0 + market.margin) - 2.0 * PRICE_TICK)


def _observed_price(scenario: Scenario) -> float:
    """Return the day-ahead price from which an evening is called, as it is observed."""
    return math.asinh(scenario.market.capacity_call_usd_per_mwh / 100.0) / PRICE_SCALE


def _between(first: float, last: float, lead_h: float, opportunity_h: float) -> Threshold:
    """Open at gates whose delivery begins in these hours of day."""
    middle, half = math.tau * ((first + last - opportunity_h) / 2.0 - lead_h) / 24.0, math.tau * (last - first) / 48.0
    return {"hour_sin": math.sin(middle), "hour_cos": math.cos(middle)}, -math.cos(half)


def _truthful(at: dict[str, int]) -> Floats:
    """(F + 1, N_ACTION) weights of what `truthful` bids, by number of each feature."""
    weights = np.zeros((len(at) + 1, N_ACTION))
    # who has no storage offers all of its car on the first line; the bid is clipped to [-1, 1]
    weights[[at["defer"], at["is_stores"], -1], SELL1_KW] = 2.0, -2.0, 1.0
    weights[[at["defer"], at["is_stores"], -1], SELL2_KW] = -2.0, 2.0, -1.0
    weights[-1, [BUY_KW, RESERVE_KW]] = 1.0
    # what is observed has the scale of the bid; storage beside a car asks no less than charging that waits
    weights[[at["defer_ask"], -1], SELL1_ASK] = 2.0, UP - 1.0
    weights[[at["own_ask"], at["late_car"], -1], SELL2_ASK] = 2.0, 2.0, UP - 1.0
    weights[[at["reserve_ask"], -1], RESERVE_ASK] = 2.0, -1.0
    # a car buys back for no more than it sold for; a battery charges at its owner's limit
    low, high = BUY_LIMIT_RANGE
    scale = 2.0 / (high - low)
    weights[[at["buy_limit"], at["back_limit"]], BUY_LIMIT] = scale * high, -scale * high
    weights[[at["back"], -1], BUY_LIMIT] = scale, -scale * low - 1.0
    return weights


def sells_evenings(scenario: Scenario) -> bool:
    """Whether a scenario sells evenings, and homes bid behind a gateway and ahead of time, as in `august`."""
    market = scenario.market
    return market.safeguard and market.firm_capacity and market.gate_lead_minutes > 0


def form_of(scenario: Scenario, home_data: str | Path | None = None) -> Form:
    """Return what evolution begins with: what `truthful` bids, or nearly; without a safeguard what `constant` does."""
    if not scenario.market.safeguard:
        return Form(start(scenario, home_data))
    return evening_asks(scenario) if sells_evenings(scenario) else own_asks()
