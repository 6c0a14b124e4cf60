"""Bids: the action of one prosumer for one opportunity, encoded in a box and decoded to quanta and ticks.

| column | name | decoded | span |
|---|---|---|---|
| 0 | sell1_kw | kW, share of the home's device limit (battery + charger + V2G) | [0, limit] |
| 1 | sell1_ask | USD/kWh, least pay per kWh sold on the first line | [0, 1] |
| 2 | sell2_kw | kW, share of the same limit | [0, limit] |
| 3 | sell2_ask | USD/kWh, least pay per kWh sold on the second line | [0, 1] |
| 4 | buy_kw | kW, share of the home's device limit (battery + charger) | [0, limit] |
| 5 | buy_limit | USD/kWh, most paid per kWh bought | [-0.15, 0.35] |
| 6 | reserve_kw | kW, share of the home's sell limit | [0, limit] |
| 7 | reserve_ask | USD per kW and hour on reserve | [0, 0.05] |

Two sell lines, since a home has a cheap device (charging that waits) and a dear one (storage): each is a slice of its
own in the merit order. What the home can deliver caps their sum, the cheaper line first. The kW on reserve may be the
same as those for sale: energy clears first, and what it leaves stands by.
Every column is affine in [-1, 1]: -1 is the low end of the span. A value outside it is an error and is not clipped.
Quantities are cleared in quanta of 10 W, asks in ticks of .001 USD/kWh (reserve .0001 USD/kW-h), all integers, so that
a clearing does not depend on the order of homes or on rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpp_env.errors import BidError
from vpp_env.jit import inlined, kernel
from vpp_env.units import (
    BUY_LIMIT_RANGE,
    POWER_QUANTUM_KW,
    PRICE_TICK,
    RESERVE_ASK_RANGE,
    SELL_ASK_RANGE,
    Flags,
    Floats,
    Floats32,
    Ints,
)

N_ACTION = 8
SELL1_KW, SELL1_ASK, SELL2_KW, SELL2_ASK, BUY_KW, BUY_LIMIT, RESERVE_KW, RESERVE_ASK = range(N_ACTION)
COLUMNS = ("sell1_kw", "sell1_ask", "sell2_kw", "sell2_ask", "buy_kw", "buy_limit", "reserve_kw", "reserve_ask")
ROUNDING = 1e-6
"""How far a value may lie outside [-1, 1]: float32 holds no more."""
RESERVE_TICK = 0.0001
"""Clearing resolution of reserve asks, USD per kW and hour."""


@dataclass(frozen=True)
class DayAheadSchedule:
    """What the VPP offers to the day-ahead market for the next local day; see `Public.day_ahead_hours`.

    Parameters
    ----------
    kw : ndarray
        (H,) mean power of each hour, plus = sale; H = 23, 24 or 25.
    limit_usd_per_kwh : ndarray
        (H,) or a number: a sale clears at this day-ahead price or above, a purchase at it or below.

    Raises
    ------
    BidError
        When the shapes differ or a value is not a finite number.
    """

    kw: Floats
    limit_usd_per_kwh: Floats

    def __post_init__(self) -> None:
        kw = np.array(self.kw, dtype=np.float64)
        try:
            limit = np.array(np.broadcast_to(np.asarray(self.limit_usd_per_kwh, dtype=np.float64), kw.shape))
        except ValueError as error:
            raise BidError(
                f"a day-ahead schedule has {kw.shape} quantities and {np.shape(self.limit_usd_per_kwh)} limits; "
                "allowed is one limit for each hour, or one for all"
            ) from error
        if kw.ndim != 1 or not len(kw):
            raise BidError(f"a day-ahead schedule has shape {kw.shape}; allowed is one quantity for each hour of a day")
        if not (np.isfinite(kw).all() and np.isfinite(limit).all()):
            raise BidError("a day-ahead schedule holds values that are not finite numbers; allowed is kW and USD/kWh")
        for name, array in (("kw", kw), ("limit_usd_per_kwh", limit)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)


@dataclass(frozen=True)
class Bids:
    """What a policy returns for one opportunity.

    Parameters
    ----------
    actions : ndarray
        (N, 8) float32 in [-1, 1]; row i is the bid of prosumer i.
    accepted : ndarray, optional
        (N,) bool: homes whose owner (or the owner's agent) explicitly accepted this bid. `None`: nobody was asked,
        unless the policy's bids are the homes' own (`PolicyInfo.asks_consent` with no coalition).
    expected_profit_usd : float, optional
        What the policy expects to earn for the VPP in this opportunity; recorded, never used.
    notes : dict
        Plain numbers for the record: `negotiation_rounds`, `coalition_size`, `optimization_s`, ...
    transcript : list of dict, optional
        Messages of a negotiation, for the record.
    day_ahead : DayAheadSchedule, optional
        The next local day's schedule, where `Public.day_ahead_hours` says that its gate is open.
    override : ndarray, optional
        (N,) bool: homes whose gateway does not keep the owner's envelope at delivery: every breach is counted. `None`:
        it is kept everywhere (see `market.safeguard`).
    capacity : float, optional
        Firm capacity for the next local day's evening, kW, where `Public.capacity_gate` says that its gate is open.
        Less than the minimum bid commits nothing. `None`: the built-in aggregator commits (see `market.firm_book`).
    """

    actions: NDArray[np.floating]
    accepted: Flags | None = None
    expected_profit_usd: float | None = None
    notes: dict[str, float] = field(default_factory=dict)
    transcript: list[dict[str, Any]] | None = None
    day_ahead: DayAheadSchedule | None = None
    override: Flags | None = None
    capacity: float | None = None


@dataclass(frozen=True)
class Offers:
    """Decoded bids, one row per home (any leading shape), integers."""

    sell1_q: Ints  # quanta
    sell1_tick: Ints  # ticks
    sell2_q: Ints
    sell2_tick: Ints
    buy_q: Ints
    buy_tick: Ints
    reserve_q: Ints
    reserve_tick: Ints  # reserve ticks

    @property
    def sell_q(self) -> Ints:
        """Quanta for sale on both lines; more than the home's limit where a bid says so: the market cuts it."""
        return self.sell1_q + self.sell2_q

    @property
    def mean_tick(self) -> Floats:
        """Mean ask of a home's lines, weighted by quantity; the first line's where it sells nothing. In ticks."""
        q = self.sell_q
        asked = self.sell1_q * self.sell1_tick + self.sell2_q * self.sell2_tick
        return np.divide(asked, q, out=self.sell1_tick.astype(np.float64), where=q > 0)

    @property
    def asked_ticks(self) -> tuple[Ints, Ints]:
        """Asks of the cheaper and of the dearer line that offer something; of both lines where neither does."""
        one = np.where((self.sell1_q > 0) | (self.sell2_q == 0), self.sell1_tick, self.sell2_tick)
        two = np.where((self.sell2_q > 0) | (self.sell1_q == 0), self.sell2_tick, self.sell1_tick)
        return np.minimum(one, two), np.maximum(one, two)


def check_actions(actions: NDArray[Any], n: int) -> Floats:
    """Return `actions` as (n, 8) float64 in [-1, 1]; float32 rounding at the ends, up to `ROUNDING`, is taken off.

    Raises
    ------
    BidError
        When the shape is wrong, a value is not a number, or one lies outside [-1, 1].
    """
    array = np.asarray(actions, dtype=np.float64)
    if array.shape != (n, N_ACTION):
        raise BidError(f"bids have shape {array.shape}; allowed is ({n}, {N_ACTION}): one row per prosumer")
    clipped, fits = _clipped(np.ascontiguousarray(array), 1.0 + ROUNDING)
    if fits:
        return clipped
    finite = np.isfinite(array)
    if not finite.all():
        rows = np.unique(np.nonzero(~finite)[0])[:5].tolist()
        raise BidError(f"bids of prosumers {rows} are not finite numbers; allowed is [-1, 1]")
    row, column = np.unravel_index(int(np.argmax(np.abs(array))), array.shape)
    raise BidError(
        f"the bid of prosumer {row} has {COLUMNS[column]} = {array[row, column]:.6g}; allowed is [-1, 1]. Usual "
        "causes: kW or USD where a share of the span is meant (use vpp_env.encode), or actions of a learner that "
        "are not clipped (use np.clip(actions, -1, 1), or an output squashed by tanh)"
    )


@kernel
def _clipped(actions: Floats, most: float) -> tuple[Floats, bool]:
    """`actions` (n, 8) in [-1, 1], and whether all of them were numbers in [-most, most]."""
    out, fits = np.empty_like(actions), True
    for i in range(actions.shape[0]):
        for j in range(actions.shape[1]):
            x = actions[i, j]
            fits &= abs(x) <= most  # no comparison is true of what is not a number
            out[i, j] = min(1.0, max(-1.0, x))
    return out, fits


def check_override(override: Flags | None, n: int) -> Flags:
    """Return `override` as a new (n,) bool array; all False where it is None.

    Raises
    ------
    BidError
        When it is not (n,) bool.
    """
    if override is None:
        return np.zeros(n, dtype=np.bool_)
    array = np.asarray(override)
    if array.shape != (n,) or array.dtype != np.bool_:
        raise BidError(f"override is {array.dtype} of shape {array.shape}; allowed is bool of shape ({n},), or None")
    return array.copy()


@kernel
def decode(actions: Floats, sell_limit_kw: Floats, buy_limit_kw: Floats) -> Ints:
    """Decode checked (N, 8) actions, clipped to [-1, 1], to (8, N) int64 offers in the order of `Offers`.

    Parameters
    ----------
    actions : ndarray
        (N, 8) float64.
    sell_limit_kw, buy_limit_kw : ndarray
        (N,) device limits, kW.
    """
    offers = np.empty((N_ACTION, len(actions)), dtype=np.int64)
    for i in range(len(actions)):
        for column in range(N_ACTION):
            offers[column, i] = decoded(column, actions[i, column], sell_limit_kw[i], buy_limit_kw[i])
    return offers


@inlined
def decoded(column: int, action: float, sell_limit_kw: float, buy_limit_kw: float) -> int:
    """One column of one home's action as quanta or ticks; see `decode`."""
    u = (min(1.0, max(-1.0, action)) + 1.0) / 2.0
    if column == BUY_KW:
        x = u * buy_limit_kw / POWER_QUANTUM_KW
    elif column in (SELL1_KW, SELL2_KW, RESERVE_KW):
        x = u * sell_limit_kw / POWER_QUANTUM_KW
    elif column in (SELL1_ASK, SELL2_ASK):
        x = (SELL_ASK_RANGE[0] + u * (SELL_ASK_RANGE[1] - SELL_ASK_RANGE[0])) / PRICE_TICK
    elif column == BUY_LIMIT:
        x = (BUY_LIMIT_RANGE[0] + u * (BUY_LIMIT_RANGE[1] - BUY_LIMIT_RANGE[0])) / PRICE_TICK
    else:
        x = (RESERVE_ASK_RANGE[0] + u * (RESERVE_ASK_RANGE[1] - RESERVE_ASK_RANGE[0])) / RESERVE_TICK
    return round(x)


def _encode_kw(kw: Floats, limit: Floats) -> Floats:
    # whole quanta, rounded down: what is decoded never exceeds what was meant
    quanta = np.floor(np.minimum(np.maximum(kw, 0.0), limit) / POWER_QUANTUM_KW + 1e-6)
    share = np.divide(quanta * POWER_QUANTUM_KW, limit, out=np.zeros_like(quanta), where=limit > 0)
    return 2.0 * share - 1.0


def _encode_price(price: Floats, span: tuple[float, float], tick: float, up: bool) -> Floats:
    low, high = span
    ticks = np.ceil(price / tick - 1e-6) if up else np.floor(price / tick + 1e-6)
    return 2.0 * (np.clip(ticks * tick, low, high) - low) / (high - low) - 1.0


def encode(
    sell_limit_kw: Floats,
    buy_limit_kw: Floats,
    *,
    sell1_kw: Floats | float = 0.0,
    sell1_ask: Floats | float = SELL_ASK_RANGE[1],
    sell2_kw: Floats | float = 0.0,
    sell2_ask: Floats | float | None = None,
    buy_kw: Floats | float = 0.0,
    buy_limit: Floats | float = BUY_LIMIT_RANGE[0],
    reserve_kw: Floats | float = 0.0,
    reserve_ask: Floats | float = RESERVE_ASK_RANGE[1],
) -> Floats32:
    """Encode quantities (kW) and prices (USD/kWh; reserve USD/kW-h) as (N, 8) float32 actions.

    `sell2_ask` None: that of the first line.

    Quantities are rounded down to whole quanta, asks up and buy limits down to whole ticks: the decoded bid never
    promises more, or for less, than was meant. A price that no bid can express (an ask above its span, a limit below
    it) makes the quantity zero; other prices outside the spans are clipped to them.

    Parameters
    ----------
    sell_limit_kw, buy_limit_kw : ndarray
        (N,) kW at which an action is 1: `MarketRules.sell_limit_kw`, `buy_limit_kw`.
    sell1_kw, sell1_ask : ndarray or float
        (N,) kW offered on the first sell line, and its least price, USD/kWh.
    sell2_kw, sell2_ask : ndarray or float
        (N,) the same of the second.
    buy_kw, buy_limit : ndarray or float
        (N,) kW to buy, and the most that is paid, USD/kWh.
    reserve_kw, reserve_ask : ndarray or float
        (N,) kW on reserve, and the least price, USD/kW-h.

    Returns
    -------
    ndarray
        (N, 8) float32 in [-1, 1].
    """
    n = len(sell_limit_kw)
    second_ask = sell1_ask if sell2_ask is None else sell2_ask
    actions = np.empty((n, N_ACTION), dtype=np.float32)
    for column, kw, ask, most, span, tick in (
        (SELL1_KW, sell1_kw, sell1_ask, sell_limit_kw, SELL_ASK_RANGE, PRICE_TICK),
        (SELL2_KW, sell2_kw, second_ask, sell_limit_kw, SELL_ASK_RANGE, PRICE_TICK),
        (BUY_KW, buy_kw, buy_limit, buy_limit_kw, BUY_LIMIT_RANGE, PRICE_TICK),
        (RESERVE_KW, reserve_kw, reserve_ask, sell_limit_kw, RESERVE_ASK_RANGE, RESERVE_TICK),
    ):
        power, price = (np.broadcast_to(np.asarray(x, dtype=np.float64), n) for x in (kw, ask))
        asks = column != BUY_KW
        never = price > span[1] + 1e-9 if asks else price < span[0] - 1e-9
        actions[:, column] = _encode_kw(np.where(never, 0.0, power), most)
        actions[:, column + 1] = _encode_price(price, span, tick, up=asks)
    return actions
