"""One call for one opportunity: `CentralizedOptimizer().optimize_dispatch(opportunity, fleet, now)`.

The same linear program as the policy `centralized`, for somebody who holds a market opportunity and a table of homes
and wants the dispatch, without an environment around it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vpp_env import DT_H, KWH_PER_MWH, Homes, PolicyError, did_you_mean
from vpp_policies.centralized.problem import DispatchProblem
from vpp_policies.gate.inputs import SEGMENTS, Devices, Inputs, Physics

DEFAULTS = {
    "bess_kwh": 0.0,
    "bess_kw": 0.0,
    "bess_min_kwh": 0.0,
    "soc_kwh": 0.0,
    "ev_kwh": 0.0,
    "ev_kw": 0.0,
    "v2g_kw": 0.0,
    "ev_min_kwh": 0.0,
    "ev_soc_kwh": 0.0,
    "ev_target_kwh": 0.0,
}
"""Columns of a fleet table that are read, and what a missing one means; `bess_max_kwh` defaults to `bess_kwh`,
`plugged` to true."""
COLUMNS = (*DEFAULTS, "bess_max_kwh", "plugged")
NAMES = ("prosumer", "home", "name", "id")
"""Columns that may say whose a row is; they are not read."""
LIMITS = (
    ("soc_kwh", "bess_max_kwh"),
    ("bess_min_kwh", "bess_max_kwh"),
    ("bess_max_kwh", "bess_kwh"),
    ("ev_soc_kwh", "ev_kwh"),
    ("ev_target_kwh", "ev_kwh"),
    ("ev_min_kwh", "ev_kwh"),
)
"""(column, the one that it must not be above)."""
MOST = 1e6
"""Most kW or kWh of one home, USD/MWh and MW [assumed]: a thousand times what there is."""
MOST_HOURS = 24.0
"""Longest opportunity, hours [assumed]."""


@dataclass(frozen=True)
class CentralizedResult:
    """The dispatch of one opportunity."""

    status: str  # the solver's; `optimal` is the only one with a dispatch
    timestamp: pd.Timestamp  # when it was asked for
    price_usd_per_mwh: float  # price that was assumed
    total_power_kw: float  # sold, mean over the opportunity
    capacity_mw: float  # the same in MW
    energy_kwh: float  # sold
    expected_revenue_usd: float  # energy sold at the price
    expected_profit_usd: float  # energy sold less energy bought, wear and the worth of the energy used
    dispatch: pd.DataFrame  # per prosumer: bess_kw, defer_kw, v2g_kw, sell_kw, buy_kw
    optimization_seconds: float


def _field(opportunity: Any, name: str) -> float:
    """Read a number of a mapping, a dataclass, a pydantic model or any object."""
    value = opportunity.get(name) if isinstance(opportunity, Mapping) else getattr(opportunity, name, None)
    if value is None:
        raise PolicyError(
            f"market_opportunity has no {name!r}; needed are duration_hours, required_capacity_mw and "
            "day_ahead_price (USD/MWh), as in vpp_policies.agentic.messages.MarketOpportunity"
        )
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise PolicyError(f"market_opportunity: {name} is {value!r:.60}; allowed is a number") from error


def fleet_table(prosumer_fleet: Any) -> pd.DataFrame:
    """Return one row per home with the columns of `DEFAULTS`, from a table, a `view.homes` or rows of mappings.

    Raises
    ------
    PolicyError
        When it is none of these; a column is not known; a number is missing, negative or larger than `MOST`; or
        what a battery or a car holds, must hold or is to hold is beyond what it can.
    """
    if isinstance(prosumer_fleet, pd.DataFrame):
        table = prosumer_fleet.copy()
    elif isinstance(prosumer_fleet, Homes):
        table = pd.DataFrame({name: getattr(prosumer_fleet, name) for name in COLUMNS if hasattr(prosumer_fleet, name)})
    elif isinstance(prosumer_fleet, Iterable) and not isinstance(prosumer_fleet, str | bytes | Mapping):
        rows = [_row(row) for row in prosumer_fleet]
        table = pd.DataFrame(rows, index=range(len(rows)))
    else:
        raise PolicyError(f"prosumer_fleet: got {type(prosumer_fleet).__name__}; allowed is a table of homes")
    table = table.reset_index(drop=True)
    for name in table.columns:
        if name not in COLUMNS and name not in NAMES:
            raise PolicyError(f"prosumer_fleet: {did_you_mean(str(name), (*COLUMNS, *NAMES), 'column')}")
    for name, usual in DEFAULTS.items():
        if name not in table:
            table[name] = usual
    if "bess_max_kwh" not in table:
        table["bess_max_kwh"] = table["bess_kwh"]
    if "plugged" not in table:
        table["plugged"] = True
    numbers = table[[*DEFAULTS, "bess_max_kwh"]].apply(pd.to_numeric, errors="coerce").astype(np.float64)
    _refuse(numbers.isna().any(axis=1), "no number where one belongs")
    _refuse((numbers < 0).any(axis=1) | (numbers > MOST).any(axis=1), f"a negative number, or one above {MOST:g}")
    _refuse(~table["plugged"].isin([True, False]), "in plugged what is neither true nor false")
    for less, most in LIMITS:
        beyond = numbers[less] > numbers[most] * (1.0 + 1e-9) + 1e-9
        _refuse(beyond, f"{less} above {most}: allowed is what it can hold")
    table[numbers.columns] = numbers
    return table


def _row(row: Any) -> dict[str, Any]:
    """Return one home as a mapping, complete: what a row leaves out has its default."""
    if not isinstance(row, Mapping) and not hasattr(row, "__dict__"):
        raise PolicyError(f"prosumer_fleet: got the row {row!r:.60}; allowed is a mapping of columns to numbers")
    made = {**DEFAULTS, "plugged": True, **(row if isinstance(row, Mapping) else vars(row))}
    return {"bess_max_kwh": made["bess_kwh"], **made}


def _refuse(bad: pd.Series, what: str) -> None:
    if bad.any():
        raise PolicyError(f"prosumer_fleet: rows {list(bad.index[bad])[:5]} (0 is the first) hold {what}")


class CentralizedOptimizer:
    """Dispatch of one opportunity by one linear program.

    Parameters
    ----------
    energy_value_usd_per_kwh : float
        What a stored kWh is worth after the opportunity; .10 is about an August day-ahead mean [assumed].
    eta_b, eta_e : float
        One-way efficiencies of battery and car.
    wear_usd_per_kwh : float
        Wear per kWh discharged.
    """

    def __init__(
        self,
        energy_value_usd_per_kwh: float = 0.10,
        eta_b: float = 0.95,
        eta_e: float = 0.92,
        wear_usd_per_kwh: float = 0.063,
    ) -> None:
        self._value = energy_value_usd_per_kwh
        self._eta_b, self._eta_e, self._wear = eta_b, eta_e, wear_usd_per_kwh

    def optimize_dispatch(
        self, market_opportunity: Any, prosumer_fleet: Any, current_timestamp: datetime | str
    ) -> CentralizedResult:
        """Find the most valuable dispatch of a fleet in one opportunity.

        Parameters
        ----------
        market_opportunity : mapping or object
            With `duration_hours`, `required_capacity_mw` (the most that may be sold) and `day_ahead_price` (USD/MWh).
        prosumer_fleet : DataFrame, `view.homes` or rows
            Homes with the columns of `COLUMNS`; missing ones are zero, an unknown one is an error.
        current_timestamp : datetime or str
            When it is asked for; kept in the result.

        Raises
        ------
        PolicyError
            When a field is missing or a number is not usable.
        """
        price = _field(market_opportunity, "day_ahead_price")
        hours = _field(market_opportunity, "duration_hours")
        cap_mw = _field(market_opportunity, "required_capacity_mw")
        whole = DT_H <= hours <= MOST_HOURS and hours % DT_H == 0.0
        if not (abs(price) <= MOST and whole and 0.0 <= cap_mw <= MOST):
            raise PolicyError(
                f"market_opportunity: got price {price} USD/MWh, {hours} h, {cap_mw} MW; allowed is a price of at "
                f"most {MOST:g}, quarter hours from at least {DT_H:g} to {MOST_HOURS:g} h, and 0 to {MOST:g} MW"
            )
        try:
            asked = pd.Timestamp(current_timestamp)
        except (ValueError, TypeError) as error:
            raise PolicyError(f"current_timestamp: got {current_timestamp!r:.60}; allowed is an ISO time") from error
        table = fleet_table(prosumer_fleet)
        b, e = np.flatnonzero(table["bess_kw"] > 0), np.flatnonzero(table["ev_kw"] > 0)
        steps = round(hours / DT_H)
        physics = Physics(DT_H, self._eta_b, self._eta_e, self._wear, 0.5, steps)
        column = {name: table[name].to_numpy(dtype=np.float64) for name in (*DEFAULTS, "bess_max_kwh")}
        power, low, high = (column[name][b] for name in ("bess_kw", "bess_min_kwh", "bess_max_kwh"))
        problem = DispatchProblem(Devices(power, low, high, column["v2g_kw"][e]), physics, 1, reserve=False)
        plan = problem.solve(
            self._inputs(column, table["plugged"].to_numpy(bool), b, e, price, cap_mw * KWH_PER_MWH, steps)
        )
        dispatch = pd.DataFrame(0.0, index=table.index, columns=["bess_kw", "defer_kw", "v2g_kw", "buy_kw"])
        dispatch.iloc[b, 0], dispatch.iloc[b, 3] = plan.sell_b.mean(axis=1), plan.buy_b.mean(axis=1)
        dispatch.iloc[e, 1], dispatch.iloc[e, 2] = plan.defer.mean(axis=1), plan.v2g.mean(axis=1)
        dispatch.insert(0, "prosumer", [f"prosumer_{i}" for i in range(len(table))])
        dispatch["sell_kw"] = dispatch[["bess_kw", "defer_kw", "v2g_kw"]].sum(axis=1)
        bess, defer, v2g, bought, sold = (
            hours * float(dispatch[name].sum()) for name in ("bess_kw", "defer_kw", "v2g_kw", "buy_kw", "sell_kw")
        )
        usd = price / KWH_PER_MWH
        # what the energy given away would be worth later, and what the energy taken in will be
        used = bess / self._eta_b + defer + v2g / self._eta_e**2 - bought * self._eta_b
        return CentralizedResult(
            status=plan.status,
            timestamp=asked,
            price_usd_per_mwh=price,
            total_power_kw=sold / hours,
            capacity_mw=sold / hours / KWH_PER_MWH,
            energy_kwh=sold,
            expected_revenue_usd=sold * usd,
            expected_profit_usd=(sold - bought) * usd - self._wear * (bess + v2g) - self._value * used,
            dispatch=dispatch,
            optimization_seconds=plan.seconds,
        )

    def _inputs(
        self,
        column: dict[str, NDArray[np.float64]],
        plugged: NDArray[np.bool_],
        b: NDArray[np.int64],
        e: NDArray[np.int64],
        price: float,
        cap_kw: float,
        steps: int,
    ) -> Inputs:
        """Write the one opportunity down for the problem; a car below its target is taken to be charging."""
        lack = np.maximum(column["ev_target_kwh"] - column["ev_soc_kwh"], 0.0)[e]
        charging = np.minimum(column["ev_kw"][e], lack / (self._eta_e * DT_H * steps)) * plugged[e]
        p_baseline = np.repeat(charging[:, None], steps, axis=1)
        held = np.maximum(column["ev_soc_kwh"] - column["ev_min_kwh"], 0.0)[e]
        can = np.flatnonzero(column["v2g_kw"][e] > 0)
        low, high = column["bess_min_kwh"][b], column["bess_max_kwh"][b]
        soc = np.clip(column["soc_kwh"][b], low, high)
        return Inputs(
            lmp=np.full(steps, price / KWH_PER_MWH),
            sale=np.full(steps, price / KWH_PER_MWH),
            rho=np.zeros(1),
            soc=soc,
            surplus=np.zeros((len(b), steps)),
            value_low=low,
            value_width=(high - low) / SEGMENTS,
            slopes=np.full((len(b), SEGMENTS), self._value),
            deficit=np.zeros(len(e)),
            p_baseline=p_baseline,
            charge_room=np.zeros_like(p_baseline),
            v2g_room=np.repeat((column["v2g_kw"][e] * plugged[e])[can, None], steps, axis=1),
            deficit_room=(held + lack)[:, None],
            back_width=np.ones(len(e)),
            # worth per kWh of charging, priced by kWh that the car lacks
            back=np.full((len(e), SEGMENTS), self._value / self._eta_e),
            capacity_kw=cap_kw,
        )
