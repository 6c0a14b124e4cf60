"""Ceilings of months: worked out, beside the runs that they are for, or read back from a seed's summary.

`U_pref` (every preference kept, nobody below the own ask), `U_cost` (kept, no asks), `U_welfare` (broken at the owners'
private values) and `U_na` (the same without foresight) in welfare, `U_free` (preferences cost nothing) in joint
surplus, and two of the VPP's profit; docs/proofs.md proves them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from vpp_policies.optimal.ceilings import CEILING, QUICK_CEILING, Effort, bracket
from vpp_policies.optimal.devices import Goal, Measure, Wishes, devices
from vpp_policies.optimal.evenings import Dropped
from vpp_policies.optimal.foresight_ladder import ladder
from vpp_policies.optimal.no_foresight import bracket_without_foresight
from vpp_policies.optimal.sharing import shared

from vpp_benchmarks.results.comparison import Unit, read_ceilings
from vpp_benchmarks.run.job import JobSpec, month_of
from vpp_benchmarks.run.plan import PlanError
from vpp_env.contract.views import Information
from vpp_env.evaluation.kpi_entry import LADDER, Ceilings
from vpp_env.evaluation.simulate import market_rules
from vpp_env.market.firm import called_evenings, evenings
from vpp_env.simulation.month import Month
from vpp_env.simulation.view_builder import build_view
from vpp_env.simulation.world import World

log = logging.getLogger(__name__)

MEASURED = {
    "preferences": (Measure.VALUE, Wishes.ASKS),
    "cost": (Measure.VALUE, Wishes.LIMITS),
    "welfare": (Measure.VALUE, Wishes.PRICED),
    "free": (Measure.VALUE, Wishes.FREE),
    "profit": (Measure.PROFIT, Wishes.ASKS),
    "profit_free": (Measure.PROFIT, Wishes.FREE),
}
"""Ceiling -> what is measured, and what becomes of preferences."""
TITLES: dict[str, str] = {**LADDER, "profit": "profit, preferences", "profit_free": "profit, free"}
"""Ceiling -> its name for people."""


def ceilings(month: Month, effort: Effort = CEILING) -> dict[str, Any]:
    """Enclose the best month, with so much effort.

    Returns
    -------
    dict
        Keys as the fields of `Ceilings`: for each of `MEASURED` [lower, upper] in USD, what computing costs taken off;
        no policy exceeds `upper`, and the relaxation that it comes from attains `lower`. And of `no_foresight`, whose
        `upper` bounds policies without foresight on the mean over months; None where the law of prices is not known.
    """
    begin = time.perf_counter()
    homes, foresight, rules = _start(month)
    # every policy pays for its computing, the one that does nothing too
    idle = 0.0 - month.scenario.market.compute_usd_per_hour * month.scenario.hours
    found: dict[str, Any] = {}
    gap = 0.0
    for name, (measure, wishes) in MEASURED.items():
        made = bracket(homes, foresight, Goal(measure, wishes, rules), rules.max_capacity_kw, effort=effort)
        found[name] = [made.lower + idle, made.upper + idle]
        gap = max(gap, made.gap)
    na, law = None, month.price_law
    if law is not None:
        goal = Goal(Measure.VALUE, Wishes.PRICED, rules)
        out = dropped(month)
        made = bracket_without_foresight(homes, foresight, goal, rules.max_capacity_kw, law, effort, out)
        na = [made.lower + idle, made.upper + idle]
    return {**found, "no_foresight": na, "idle": idle, "gap": gap, "seconds": time.perf_counter() - begin}


def foresight_ladder(months: Sequence[Month]) -> list[tuple[str, float, float | None]]:
    """Return (what is known of real-time prices, mean welfare in USD, its standard error), upwards from the past alone.

    Steps up to 24 hours are plans of the relaxation with that knowledge (`optimal.foresight_ladder`): a lower end of
    what it is worth. U_na bounds the second from above, on the mean over months; the last are the bracket of U_welfare.

    Raises
    ------
    PlanError
        When the law of a month's real-time prices is not known.
    """
    rows: list[dict[str, float]] = []
    for month in months:
        law = month.price_law
        if law is None:
            raise PlanError(
                f"seed {month.seed}: what foresight is worth needs the law of real-time prices, and that of measured "
                "prices (or of another model than caiso) is not known; use a seeded month"
            )
        homes, foresight, rules = _start(month)
        given = homes, foresight, Goal(Measure.VALUE, Wishes.PRICED, rules), rules.max_capacity_kw
        known = {f"plan: {name}": usd for name, usd in ladder(*given, law).items()}
        na, all_ = bracket_without_foresight(*given, law, evenings=dropped(month)), bracket(*given)
        ends = {"plan: everything": all_.lower, "ceiling U_na: no foresight": na.upper, "ceiling U_welfare": all_.upper}
        rows.append({**known, **ends})
    idle = float(np.mean([0.0 - m.scenario.market.compute_usd_per_hour * m.scenario.hours for m in months]))
    out: list[tuple[str, float, float | None]] = []
    for name in rows[0]:
        usd = np.array([row[name] for row in rows])
        error = float(usd.std(ddof=1) / np.sqrt(len(usd))) if len(usd) > 1 else None
        out.append((name, float(usd.mean()) + idle, error))
    return out


def dropped(month: Month) -> list[Dropped]:
    """Return the called evenings of a month, and whose owners do not stay in on them."""
    market, found = month.scenario.market, evenings(month.scenario)
    called = called_evenings(market, found, month.series.da_usd_per_mwh, month.firm.test)
    return [Dropped(found[e].first, found[e].stop, ~month.firm.stays[e]) for e in np.flatnonzero(called)]


def exact_optima(
    month: Month, report: Callable[[str, int, int], None] = lambda name, done, of: None
) -> dict[str, float]:
    """Solve the month's linear program for every ceiling: USD of the devices alone.

    Slow: about 50 ms per device-month, and minutes where the VPP's maximum or a feeder binds. What belongs to no device
    (a day-ahead schedule) is not in it, but it is in the brackets.
    """
    from vpp_policies.optimal.month_lp import exact  # CVXPY takes a second to import

    homes, foresight, rules = _start(month)
    optima: dict[str, float] = {}
    for name, (measure, wishes) in MEASURED.items():
        made = devices(homes, foresight, Goal(measure, wishes, rules))
        optima[name] = exact(
            made,
            rules.reserve_hours,
            shared(homes, foresight, rules, made, rules.max_capacity_kw),
            partial(report, TITLES[name]),
        )
    return optima


def _start(month: Month) -> tuple[Any, Any, Any]:
    world = World([month], contracts_expected=True)
    world.reset()
    view = build_view(world, Information.ORACLE)
    return view.homes, view.foresight(), market_rules(world)


def _of(job: JobSpec) -> Ceilings:
    return Ceilings.from_json(ceilings(month_of(job), QUICK_CEILING))


class CeilingsOfUnits:
    """Ceilings of the units of an experiment.

    Parameters
    ----------
    folders : mapping
        Unit -> the folder of its summary; None where nothing is written.
    """

    def __init__(self, folders: Mapping[Unit, Path | None]) -> None:
        self._folders = folders
        self._begun: dict[Unit, Future[Ceilings]] = {}

    def begin(self, jobs: Sequence[tuple[Unit, JobSpec]]) -> None:
        """Begin to work them out in a thread, in this order: for executors that play elsewhere than here."""
        self._begun = {unit: Future() for unit, _ in jobs}
        waiting = [(self._begun[unit], job) for unit, job in jobs]

        def work() -> None:
            for future, job in waiting:
                try:
                    future.set_result(_of(job))
                except Exception as error:
                    log.exception("ceilings of %s failed", job.name)
                    future.set_exception(error)

        # a daemon: an interrupted comparison does not wait for it
        threading.Thread(target=work, daemon=True, name="ceilings").start()

    def get(self, unit: Unit, job: JobSpec) -> Ceilings:
        """Return the ceilings of a unit: of its summary where it is as written, those that were begun, or new ones."""
        folder = self._folders[unit]
        try:
            written = None if folder is None else read_ceilings(folder)
        except PlanError as error:
            log.warning("%s, seed %d: its ceilings are worked out again: %s", *unit, error)
            written = None
        if written is not None:
            return written
        return self._begun[unit].result() if unit in self._begun else _of(job)
