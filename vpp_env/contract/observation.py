"""The observation of one home: a flat float32 vector in [-1, 1], the same columns for every home.

`PublicColumns` are the same for every home of a month, `HomeColumns` follow from the home's own row; together they are
`COLUMNS`. Environments fill it for M months at once, `View.observation()` from a view: both call `observe`, so that the
bits are the same. A change of a column is a new `OBSERVATION_VERSION`; what a policy learned on another one is refused.
It is longer than other modules because a column is in it three times: by name, in words, and as it is computed.
"""

from __future__ import annotations

import math
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from vpp_env.jit import LANES, inlined, kernel, on_stack, unsigned
from vpp_env.units import BUY_LIMIT_RANGE, DT_H, KWH_PER_MWH, POWER_QUANTUM_KW, RESERVE_ASK_RANGE, Floats, Floats32

T = TypeVar("T")

OBSERVATION_VERSION = 2
"""Version of the columns; stands in the metadata of every environment and in every saved policy.

Version 1 had no columns of evening capacity."""


class PublicColumns(NamedTuple):
    """What every home of a month sees alike."""

    hour_sin: float
    hour_cos: float
    week_sin: float
    week_cos: float
    to_publication: float
    lead: float
    day_ahead_0: float
    day_ahead_1: float
    day_ahead_2: float
    day_ahead_3: float
    day_ahead_4: float
    real_time: float
    real_time_q10: float
    real_time_q50: float
    real_time_q90: float
    sale_price: float
    incentive: float
    incentive_ahead: float
    spin: float
    nonspin: float
    regup: float
    regdown: float
    schedule_gate: float
    schedule_kw: float
    minimum_kw: float
    capacity_gate: float
    capacity_kw: float
    capacity_now: float
    capacity_called: float
    hours_to_call: float
    capacity_rate: float


class HomeColumns(NamedTuple):
    """What a home sees of itself."""

    soc: float
    floor: float
    capacity: float
    power: float
    day_used: float
    battery_inside_kwh: float
    battery_hard_kwh: float
    battery_room_kwh: float
    plugged: float
    ev_soc: float
    ev_target: float
    hours_to_ready: float
    ev_capacity: float
    ev_power: float
    v2g_power: float
    ev_deficit: float
    ev_missing_kwh: float
    v2g_hard_kwh: float
    load: float
    load_1: float
    load_4: float
    load_16: float
    pv: float
    pv_1: float
    pv_4: float
    pv_16: float
    net: float
    net_1: float
    net_4: float
    net_16: float
    own_ask: float
    defer_ask: float
    reserve_ask: float
    buy_limit: float
    willingness: float
    blackout: float
    blackout_soon: float
    absent: float
    last_award: float
    last_metered: float
    last_payment: float
    defer: float
    defer_first: float
    storage: float
    sell: float
    sell_hard: float
    buy_back: float
    buy: float
    reserve: float
    reserve_hard: float


COLUMNS = PublicColumns._fields + HomeColumns._fields
"""Names of the columns, in order."""
N_PUBLIC, N_OBS = len(PublicColumns._fields), len(COLUMNS)
_PRICE, _PRICE_AT = "asinh(p / 100) / asinh(20), p in USD/MWh", "day-ahead price at the delivery that is bid for"
MEANING: dict[str, tuple[str, str]] = {
    "hour_sin": ("1", "sine of the local hour of day at the gate"),
    "hour_cos": ("1", "cosine of it"),
    "week_sin": ("1", "sine of the day of the week at the gate, Monday 0"),
    "week_cos": ("1", "cosine of it"),
    "to_publication": ("24 h", "time to the next publication of day-ahead prices and programme events (13:00)"),
    "lead": ("4 h", "time from the gate to the delivery that is bid for"),
    "day_ahead_0": (_PRICE, _PRICE_AT),
    "day_ahead_1": (_PRICE, "1 h later; the last one published where it is not known yet"),
    "day_ahead_2": (_PRICE, "2 h later"),
    "day_ahead_3": (_PRICE, "3 h later"),
    "day_ahead_4": (_PRICE, "4 h later"),
    "real_time": (_PRICE, "last real-time price; before the first one the day-ahead price at delivery"),
    "real_time_q10": (_PRICE, "10 % quantile of the last day's real-time prices"),
    "real_time_q50": (_PRICE, "50 % quantile"),
    "real_time_q90": (_PRICE, "90 % quantile"),
    "sale_price": (
        "1 USD/kWh",
        "mean day-ahead price of the opportunity and the programme's incentive: as asks are scaled",
    ),
    "incentive": ("2 USD/kWh", "a programme's incentive, mean over the opportunity"),
    "incentive_ahead": ("2 USD/kWh", "highest incentive that is announced, delivery on"),
    "spin": ("50 USD/MW-h", "last price of spinning reserve; 0 where it is not on sale"),
    "nonspin": ("50 USD/MW-h", "of non-spinning reserve"),
    "regup": ("50 USD/MW-h", "of regulation up"),
    "regdown": ("50 USD/MW-h", "of regulation down"),
    "schedule_gate": ("1", "1: a day-ahead schedule may be handed in now"),
    "schedule_kw": ("10 kW a home", "day-ahead award of the VPP, mean over the opportunity, by home"),
    "minimum_kw": ("10 kW a home", "what the market takes at least, by home"),
    "capacity_gate": ("1", "1: firm capacity for the next day's evening may be committed now"),
    "capacity_kw": (
        "10 kW a home",
        "most firm capacity that is committed, delivery on as far as prices are published, by home",
    ),
    "capacity_now": ("1", "share of the opportunity that lies in an evening that is called"),
    "capacity_called": ("1", "1: an evening is called, delivery on as far as prices are published"),
    "hours_to_call": ("24 h", "from delivery to the first called step of them; 1 where none is called"),
    "capacity_rate": ("1 USD/kW", "what a kW of firm capacity earns on an evening; 0 where it is not on sale"),
    "soc": ("capacity", "energy in the battery"),
    "floor": ("capacity", "reserve floor"),
    "capacity": ("20 kWh", "capacity of the battery"),
    "power": ("10 kW", "its power"),
    "day_used": ("the owner's daily limit", "discharged for the market since midnight"),
    "battery_inside_kwh": ("20 kWh", "above floor and hard minimum, and left of the daily limit"),
    "battery_hard_kwh": ("20 kWh", "above the hard minimum"),
    "battery_room_kwh": ("20 kWh", "room up to the hard maximum"),
    "plugged": ("1", "1: the car is at home, and will be at the delivery that is bid for"),
    "ev_soc": ("capacity", "energy in the car; 0 when away"),
    "ev_target": ("capacity", "what the owner wants in it when it must be ready"),
    "hours_to_ready": ("24 h", "from delivery until the car must be ready; 0 when away"),
    "ev_capacity": ("100 kWh", "capacity of the car"),
    "ev_power": ("11.5 kW", "its charger"),
    "v2g_power": ("11.5 kW", "its power back; 0: it cannot"),
    "ev_deficit": ("20 kWh", "what the car holds less than without a market: to be bought back"),
    "ev_missing_kwh": ("50 kWh", "missing to its target; 0 when away"),
    "v2g_hard_kwh": ("50 kWh", "above the hard minimum, of a car that can give back"),
    "load": ("10 kW", "load, last metered"),
    "load_1": ("10 kW", "1 step later, by the day before"),
    "load_4": ("10 kW", "4 steps later"),
    "load_16": ("10 kW", "16 steps later"),
    "pv": ("10 kW", "solar output, last metered"),
    "pv_1": ("10 kW", "1 step later, by the day before"),
    "pv_4": ("10 kW", "4 steps later"),
    "pv_16": ("10 kW", "16 steps later"),
    "net": ("10 kW", "solar output less load, last metered"),
    "net_1": ("10 kW", "1 step later"),
    "net_4": ("10 kW", "4 steps later"),
    "net_16": ("10 kW", "16 steps later"),
    "own_ask": ("1 USD/kWh", "what the owner wants for a kWh from storage"),
    "defer_ask": ("1 USD/kWh", "for a kWh of charging that waits"),
    "reserve_ask": ("0.05 USD/kW-h", "for standing by"),
    "buy_limit": ("0.35 USD/kWh", "most that the owner pays for charging the battery"),
    "willingness": ("1", "how surely the owner stays in"),
    "blackout": ("1", "1: a blackout window lies in the opportunity"),
    "blackout_soon": ("1", "1: one lies within 4 h of its start"),
    "absent": ("1", "1: the owner has opted out of the opportunity, as far as it has said"),
    "last_award": ("20 kWh", "last opportunity: energy awarded, sold less bought"),
    "last_metered": ("20 kWh", "energy metered for the market"),
    "last_payment": ("5 USD", "what the home was paid"),
    "defer": ("sell limit", "charging that can wait in every interval: safe to bid"),
    "defer_first": ("sell limit", "charging that can wait in the first interval"),
    "storage": ("sell limit", "battery and V2G together, sustained, inside the envelope: safe to bid"),
    "sell": ("sell limit", "both: safe to bid"),
    "sell_hard": ("sell limit", "charging that can wait, and storage sustained down to the hard minimum"),
    "buy_back": ("buy limit", "charging that returns what the car put off, sustained"),
    "buy": ("buy limit", "that and charging the battery, sustained"),
    "reserve": ("sell limit", "reserve inside the envelope"),
    "reserve_hard": ("sell limit", "reserve down to the hard minimum"),
}
"""Column -> (scale, what). The sell limit is battery + charger + V2G, the buy limit battery + charger: a bid of 1."""

AHEAD = np.array([0, 1, 4, 16])
"""Steps after the last metered one whose load and solar output are shown."""
HISTORY_STEPS = 96
"""Steps of real-time prices whose quantiles are shown."""
PRODUCTS = ("spin", "nonspin", "regup", "regdown")
PRICE_SCALE = math.asinh(20.0)
QUANTILES = (0.1, 0.5, 0.9)


class MarketFacts(NamedTuple):
    """Public facts at a gate, M months."""

    hour: float  # local hour of day of the gate
    weekday: float  # Monday 0, fractions of a day included
    to_publication_h: float
    lead_h: float
    steps: int  # 15-min intervals of the opportunity
    da: Floats  # (M, H) USD/kWh, published, from the delivery that is bid for on
    incentive: Floats  # (M, H) USD/kWh
    schedule_kw: Floats  # (M, H) day-ahead award
    rt: Floats  # (M, R) USD/kWh, the last `HISTORY_STEPS` real-time prices, oldest first; R = 0 at the start
    reserve: Floats  # (M, 4) USD/kW-h, last prices in the order of `PRODUCTS`, 0 where not on sale
    schedule_gate: float  # 1: a day-ahead schedule may be handed in
    minimum_kw: float  # what the market takes at least
    capacity_gate: float  # 1: firm capacity may be committed
    called: Floats  # (M, H) 1: the step lies in an evening that is called, delivery on
    committed_kw: Floats  # (M, H) firm capacity
    capacity_rate: float  # USD/kW and evening; 0: not on sale


class Fixed(NamedTuple):
    """Rows of what does not change of a home: kW, kWh, USD/kWh."""

    bess_kwh: int
    bess_kw: int
    bess_min_kwh: int
    bess_max_kwh: int
    floor_kwh: int
    day_limit_kwh: int
    ev_kwh: int
    ev_kw: int
    v2g_kw: int
    ev_min_kwh: int
    ev_target_kwh: int
    buy_limit: int
    willingness: int


class Changing(NamedTuple, Generic[T]):
    """What changes of a home, or its rows; named as in `Homes`."""

    soc_kwh: T
    discharged_today_kwh: T
    ev_soc_kwh: T
    ev_deficit_kwh: T
    plugged: T
    hours_to_ready: T
    own_ask: T
    defer_ask: T
    reserve_ask: T
    blackout_now: T
    blackout_soon: T
    absent: T
    defer_kw: T
    defer_first_kw: T
    bess_sell_hard_kw: T
    v2g_sell_hard_kw: T
    storage_sell_kw: T
    buy_back_kw: T
    bess_buy_kw: T
    reserve_kw: T
    reserve_hard_kw: T
    last_award_kwh: T
    last_market_kwh: T
    last_payment_usd: T


FIXED = Fixed(*range(len(Fixed._fields)))
CHANGING: Changing[int] = Changing(*range(len(Changing._fields)))
"""Row of each in a matrix (rows, homes)."""
HOME: Any = HomeColumns(*range(len(HomeColumns._fields)))
"""Place of each among the home columns, which follow the public ones."""


@inlined
def _unit(x: float) -> float:
    return min(1.0, max(-1.0, x))


@kernel
def _price(usd_per_kwh: float) -> float:
    return _unit(math.asinh(usd_per_kwh * KWH_PER_MWH / 100.0) / PRICE_SCALE)


@kernel
def real_time_columns(rt: Floats, da: Floats) -> Floats:
    """(M, 4) columns of past prices `rt` (M, R): the last one and `QUANTILES`; without any those of `da` (M,)."""
    out = np.empty((len(rt), 1 + len(QUANTILES)))
    for m in range(len(rt)):
        # before the first real-time price there is only the day-ahead one
        recent, last = (np.sort(rt[m]), rt[m, -1]) if rt.shape[1] else (np.full(1, da[m]), da[m])
        out[m, 0] = _price(last)
        for j, share in enumerate(QUANTILES):
            out[m, 1 + j] = _price(recent[round(share * (len(recent) - 1))])
    return out


@kernel
def public_columns(facts: MarketFacts, homes: int) -> Floats:
    """(M, N_PUBLIC) the public columns of fleets of `homes` homes."""
    out = np.zeros((len(facts.da), N_PUBLIC))
    steps, known = facts.steps, facts.da.shape[1]
    past = real_time_columns(facts.rt, facts.da[:, 0])
    for m in range(len(out)):
        da, rho = facts.da[m], facts.reserve[m]
        incentive, sale, award, highest = 0.0, 0.0, 0.0, 0.0
        committed, called_now, called, wait_h = 0.0, 0.0, 0.0, 24.0
        for j in range(min(steps, known)):
            incentive += facts.incentive[m, j] / steps
            sale += (da[j] + facts.incentive[m, j]) / steps
            award += facts.schedule_kw[m, j] / steps
            called_now += facts.called[m, j] / steps
        for j in range(known):
            highest = max(highest, facts.incentive[m, j])
            committed = max(committed, facts.committed_kw[m, j])
            if called == 0.0 and facts.called[m, j] > 0.0:
                called, wait_h = 1.0, j * DT_H
        row = PublicColumns(
            hour_sin=math.sin(math.tau * facts.hour / 24),
            hour_cos=math.cos(math.tau * facts.hour / 24),
            week_sin=math.sin(math.tau * facts.weekday / 7),
            week_cos=math.cos(math.tau * facts.weekday / 7),
            to_publication=facts.to_publication_h / 24,
            lead=_unit(facts.lead_h / 4),
            day_ahead_0=_price(da[0]),
            day_ahead_1=_price(da[min(4, known - 1)]),
            day_ahead_2=_price(da[min(8, known - 1)]),
            day_ahead_3=_price(da[min(12, known - 1)]),
            day_ahead_4=_price(da[min(16, known - 1)]),
            real_time=past[m, 0],
            real_time_q10=past[m, 1],
            real_time_q50=past[m, 2],
            real_time_q90=past[m, 3],
            sale_price=_unit(sale),
            incentive=_unit(incentive / 2.0),
            incentive_ahead=_unit(highest / 2.0),
            spin=_unit(rho[0] * KWH_PER_MWH / 50.0),
            nonspin=_unit(rho[1] * KWH_PER_MWH / 50.0),
            regup=_unit(rho[2] * KWH_PER_MWH / 50.0),
            regdown=_unit(rho[3] * KWH_PER_MWH / 50.0),
            schedule_gate=facts.schedule_gate,
            schedule_kw=_unit(award / homes / 10.0),
            minimum_kw=_unit(facts.minimum_kw / homes / 10.0),
            capacity_gate=facts.capacity_gate,
            capacity_kw=_unit(committed / homes / 10.0),
            capacity_now=called_now,
            capacity_called=called,
            hours_to_call=_unit(wait_h / 24.0),
            capacity_rate=_unit(facts.capacity_rate),
        )
        for j, x in enumerate(row):
            out[m, j] = x
    return out


@inlined
def _over(x: float, most: float) -> float:
    """Share of `most`, in [-1, 1]; 0 where there is nothing of it."""
    return min(1.0, max(-1.0, x / most)) if most > 0.0 else 0.0


@inlined
def _bid(kw: float, limit: float) -> float:
    """Share of a device limit, rounded down to whole quanta as a bid is: `2 x share - 1` bids no more than `kw`."""
    return _over(math.floor(kw / POWER_QUANTUM_KW + 1e-6) * POWER_QUANTUM_KW, limit)


@inlined
def changing_at(now: Floats, i: int) -> Changing[float]:
    """Column i of (len(CHANGING), homes)."""
    x = now
    return Changing(
        x[0, i], x[1, i], x[2, i], x[3, i], x[4, i], x[5, i], x[6, i], x[7, i], x[8, i], x[9, i], x[10, i], x[11, i],
        x[12, i], x[13, i], x[14, i], x[15, i], x[16, i], x[17, i], x[18, i], x[19, i], x[20, i], x[21, i], x[22, i],
        x[23, i],
    )  # fmt: skip


@kernel
def _fill(public: Floats, fixed: Floats, now: Floats, load: Floats32, pv: Floats32, obs: Floats32) -> None:
    """Fill `obs` (M*N, N_OBS); `public` (M, N_PUBLIC) is repeated in every row of its month."""
    room, n = new_rows(), len(obs)
    show_public(public, obs)
    for f in range(0, n, LANES):
        count = min(LANES, n - f)
        if count == LANES:
            for h in range(LANES):
                i = unsigned(f + h)
                observe_home(i, h, fixed, changing_at(now, i), load, pv, room)
        else:
            for h in range(count):
                i = unsigned(f + h)
                observe_home(i, h, fixed, changing_at(now, i), load, pv, room)
        show_rows(room, f, count, obs)


new_rows = on_stack(LANES, N_OBS - N_PUBLIC, by_columns=True)
"""Room for the home columns of eight homes."""


@inlined
def show_public(public: Floats, obs: Floats32) -> None:
    """Copy what each month shows, (M, N_PUBLIC), to the rows of its homes in `obs` (M*N, N_OBS)."""
    n = len(obs) // len(public)
    for m in range(len(public)):
        for i in range(m * n, (m + 1) * n):
            for j in range(N_PUBLIC):
                obs[i, j] = public[m, j]


@inlined
def show_rows(room: Floats, first: int, count: int, obs: Floats32) -> None:
    """Copy the home columns of `count` homes to the rows from `first` on."""
    for h in range(count):
        for j in range(N_OBS - N_PUBLIC):
            obs[first + h, N_PUBLIC + j] = room[h, j]


@inlined
def observe_home(i: int, r: int, fixed: Floats, c: Changing[float], load: Floats32, pv: Floats32, obs: Floats) -> None:
    """Fill row r of `obs` (rows, N_OBS - N_PUBLIC) with the home columns of home i, of which `c` changes."""
    capacity, ev = fixed[FIXED.bess_kwh, i], fixed[FIXED.ev_kwh, i]
    kw, v2g_kw = fixed[FIXED.bess_kw, i], fixed[FIXED.v2g_kw, i]
    soc, least = c.soc_kwh, fixed[FIXED.bess_min_kwh, i]
    ev_soc, plugged = c.ev_soc_kwh, c.plugged
    day_left = max(0.0, fixed[FIXED.day_limit_kwh, i] - c.discharged_today_kwh)
    above = max(0.0, soc - max(fixed[FIXED.floor_kwh, i], least))
    # in the order of the device limits that a bid of 1 stands for
    sell_limit = kw + fixed[FIXED.ev_kw, i] + v2g_kw
    buy_limit = kw + fixed[FIXED.ev_kw, i]
    defer, storage = c.defer_kw, c.storage_sell_kw
    battery, v2g = c.bess_sell_hard_kw, c.v2g_sell_hard_kw
    # the battery gives first: where it does not last at full power, V2G must carry all of it alone later
    hard = battery + v2g if battery >= kw else max(battery, v2g)
    back = c.buy_back_kw
    gives_back = max(0.0, ev_soc - fixed[FIXED.ev_min_kwh, i]) if v2g_kw > 0.0 else 0.0
    obs[r, HOME.soc] = _over(soc, capacity)
    obs[r, HOME.floor] = _over(fixed[FIXED.floor_kwh, i], capacity)
    obs[r, HOME.capacity] = _unit(capacity / 20.0)
    obs[r, HOME.power] = _unit(kw / 10.0)
    obs[r, HOME.day_used] = _over(c.discharged_today_kwh, fixed[FIXED.day_limit_kwh, i])
    obs[r, HOME.battery_inside_kwh] = _unit(min(above, day_left) / 20.0)
    obs[r, HOME.battery_hard_kwh] = _unit(max(0.0, soc - least) / 20.0)
    obs[r, HOME.battery_room_kwh] = _unit(max(0.0, fixed[FIXED.bess_max_kwh, i] - soc) / 20.0)
    obs[r, HOME.plugged] = plugged
    obs[r, HOME.ev_soc] = _over(ev_soc, ev)
    obs[r, HOME.ev_target] = _over(fixed[FIXED.ev_target_kwh, i], ev)
    obs[r, HOME.hours_to_ready] = _unit(c.hours_to_ready / 24.0)
    obs[r, HOME.ev_capacity] = _unit(ev / 100.0)
    obs[r, HOME.ev_power] = _unit(fixed[FIXED.ev_kw, i] / 11.5)
    obs[r, HOME.v2g_power] = _unit(v2g_kw / 11.5)
    obs[r, HOME.ev_deficit] = _unit(c.ev_deficit_kwh / 20.0)
    obs[r, HOME.ev_missing_kwh] = _unit(max(0.0, fixed[FIXED.ev_target_kwh, i] - ev_soc) * plugged / 50.0)
    obs[r, HOME.v2g_hard_kwh] = _unit(gives_back / 50.0)
    obs[r, HOME.load] = _unit(load[0, i] / 10.0)
    obs[r, HOME.load_1] = _unit(load[1, i] / 10.0)
    obs[r, HOME.load_4] = _unit(load[2, i] / 10.0)
    obs[r, HOME.load_16] = _unit(load[3, i] / 10.0)
    obs[r, HOME.pv] = _unit(pv[0, i] / 10.0)
    obs[r, HOME.pv_1] = _unit(pv[1, i] / 10.0)
    obs[r, HOME.pv_4] = _unit(pv[2, i] / 10.0)
    obs[r, HOME.pv_16] = _unit(pv[3, i] / 10.0)
    obs[r, HOME.net] = _unit((pv[0, i] - load[0, i]) / 10.0)
    obs[r, HOME.net_1] = _unit((pv[1, i] - load[1, i]) / 10.0)
    obs[r, HOME.net_4] = _unit((pv[2, i] - load[2, i]) / 10.0)
    obs[r, HOME.net_16] = _unit((pv[3, i] - load[3, i]) / 10.0)
    obs[r, HOME.own_ask] = _unit(c.own_ask)
    obs[r, HOME.defer_ask] = _unit(c.defer_ask)
    obs[r, HOME.reserve_ask] = _unit(c.reserve_ask / RESERVE_ASK_RANGE[1])
    obs[r, HOME.buy_limit] = _unit(fixed[FIXED.buy_limit, i] / BUY_LIMIT_RANGE[1])
    obs[r, HOME.willingness] = _unit(fixed[FIXED.willingness, i])
    obs[r, HOME.blackout] = c.blackout_now
    obs[r, HOME.blackout_soon] = c.blackout_soon
    obs[r, HOME.absent] = c.absent
    obs[r, HOME.last_award] = _unit(c.last_award_kwh / 20.0)
    obs[r, HOME.last_metered] = _unit(c.last_market_kwh / 20.0)
    obs[r, HOME.last_payment] = _unit(c.last_payment_usd / 5.0)
    obs[r, HOME.defer] = _bid(defer, sell_limit)
    obs[r, HOME.defer_first] = _bid(c.defer_first_kw, sell_limit)
    obs[r, HOME.storage] = _bid(storage, sell_limit)
    obs[r, HOME.sell] = _bid(defer + storage, sell_limit)
    obs[r, HOME.sell_hard] = _bid(defer + hard, sell_limit)
    obs[r, HOME.buy_back] = _bid(back, buy_limit)
    obs[r, HOME.buy] = _bid(back + c.bess_buy_kw, buy_limit)
    obs[r, HOME.reserve] = _bid(c.reserve_kw, sell_limit)
    obs[r, HOME.reserve_hard] = _bid(c.reserve_hard_kw, sell_limit)


def observe(
    facts: MarketFacts, fixed: Floats, now: Floats, load: Floats32, pv: Floats32, into: Floats32 | None = None
) -> Floats32:
    """Return a (M*N, N_OBS) float32 matrix of observations, a fresh one unless it is said where to write it.

    Parameters
    ----------
    facts : MarketFacts
        What is public, of M months.
    fixed, now : ndarray
        (len(FIXED), M*N) and (len(CHANGING), M*N) float64, contiguous: the homes, month after month.
    load, pv : ndarray
        (len(AHEAD), M*N) float32 kW.
    into : ndarray, optional
        Filled and returned.
    """
    n = fixed.shape[1]
    obs = np.empty((n, N_OBS), dtype=np.float32) if into is None else into
    _fill(public_columns(facts, n // len(facts.da)), fixed, now, load, pv, obs)
    return obs


def column_table() -> str:
    """Return the table of the columns as Markdown: number, name, scale, what."""
    lines = ["| column | name | scale | what |", "|---|---|---|---|"]
    return "\n".join(
        lines + [f"| {j} | `{name}` | {MEANING[name][0]} | {MEANING[name][1]} |" for j, name in enumerate(COLUMNS)]
    )
