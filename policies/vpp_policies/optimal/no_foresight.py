"""`U_na`: a ceiling for every policy without foresight of real-time prices (docs/proofs.md).

The mean over months bounds the mean welfare of every policy that knows of each real-time price no more than its law
given the past, whatever else it knows: day-ahead and reserve prices, sun, trips, calls and owners are all revealed.
On a single month a lucky policy may exceed it. Owners who drop out of called evenings, whoever plays, are out in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vpp_env import Foresight, Homes, PolicyError, PriceLaw
from vpp_policies.optimal.ceilings import CEILING, Bracket, Effort, Solution, bracket, solve
from vpp_policies.optimal.devices import Device, Goal, Measure, Wishes, devices
from vpp_policies.optimal.evenings import Dropped
from vpp_policies.optimal.penalties import Faced, Penalty, for_kernels, penalty, values

EFFORT = Effort(rounds=8, gap=1e-2, pace=0.0, feeders=False)
"""Of the shadow prices at the mean path of prices: they only shape the penalties."""
WIDE = 0.05
"""Share of a store's span to either side of the reference over which a penalty's slope is taken; chosen on training
seeds."""
MORE = 1e-3
"""USD/kWh by which prices are moved to see what a store's gains owe to them."""


def bracket_without_foresight(
    homes: Homes,
    foresight: Foresight,
    goal: Goal,
    capacity_kw: float,
    law: PriceLaw,
    effort: Effort = CEILING,
    evenings: Sequence[Dropped] = (),
) -> Bracket:
    """Enclose the penalised month: the mean of `upper` over months bounds every policy without foresight.

    Parameters
    ----------
    homes, foresight, goal, capacity_kw, effort
        As in `ceilings.solve`, from the month's first step.
    law : PriceLaw
        The law of the month's real-time prices, and what came.
    evenings : sequence of Dropped
        Called evenings, and who does not stay in on them; nothing in it depends on real-time prices.
    """
    penalties = penalties_of(homes, foresight, goal, capacity_kw, law)
    return bracket(homes, foresight, goal, capacity_kw, penalties, effort, evenings)


def at_prices(foresight: Foresight, lmp: NDArray[np.float64]) -> Foresight:
    """Return the month at other real-time prices, as far as stores at private values (`Wishes.PRICED`) read them."""
    return replace(foresight, lmp=lmp, sale=lmp + (foresight.sale - foresight.lmp))


def facing(
    homes: Homes, foresight: Foresight, goal: Goal, capacity_kw: float, law: PriceLaw
) -> tuple[Solution, list[Faced]]:
    """Every device at the mean path of prices, with the shadow prices of that path.

    Nothing in it depends on the prices that came: that is what makes penalties made from it valid.
    """
    if (goal.measure, goal.wishes, goal.paid) != (Measure.VALUE, Wishes.PRICED, False):
        raise PolicyError(f"a ceiling without foresight is of welfare at private values only, got {goal}")
    if len(law.came) != foresight.n_steps:
        raise PolicyError(
            f"the law of prices has {len(law.came)} steps and the month {foresight.n_steps}; begin at the first"
        )
    if not np.allclose(law.lmp, foresight.lmp, rtol=0.0, atol=1e-9):
        raise PolicyError("the law of prices is not that of this month: its prices are others; make it from the month")
    mean = law.mean
    calm, dearer = at_prices(foresight, mean), at_prices(foresight, mean + MORE)
    found = solve(homes, calm, goal, capacity_kw, EFFORT)
    out = []
    for d, (here, there) in enumerate(zip(found.devices, devices(homes, dearer, goal), strict=True)):
        out.append(Faced(found.store(d), mean, *_by(here, there)))
    return found, out


def _by(here: Device, there: Device) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    one, other = here.store, there.store
    return (other.in_m - one.in_m) / MORE, (other.out_m - one.out_m) / MORE


def penalties_of(homes: Homes, foresight: Foresight, goal: Goal, capacity_kw: float, law: PriceLaw) -> list[Penalty]:
    """Return what is taken off each device."""
    compiled = for_kernels(law)
    lmp = np.array(foresight.lmp)
    _, faced = facing(homes, foresight, goal, capacity_kw, law)
    return [penalty(one, compiled, values(one, compiled), lmp, WIDE) for one in faced]
