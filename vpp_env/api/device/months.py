"""M months in the memory of a GPU: prepared on the host, then played, rewarded and observed without leaving it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import cuda as numba_cuda

from vpp_env.api.device import kernels
from vpp_env.api.device.host import Host
from vpp_env.api.device.memory import (
    IN_BLOCK,
    LIMIT_KW,
    MOST_THREADS,
    N_FEEDER,
    N_LINES,
    N_REAL,
    N_RUN,
    N_SUM,
    N_WHOLE,
    TOLD_KW,
    TOLD_PRICES,
    Constants,
    Own,
)
from vpp_env.api.device.shapes import simulated
from vpp_env.api.device.tables import first_rows, gates_of, places_of, shared_of
from vpp_env.api.observation import Observer
from vpp_env.contract.bids import N_ACTION, check_actions
from vpp_env.contract.observation import N_OBS
from vpp_env.core.feeder import N_AT
from vpp_env.errors import BidError, VppError
from vpp_env.market.payment import make_payment
from vpp_env.owners.patience import rules_of
from vpp_env.owners.violations import VIOLATIONS
from vpp_env.simulation.month import Month
from vpp_env.simulation.world import World
from vpp_env.units import DT_H, POWER_QUANTUM_KW, STEPS_PER_HOUR, Floats, Ints

cuda: Any = numba_cuda
MOST_KW = 2**31 * POWER_QUANTUM_KW
"""Quanta of a home's bid are kept in 32 bits."""


def check_device() -> None:
    """Refuse a machine without a GPU.

    Raises
    ------
    VppError
        With what to do instead.
    """
    if not cuda.is_available():
        raise VppError(
            'device="cuda" needs an NVIDIA GPU with its driver and pip install "vpp-env[cuda]"; without them use '
            'device="cpu" with threads='
        )


class Step(NamedTuple):
    """What an opportunity brought, arrays in device memory that the next one overwrites."""

    rewards: Any  # (M,) float64 USD, welfare
    homes: Any  # (M, N) float64 USD, each home's part
    profit: Any  # (M,) float64 USD
    costs: Any  # (M, 5) float64
    kpis: dict[str, Floats] | None  # (M,) each, in the host's memory, once the months are over; see `Tally.kpis`


class DeviceMonths:
    """M months of N homes on a GPU.

    Parameters
    ----------
    months : sequence of Month
        The distinct ones, D.
    which : ndarray
        (M,) which of them each month that is played is.
    """

    def __init__(self, months: Sequence[Month], which: Ints) -> None:
        world = World(months)
        world.reset()
        self.world, self._which = world, np.asarray(which, dtype=np.int64)
        self.n_months, self.n_homes, self.steps = len(which), world.n_homes, world.steps
        self._threads = min(MOST_THREADS, 32 * -(-self.n_homes // 32)) if not simulated() else min(4, self.n_homes)
        self._first = cuda.to_device(first_rows(world))
        observer = Observer(world)
        self._gates = gates_of(world, observer)
        self._places = places_of(world)
        self._constants = self._constants_of(world)
        self._patience = rules_of(world.scenario.owners)
        shared = shared_of(world, observer, self._gates, self._constants.steps)
        most = float(shared.homes[:, LIMIT_KW : LIMIT_KW + 2].max())
        if most >= MOST_KW:
            raise VppError(f"a home may give or take {most:g} kW; allowed on a GPU is less than {MOST_KW:g} kW")
        self._shared = _to_device(shared)
        self._own = self._new_own()
        self._kernels = kernels.compiled(self._shared, self._own, self._threads)
        self.observations = cuda.device_array((self.n_months, self.n_homes, N_OBS), np.float32)
        self.no_rewards = cuda.to_device(np.zeros(self.n_months))
        self._wrong = cuda.to_device(np.zeros(1, dtype=np.int32))
        self._row = cuda.device_array((self.n_months, 1, self.n_homes), np.float64)
        # memory that is pinned is copied to at the bus's full speed
        self._row_here = cuda.pinned_array(self._row.shape, np.float64)
        self.host = Host(world, months, self._which, self._own, self, self._constants.slope > 0.0)
        self.reset()

    def _constants_of(self, world: World) -> Constants:
        market, state = world.scenario.market, self._gates.market
        rules = world.months[0].rules
        if not market.feeder_homes:
            rules = rules._replace(feeder_homes=1)  # nothing binds homes together: a thread each
        return Constants(
            rules=rules,
            payment=make_payment(market),
            steps=world.steps,
            lead=world.lead,
            slope=state.slope,
            min_q=state.min_q,
            on_offers=state.on_offers,
            offer_factor=state.offer_factor,
            dispatch_tick=int(state.dispatch_tick),
            kappa=market.deviation_kappa,
            compute_usd=market.compute_usd_per_hour * world.steps * DT_H,
            evening_steps=round((market.capacity_hours[1] - market.capacity_hours[0]) / DT_H),
            safeguard=market.safeguard,
            team_share=world.scenario.reward.team_share,
        )

    def _new_own(self) -> Own:
        m, n, s, r = self.n_months, self.n_homes, self.steps, len(self.world.products)
        groups = -(-n // self._constants.rules.feeder_homes)

        def room(*shape: int, dtype: Any = np.float64) -> Any:
            return cuda.device_array(shape, dtype)

        return Own(
            month=cuda.to_device(self._which),
            absent=room(m, 2, n, dtype=np.bool_),
            waiting=room(m, max(self.world.lead, 1), N_ACTION, n, dtype=np.int64),
            waiting_asks=room(m, max(self.world.lead, 1), 2, n),
            waiting_free=room(m, max(self.world.lead, 1), n, dtype=np.bool_),
            override=room(m, n, dtype=np.bool_),
            real=room(m, N_REAL, n),
            soc=room(m, s, 2, n),
            whole=room(m, *((1, 1, 1) if n <= IN_BLOCK else (N_WHOLE, 1, n)), dtype=np.int64),
            lines=room(m, *((1, 1, 1) if n <= IN_BLOCK else (N_LINES, 1, 2 * n)), dtype=np.int64),
            sums=room(m, s, N_SUM, 1),
            flags=room(m, 2, s, 1, dtype=np.bool_),
            last_sale=room(m, 1, dtype=np.int64),
            last_reserve=room(m, 1, r, dtype=np.int64),
            taken=room(m, 1, dtype=np.bool_),
            event_kwh=room(m, 1),
            rewards=room(m, n),
            joint=room(m),
            profit=room(m),
            costs=room(m, len(VIOLATIONS)),
            run=room(m, N_RUN),
            storage=room(m, n),
            violated=room(m, n, dtype=np.bool_),
            feeders=room(m, N_FEEDER, n),
            at=room(m, N_AT, groups),
            going=room(m, groups, dtype=np.bool_),
            cap_q=room(m, dtype=np.int64),
            on_call_kw=room(m),
            day_ahead_kw=room(m, s, 1),
            capacity_usd=room(m),
            members_usd=room(m, n),
            told=room(m, len(TOLD_KW) + len(TOLD_PRICES)),
            annoyance=room(m, n),
            days_out=room(m, n, dtype=np.int64),
            times=room(m, n, dtype=np.int64),
        )

    # -- an episode ------------------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        """Whether the last opportunity has been played."""
        return self.opportunity >= self.world.scenario.n_opportunities

    @property
    def t(self) -> int:
        """Step at which the next opportunity begins."""
        return self._places[self.opportunity].t

    def reset(self) -> None:
        """Go to the start of the months; of the homes nothing but zeros comes from the host."""
        own = self._own
        kernels.spread[self.n_months, self._threads](self._first, own.month, own.real)
        kernels.wait[self.n_months, self._threads](own)
        owners = own.storage, own.violated, own.absent, own.annoyance, own.days_out, own.times
        for array in (own.event_kwh, own.run, *owners):
            zero(array)
        self.host.reset(self._gates.coming[0])
        self.opportunity = 0

    def observe(self) -> Any:
        """Return (M, N, N_OBS) float32 in device memory; the next call overwrites it."""
        place = self._places[self.opportunity]
        self._kernels.observe[self.n_months, self._threads](
            self._shared, self._own, self._constants, place, self.observations
        )
        return self.observations

    def step(self, actions: Any) -> Step:
        """Play one opportunity.

        Parameters
        ----------
        actions : array
            (M, N, N_ACTION) in [-1, 1]: in device memory (whatever has `__cuda_array_interface__`, as torch's tensors
            have, contiguous float32 or float64), which is not copied, or of NumPy, which is.

        Raises
        ------
        BidError
            When they have the wrong shape, are not numbers or lie outside [-1, 1]; nothing has changed then.
        VppError
            When the months are over.
        """
        if self.done:
            raise VppError("the months are over; call reset() first")
        bids = self._checked(actions)
        o, own = self.opportunity, self._own
        now, then = self._places[o], self._places[o + 1]
        new_day = o > 0 and self._day(now.t) != self._day(now.t - 1)
        last = o + 1 == self.world.scenario.n_opportunities
        host, c, grid = self.host, self._constants, (self.n_months, self._threads)
        overridden = host.begin(now)
        self._kernels.play_opportunity[grid](bids, self._shared, own, c, now, then, overridden)
        paid = host.played(now, then)
        new_hour = now.t % STEPS_PER_HOUR == 0
        self._kernels.settle_opportunity[grid](self._shared, own, c, now, paid, new_day, new_hour, last)
        self.opportunity += 1
        kpis = host.close(c.team_share) if last else None
        if last or then.day != now.day:
            kernels.end_day[grid](self._shared, own, self._patience, now.day)
        host.tell(self._gates.coming[o + 1])
        return Step(own.joint, own.rewards, own.profit, own.costs, kpis)

    def _day(self, t: int) -> int:
        return self.world.clock(t)[0]

    def _checked(self, actions: Any) -> Any:
        shape = (self.n_months, self.n_homes, N_ACTION)
        if not hasattr(actions, "__cuda_array_interface__") and not hasattr(actions, "copy_to_host"):
            given = np.asarray(actions)
            checked = check_actions(given.reshape(-1, N_ACTION), shape[0] * shape[1]).reshape(shape)
            # float32 stays what it is: for another type all would be compiled again
            return cuda.to_device(checked.astype(np.float32) if given.dtype == np.float32 else checked)
        bids = actions if hasattr(actions, "copy_to_host") else cuda.as_cuda_array(actions)
        if bids.shape != shape or bids.dtype not in (np.float32, np.float64) or not bids.flags["C_CONTIGUOUS"]:
            raise BidError(
                f"bids in device memory are {bids.dtype} of shape {tuple(bids.shape)}; allowed is float32 or float64 "
                f"of shape {shape}, contiguous"
            )
        kernels.check_actions[self.n_months, self._threads](bids, self._wrong)
        if self._wrong.copy_to_host()[0]:
            self._wrong.copy_to_device(np.zeros(1, dtype=np.int32))
            check_actions(bids.copy_to_host().reshape(-1, N_ACTION), shape[0] * shape[1])
        return bids

    def rows(self, first: int, count: int) -> Floats:
        """(M, count, N) rows of `Own.real` from `first` on, copied to the host."""
        out = cuda.device_array((self.n_months, count, self.n_homes), np.float64)
        kernels.pick[self.n_months, self._threads](self._own.real, first, out)
        return np.asarray(out.copy_to_host())

    def row(self, which: int) -> Floats:
        """(M, N) row of `Own.real`, copied to the host; the next call overwrites it."""
        kernels.pick[self.n_months, self._threads](self._own.real, which, self._row)
        self._row.copy_to_host(self._row_here)
        return np.asarray(self._row_here[:, 0])


def zero(array: Any) -> None:
    """Fill an array in device memory with zeros."""
    array.copy_to_device(np.zeros(array.shape, array.dtype))


def _to_device(arrays: Any) -> Any:
    """Copy a struct of arrays into device memory."""
    return type(arrays)(*(cuda.to_device(np.ascontiguousarray(x)) for x in arrays))
