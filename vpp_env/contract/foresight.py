"""Perfect foresight: everything that an optimizer of the whole rest of a month may know, in one record.

Made by `view_builder` for the information set ORACLE only. It is the common ground of the optimizers and of the bounds:
prices, what the homes do by themselves, and what the owners ask, by 15-min step from now to the end of the run.
"""

from __future__ import annotations

from dataclasses import dataclass

from vpp_env.units import Flags, Floats, Ints


@dataclass(frozen=True)
class Foresight:
    """T steps from now to the end of the run, N homes, O opportunities of `steps` steps; read-only.

    Money USD, prices USD/kWh (capacity USD/kW-h), power kW, energy kWh.
    """

    steps: int  # 15-min steps in an opportunity
    lmp: Floats  # (T,) real-time price without the VPP's own influence
    sale: Floats  # (T,) the same with a programme's incentive: what a kWh sold brings
    slope: float  # USD/kWh by which the price falls per kW of the VPP's net sales
    bonus: Floats  # (T,) most that net energy brings as firm evening capacity, USD/kWh; what is taken in costs it
    bonus_share: float  # share of it that the VPP keeps
    spread: Floats  # (T,) day-ahead less real-time price where schedules are settled, else 0
    reserve_up: Floats  # (T,) best price of an upward reserve product, 0 where none is sold
    reserve_down: Floats  # (T,) price of the downward product
    called: Flags  # (T,) reserve is called
    highest_ask: Floats  # (T,) a sale clears at this ask or below, whatever the VPP does to the price
    lowest_limit: Floats  # (T,) a purchase clears at this limit or above, whatever the VPP does to the price
    raised: float  # USD/kWh that the VPP's own purchases can raise the price by
    paid_share: float  # share of the market's price that the payment rule gives the members at least
    import_usd_per_kwh: Floats  # (T,) retail tariff
    least_import_usd_per_kwh: float  # the tariff at its cheapest
    export_usd_per_kwh: float  # export credit
    away_usd_per_kwh: float  # charging elsewhere
    # the homes by themselves
    surplus_kw: Floats  # (T, N) own sun that is left over
    shortage_kw: Floats  # (T, N) load and charging beyond the sun
    self_consumption: bool  # the battery serves the home's own shortage
    baseline_usd: Floats  # (N,) what the baseline's battery earns its owner on the retail bill, less wear
    baseline_bonus_usd: Floats  # (N,) `bonus` of what the baseline's battery gives, less what it takes in
    baseline_bess_kwh: Floats  # (T, N) what the baseline's battery holds at the end of the step
    baseline_ev_kw: Floats  # (T, N) the undispatched car's charging
    baseline_ev_soc_kwh: Floats  # (T + 1, N) its energy at the start of the step, after arrivals
    plugged: Flags  # (T, N) the car is plugged in at home
    arrives: Flags  # (T + 1, N) the car comes home at the start of this step
    due: Ints  # (T, N) steps until the car must be ready, 0 while it is away
    judged: Floats  # (T, N) share of a car's shortage that counts at the start of the step; 1 a departure, in all
    # the owners
    blackout: Flags  # (T, N) no dispatch wanted
    own_ask: Floats  # (O, N) per kWh discharged
    defer_ask: Floats  # (O, N) per kWh of deferred charging
    reserve_ask: Floats  # (O, N) per kW and hour
    refill_end: Floats  # (N,) at the end, what a kWh into the battery costs
    back_end: Floats  # (N,) at the end, what a kWh of charging bought back costs
    # what broken wishes are worth to their owners, (N,): see `traces.fleet.Fleet`
    floor_value: Floats  # USD per kWh and h below the reserve floor
    car_value: Floats  # USD per kWh that the car is short
    overuse_value: Floats  # USD per kWh discharged beyond the day's limit
    blackout_value: Floats  # USD per kWh sold, called or bought in a blackout window
    hassle_value: Floats  # USD per clock hour in which storage gives more than `hassle_kwh`
    standby_value: Floats  # USD per kW and h on reserve
    hassle_kwh: float  # kWh of storage in a clock hour that is not noticed
    day: Ints  # (T,) local day
    hour: Ints  # (T,) clock hour, 0 the first

    @property
    def n_steps(self) -> int:
        """Steps to the end."""
        return len(self.lmp)
