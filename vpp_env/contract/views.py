"""Views: what a policy may see. Plain data, read-only copies, made by `view_builder` only.

| set | what it holds |
|---|---|
| OWN | public data, and every home's own row - row i is for the bid of home i only |
| DECLARED | the same rows for the homes' own agents; the coordinator sees what they have told (bids, words, answers) |
| FULL | all rows for one mind: true states and preferences of everybody |
| ORACLE | FULL and the future: real-time and reserve prices, load, sun, car use |

A policy declares its set; asking a view for what the set does not hold raises `InformationError`. A view of another set
than ORACLE is plain data, but for `view.owners` (DECLARED and above), the one object through which offers are made.
What was not granted is not behind a view, whatever is done to `view.information`. See docs/information.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

import numpy as np
import pandas as pd

from vpp_env.contract.foresight import Foresight
from vpp_env.contract.observation import (
    AHEAD,
    HISTORY_STEPS,
    PRODUCTS,
    Changing,
    Fixed,
    MarketFacts,
    observe,
)
from vpp_env.contract.terms import Table
from vpp_env.errors import InformationError
from vpp_env.scenario.calendar import PUBLICATION_HOUR
from vpp_env.units import DT_H, Flags, Floats, Floats32, Ints


class Information(IntEnum):
    """Information sets, each containing the one before."""

    OWN = 1
    DECLARED = 2
    FULL = 3
    ORACLE = 4


def _none() -> Floats:
    return np.zeros(0)


def _nowhere() -> Flags:
    return np.zeros(0, dtype=np.bool_)


@dataclass(frozen=True)
class Public:
    """What anybody may know at the gate of an opportunity.

    With `market.gate_lead_minutes` the opportunity that is bid for begins `lead` opportunities after the gate (`now`):
    `opportunity`, `start` and every array from "delivery on" are about that one, what is past is past at the gate. The
    last `lead` gates of a month are for opportunities beyond its end (`opportunity >= n_opportunities`).
    """

    opportunity: int  # index of the opportunity that is bid for
    n_opportunities: int  # opportunities in the month
    start: pd.Timestamp  # its local start, time-zone aware
    hours: float  # its length
    steps: int  # its 15-min intervals
    da_usd_per_kwh: Floats  # (H,) published day-ahead prices by 15-min step from delivery on
    past_da_usd_per_kwh: Floats  # (t,) day-ahead prices of past steps
    past_rt_usd_per_kwh: Floats  # (t,) real-time prices of past steps
    past_reserve_usd_per_kw_h: dict[str, Floats]  # (t,) of each product: prices of past steps
    required_kw: float  # most that the VPP may sell in this opportunity
    now: pd.Timestamp | None = None  # local time of the gate; None: that of `start`
    lead: int = 0  # opportunities between the gate and delivery
    incentive_usd_per_kwh: Floats = field(default_factory=_none)  # (H,) what a programme adds to sales, delivery on
    day_ahead_hours: tuple[
        int, ...
    ] = ()  # clock hours of the day that may be scheduled day ahead now; empty: gate shut
    day_ahead_kw: Floats = field(default_factory=_none)  # (H,) day-ahead award from delivery on, plus = sale
    minimum_kw: float = 0.0  # least offer (`market.minimum` = "award": least award) of the whole fleet
    capacity_gate: bool = False  # firm capacity for the next day's evening may be committed now
    capacity_called: Flags = field(default_factory=_nowhere)  # (H,) evening hours that are called, delivery on
    capacity_kw: Floats = field(default_factory=_none)  # (H,) firm capacity committed, delivery on
    capacity_usd_per_kw: float = 0.0  # what firm capacity earns on an evening; 0: not on sale

    @property
    def expected_lmp(self) -> float:
        """Mean published day-ahead price over the opportunity, USD/kWh: the public forecast of real time."""
        return float(self.da_usd_per_kwh[: self.steps].mean())

    @property
    def expected_sale_price(self) -> float:
        """`expected_lmp` and the announced programme's incentive, USD/kWh: what a sale may expect."""
        incentive = self.incentive_usd_per_kwh[: self.steps]
        return self.expected_lmp + (float(incentive.mean()) if len(incentive) else 0.0)


@dataclass(frozen=True)
class Homes:
    """One row per home, (N,) unless said; kW, kWh, USD/kWh. Bounds hold for the whole opportunity bid for."""

    # devices and their state
    bess_kwh: Floats  # capacity of the battery; 0: there is none
    bess_kw: Floats  # its power, charging or discharging
    bess_min_kwh: Floats  # hard minimum of what it holds
    bess_max_kwh: Floats  # hard maximum
    soc_kwh: Floats  # what it holds at the gate
    discharged_today_kwh: Floats  # given for the market since midnight
    ev_kwh: Floats  # capacity of the car; 0: there is none
    ev_kw: Floats  # its charger
    v2g_kw: Floats  # its power back to the house; 0: it cannot
    ev_soc_kwh: Floats  # what the car holds; 0 when away
    ev_deficit_kwh: Floats  # what the car holds less than its undispatched baseline
    ev_min_kwh: Floats  # hard minimum of a car that can give back
    ev_target_kwh: Floats  # what the owner wants in it when it must be ready
    plugged: Flags  # the car is at home, and will be at delivery
    hours_to_ready: Floats  # from delivery until the car must be ready; 0 when away
    load_kw: Floats32  # load, last metered
    pv_kw: Floats32  # solar output, last metered
    load_forecast_kw: Floats32  # (96, N) persistence: the same step of the day before
    pv_forecast_kw: Floats32  # (96, N) the same of solar output
    # preferences
    floor_kwh: Floats  # reserve floor: what the owner wants kept in the battery
    willingness: Floats  # how surely the owner stays in, 0 to 1
    day_limit_kwh: Floats  # battery discharge per day inside the envelope
    day_left_kwh: Floats  # battery discharge left today inside the envelope
    buy_limit: Floats  # most that the owner pays to charge the battery
    own_ask: Floats  # least pay per kWh discharged (min_compensation)
    own_cost: Floats  # wear and refill per kWh discharged, without the owner's premium
    defer_ask: Floats  # least pay per kWh of deferred charging
    reserve_ask: Floats  # least pay for standing by
    ev_priority: Ints  # 0 low, 1 medium, 2 high
    blackout_now: Flags  # a blackout window lies in the opportunity
    blackout_soon: Flags  # one lies within 4 h of its start
    absent: Flags  # opted out of it, as far as the owner has said: takes no bid, and has nothing on offer
    # feasible bounds, kW
    defer_kw: Floats  # charging that can be deferred in every interval
    defer_first_kw: Floats  # charging that can be deferred in the first interval
    defer_mean_kw: Floats  # the same, mean over the opportunity
    bess_sell_kw: Floats  # battery inside the envelope
    bess_sell_hard_kw: Floats  # battery down to the hard minimum
    v2g_sell_kw: Floats  # V2G inside the envelope
    v2g_sell_hard_kw: Floats  # V2G down to the hard minimum
    storage_sell_kw: Floats  # battery and V2G together, as they would deliver it, inside the envelope
    buy_back_kw: Floats  # charging that returns what the car deferred
    bess_buy_kw: Floats  # charging of the battery
    reserve_kw: Floats  # reserve inside the envelope
    reserve_hard_kw: Floats  # reserve down to the hard minimum
    # what the last opportunity brought
    last_award_kwh: Floats  # energy awarded, sold less bought
    last_market_kwh: Floats  # energy metered for the market
    last_payment_usd: Floats  # what the home was paid


@dataclass(frozen=True)
class Future:
    """The true future by 15-min step from delivery on (oracle only), H steps."""

    rt_usd_per_kwh: Floats  # (H,) real-time prices
    reserve_usd_per_kw_h: dict[str, Floats]  # (H,) of each product: prices
    load_kw: Floats32  # (H, N) load
    pv_kw: Floats32  # (H, N) solar output
    plugged: Flags  # (H, N) the car is at home
    baseline_ev_kw: Floats  # (H, N) what the undispatched car charges
    departs: Flags  # (H, N) the car's session ends at the start of this step
    trip_kwh: Floats  # (H, N) energy that the car has used when it is plugged in at the start of this step
    called: Flags  # (H,) reserve is called


class Oracle(Protocol):
    """Who answers for the future; only a view of the set ORACLE has one."""

    def future(self, steps: int) -> Future:
        """The next `steps` 15-min steps from delivery on."""
        ...

    def foresight(self) -> Foresight:
        """Everything to the end of the run."""
        ...


@dataclass(frozen=True)
class KnownFuture:
    """An `Oracle` of plain data: what a pickled view of the set ORACLE carries instead of its world."""

    whole: Future  # to the end of what is known
    all: Foresight

    def future(self, steps: int) -> Future:
        """The first `steps` steps of what is known."""
        cut = {name: value[:steps] for name, value in vars(self.whole).items() if not isinstance(value, dict)}
        reserve = {name: value[:steps] for name, value in self.whole.reserve_usd_per_kw_h.items()}
        return Future(reserve_usd_per_kw_h=reserve, **cut)

    def foresight(self) -> Foresight:
        """Everything to the end of the run."""
        return self.all


def _market_facts(public: Public) -> MarketFacts:
    now = public.start if public.now is None else public.now
    hour = now.hour + now.minute / 60
    steps = len(public.da_usd_per_kwh)
    incentive, schedule_kw, called, committed_kw = (
        np.zeros(steps) if not len(x) else x.astype(np.float64)
        for x in (public.incentive_usd_per_kwh, public.day_ahead_kw, public.capacity_called, public.capacity_kw)
    )
    reserve = np.zeros((1, len(PRODUCTS)))
    for name, past in public.past_reserve_usd_per_kw_h.items():
        if len(past):
            reserve[0, PRODUCTS.index(name)] = past[-1]
    return MarketFacts(
        hour=hour,
        weekday=(now.day_of_week * 96 + 4 * hour) / 96,
        to_publication_h=(PUBLICATION_HOUR - hour) % 24,
        lead_h=public.lead * public.steps * DT_H,
        steps=public.steps,
        # as new arrays: the kernel takes those of a view, which are read-only, for another type
        da=public.da_usd_per_kwh[None].copy(),
        incentive=incentive[None].copy(),
        schedule_kw=schedule_kw[None].copy(),
        rt=public.past_rt_usd_per_kwh[None, -HISTORY_STEPS:].copy(),
        reserve=reserve,
        schedule_gate=float(bool(public.day_ahead_hours)),
        minimum_kw=public.minimum_kw,
        capacity_gate=float(public.capacity_gate),
        called=called[None].copy(),
        committed_kw=committed_kw[None].copy(),
        capacity_rate=public.capacity_usd_per_kw,
    )


@dataclass(frozen=True, eq=False)
class View:
    """What one policy sees at one gate: only what `information` grants, so that it can be pickled and handed on.

    Parameters
    ----------
    public : Public
        What anybody may know.
    information : Information
        The set that was granted. Writing another one into it grants nothing: what is not granted is not held.
    homes : Homes
        Every home's own row (OWN: row i serves the bid of home i only).
    statements : tuple of str, optional
        What each owner has said in words; `None` below DECLARED.
    oracle : Oracle, optional
        Who answers for the future; `None` below ORACLE.
    table : Table, optional
        Where offers are made to the owners (see `owners`); `None` below DECLARED.
    """

    public: Public
    information: Information
    homes: Homes
    statements: tuple[str, ...] | None = None
    oracle: Oracle | None = None
    table: Table | None = None

    def _missing(self, needed: Information, what: str) -> InformationError:
        return InformationError(
            f"{what} is not in the information set {self.information.name}; it needs {needed.name}. "
            "Declare that set in PolicyInfo.information: it is printed beside every result."
        )

    @property
    def owners(self) -> Table:
        """Where offers are made to the owners, and the contracts that are in force (DECLARED)."""
        if self.table is None:
            raise self._missing(Information.DECLARED, "view.owners")
        return self.table

    def statement(self, i: int) -> str:
        """What the owner of home i has said in words (DECLARED).

        Parameters
        ----------
        i : int
            Home.

        Returns
        -------
        str
            One line, the owner's own words.

        Raises
        ------
        InformationError
            When the policy's information set holds no statements.
        """
        if self.statements is None:
            raise self._missing(Information.DECLARED, "view.statement()")
        return self.statements[i]

    def observation(self) -> Floats32:
        """Return (N, N_OBS) float32: every home's observation, with the bits that an environment gives its agent.

        Row i follows from row i of `homes` and `public` alone; the columns are `vpp_env.contract.observation.COLUMNS`.

        Returns
        -------
        ndarray
            (N, N_OBS) float32.
        """
        homes, public = self.homes, self.public
        fixed, now = (np.stack([getattr(homes, name) for name in rows._fields]) for rows in (Fixed, Changing))
        load, pv = (forecast[AHEAD - 1] for forecast in (homes.load_forecast_kw, homes.pv_forecast_kw))
        return observe(_market_facts(public), fixed, now.astype(np.float64), load, pv)

    def future(self, hours: float) -> Future:
        """The true next `hours` hours (ORACLE); shorter near the end of what is known.

        Parameters
        ----------
        hours : float
            How far, h.

        Returns
        -------
        Future
            Series by step of 15 min.

        Raises
        ------
        InformationError
            When the policy is no oracle.
        """
        if self.oracle is None:
            raise self._missing(Information.ORACLE, "view.future()")
        return self.oracle.future(round(hours / DT_H))

    def foresight(self) -> Foresight:
        """Everything to the end of the run (ORACLE): prices, what the homes do by themselves, what owners ask.

        Returns
        -------
        Foresight
            Series by step of 15 min.

        Raises
        ------
        InformationError
            When the policy is no oracle.
        """
        if self.oracle is None:
            raise self._missing(Information.ORACLE, "view.foresight()")
        return self.oracle.foresight()
