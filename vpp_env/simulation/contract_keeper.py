"""How the world keeps contracts: the limits in force, what contracts pay, and what breaks them.

A contract replaces parameters of its home (`core.layout.Home`) while it runs, and nothing else moves: gateway,
headroom, quotes, the home's own control and the counters all read the parameters in force. It only widens what its
owner allows, and never beyond a hard limit:

    floor   = min(own floor, max(contract's, hard minimum))
    ready   = max(contract's target, the next trip's energy)         where that is less than the own target
    day     = max(own limit, contract's)                             of discharge, for the envelope and for over-cycling
    windows waived, V2G on reserve, kW at most

What a contract has let down is *open* until it is made good, also when the contract is over: a floor until the battery
is back above the owner's own, a target until the car has it or leaves. It may rise and never fall meanwhile,

    granted = min(limit in force, max(granted, kWh at the start of the opportunity))

is no breach down to `granted`, and is paid at the higher of the prices that were agreed since it was opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vpp_env.contract.terms import TERMS
from vpp_env.core import ledger as led
from vpp_env.core.layout import Home, HomeState, copied
from vpp_env.core.ledger import DEPARTED
from vpp_env.core.loops import Books
from vpp_env.market.state import SELL1_Q, SELL1_TICK, SELL2_Q, SELL2_TICK, Agreed, Submission
from vpp_env.owners.contracts import ContractBook, Standing
from vpp_env.owners.violations import KWH_TOLERANCE
from vpp_env.simulation.month import Month
from vpp_env.units import DT_H, POWER_QUANTUM_KW, Flags, Floats

ROW = {name: j for j, name in enumerate(TERMS)}
PRICES = ("floor_price", "car_price", "overuse_price", "blackout_price")
"""Terms that price what is taken, in the order of `owners.wishes.CONCESSIONS`."""
PAY = ("price", "defer_price", "share", "reserve_price")
"""Terms that pay for what is sold, in the order of `market.state.Agreed.pay`."""
KWH = 1e-9
"""kWh below which nothing is open: rounding."""


class Kept(NamedTuple):
    """What contracts did to one opportunity, (M, N) each unless said."""

    on: Flags  # under a contract, and in
    concessions: Floats  # (4, M, N) USD, kinds as `owners.wishes.CONCESSIONS`
    breached: Flags  # something was dispatched beyond the contract


class ContractKeeper:
    """Keeps the contracts of a world of M months of N homes.

    Parameters
    ----------
    months : sequence of Month
        Its months: what the next trips of cars need.
    own : Home
        (M*N,) the owners' own parameters.
    book : ContractBook
        Who is under which terms.
    expected : bool
        Whether there are limits in force and pay from the start, that move nothing until a contract is signed: kernels
        are then compiled for contracts alone, and not without them as well.
    """

    def __init__(self, months: Sequence[Month], own: Home[Floats], book: ContractBook, expected: bool) -> None:
        self._months, self.own, self.book = months, _unmoved(own) if expected else own, book
        self._shape = (len(months), months[0].fleet.n)
        # what stands in an opportunity in which nobody is under contract
        self._none = Standing(np.zeros(self._shape, dtype=np.bool_), np.zeros((len(TERMS), *self._shape)))
        self._free = np.zeros((len(PRICES), *self._shape))
        self._no_pay = Agreed(self._none.on, np.zeros((len(PAY), *self._shape))) if expected else None
        self.reset()

    def reset(self) -> None:
        """Forget what was let down."""
        # (M*N,) kWh to which floors and cars' targets have been let down, and (2, M, N) the prices agreed for them
        self._floor, self._ready = self.own.battery.floor_kwh.copy(), np.full_like(self.own.vehicle.kwh, np.inf)
        self._open_price = np.zeros((2, *self._shape))
        self.home = self.own  # parameters in force in the opportunity that is played, or was last

    @property
    def unused(self) -> bool:
        """Whether no contract was ever signed: then the keeper changes nothing."""
        return not self.book.ever

    # -- before an opportunity -------------------------------------------------------------------------

    def begin(self, found: Standing | None, day: int, k: int, state: HomeState[Floats]) -> None:
        """Put the parameters in force that hold in the opportunity from step k of a day on.

        Parameters
        ----------
        found : Standing or None
            The contracts of homes that are in.
        day, k : int
            Local day and step of day.
        state : HomeState
            (M*N,) now.
        """
        if self.unused:
            return
        home = self.limits(found or self._none, day, k)
        battery, vehicle = home.battery, home.vehicle
        assert vehicle.ready_kwh is not None
        self._floor = np.minimum(battery.floor_kwh, np.maximum(self._floor, state.battery.soc_kwh))
        self._ready = np.minimum(vehicle.ready_kwh, np.maximum(self._ready, state.vehicle.soc_kwh))
        self.home = home._replace(
            battery=battery._replace(breach_kwh=self._floor.copy()),
            vehicle=vehicle._replace(lack_kwh=self._ready.copy()),
        )

    def limits(self, found: Standing | None, day: int, k: int) -> Home[Floats]:
        """(M*N,) the owners' limits as contracts move them, in an opportunity from step k of local day `day` on."""
        if found is None:
            return self.own
        own, on = self.own, found.on.ravel()
        t = {name: found.terms[j].ravel() for name, j in ROW.items()}
        b, v = own.battery, own.vehicle
        floor = np.minimum(b.floor_kwh, np.maximum(t["floor_kwh"], b.min_kwh))
        day_kwh = t["day_kwh"]
        ready = np.full_like(v.kwh, np.inf)
        less = on & (v.kwh > 0.0) & (t["target_kwh"] < v.target_kwh)
        if less.any():
            ready = np.where(less, np.maximum(t["target_kwh"], self._next_trip(day, k)), ready)
        floor = np.where(on, floor, b.floor_kwh)
        return copied(
            own._replace(
                battery=b._replace(
                    floor_kwh=floor,
                    breach_kwh=floor,
                    day_limit_kwh=np.where(on, np.maximum(b.day_limit_kwh, day_kwh), b.day_limit_kwh),
                    cycle_limit_kwh=np.where(on, np.maximum(b.cycle_limit_kwh, day_kwh), b.cycle_limit_kwh),
                ),
                vehicle=v._replace(
                    ready_kwh=ready,
                    lack_kwh=ready,
                    on_reserve=np.where(on & (t["v2g_reserve"] > 0.0), 1.0, 0.0),
                ),
                waived=np.where(on & (t["blackout"] > 0.0), 1.0, 0.0),
                most_kw=np.where(on, t["kw"], np.inf),
            )
        )

    def _next_trip(self, day: int, k: int) -> Floats:
        """(M*N,) kWh that each car's next trip takes, seen from step k of a local day: its owner knows."""
        out = []
        for month in self._months:
            today, then = month.cars(day), month.cars(day + 1)
            out.append(np.where((k < today.dep) & (today.trip > 0.0), today.trip, then.trip))
        return np.concatenate(out)

    def agreed(self, found: Standing | None) -> Agreed | None:
        """What contracts pay for what is sold; None where there never was one and none is expected."""
        if self.unused:
            return self._no_pay
        found = found or self._none
        return Agreed(found.on.copy(), np.stack([found.terms[ROW[name]] for name in PAY]))

    def cut(self, taken: Submission, found: Standing | None) -> Submission:
        """Cut offers to sell to the kW of the contracts, the dearer line first, unless the gateway is overridden."""
        if found is None:
            return taken
        kept = found.on & ~taken.override
        # what no quantum can express is not offered; a kW beyond what a quantum counter holds is no limit
        most = np.floor(np.minimum(found.terms[ROW["kw"]], 1e6) / POWER_QUANTUM_KW + 1e-9).astype(np.int64)
        one, two = taken.offers[SELL1_Q], taken.offers[SELL2_Q]
        first = taken.offers[SELL1_TICK] <= taken.offers[SELL2_TICK]
        cheap = np.minimum(np.where(first, one, two), most)
        dear = np.minimum(np.where(first, two, one), most - cheap)
        offers = taken.offers.copy()
        offers[SELL1_Q] = np.where(kept, np.where(first, cheap, dear), one)
        offers[SELL2_Q] = np.where(kept, np.where(first, dear, cheap), two)
        return taken._replace(offers=offers)

    # -- after it --------------------------------------------------------------------------------------

    def settle(self, found: Standing | None, books: Books, taken_amounts: Floats, state: HomeState[Floats]) -> Kept:
        """Book availability and concessions in the ledger, and say whose contract was broken.

        Parameters
        ----------
        found : Standing or None
            The contracts of homes that were in.
        books : Books
            Of the opportunity; two rows of the ledger are filled.
        taken_amounts : ndarray
            (6, M, N) see `owners.wishes`.
        state : HomeState
            (M*N,) after it.
        """
        if self.unused:
            return Kept(self._none.on, self._free, self._none.on)
        shape, ledger, soc_kwh = self._shape, books.ledger, books.soc_home_kwh
        hours = len(soc_kwh) * DT_H
        on, terms = found or self._none
        prices = np.stack([terms[ROW[name]] for name in PRICES])
        prices[:2] = np.maximum(prices[:2], self._open_price)
        concessions = prices * taken_amounts[: len(PRICES)]
        gone = books.events[DEPARTED] > 0.0
        self._ready = np.where(gone, np.inf, self._ready)
        floor_open = self.own.battery.floor_kwh - soc_kwh[-1, 0] > KWH
        # a shortfall at the ready-by time counts when the car leaves, whatever is in it then
        car_open = (self._ready < self.own.vehicle.target_kwh - KWH) | (state.vehicle.shortfall > 0.0)
        is_open = np.stack([floor_open, car_open]).reshape(2, *shape)
        self._open_price = np.where(is_open, prices[:2], 0.0)
        ledger[led.L_PAY_AVAILABILITY] += (terms[ROW["availability"]] * terms[ROW["kw"]] * hours).ravel()
        ledger[led.L_PAY_CONCESSION] += concessions.sum(axis=0).ravel()
        beyond = np.maximum(ledger[led.L_BEYOND], ledger[led.L_EXCESS]).reshape(shape) > KWH_TOLERANCE
        breached = on & beyond
        self.book.note(breached)
        return Kept(on.copy(), concessions, breached)


def _unmoved(own: Home[Floats]) -> Home[Floats]:
    """Return the owners' limits with all that contracts may move written down, and nothing moved."""
    none, any_kwh = np.zeros_like(own.vehicle.kwh), np.full_like(own.vehicle.kwh, np.inf)
    battery = own.battery._replace(breach_kwh=own.battery.floor_kwh)
    vehicle = own.vehicle._replace(ready_kwh=any_kwh, lack_kwh=any_kwh, on_reserve=none)
    return copied(own._replace(battery=battery, vehicle=vehicle, waived=none, most_kw=any_kwh))


def in_only(found: Standing | None, absent: Flags) -> Standing | None:
    """Leave out the contracts of homes that are not in, `absent` (M, N): they are at their baselines."""
    if found is None or not (found.on & absent).any():
        return found
    on = found.on & ~absent
    return Standing(on, np.where(on, found.terms, 0.0)) if on.any() else None
