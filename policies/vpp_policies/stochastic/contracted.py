"""Homes under contract: their rows as the terms have changed them, and what of their owners' wishes was bought."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from vpp_env import Homes, MarketRules, Terms, View
from vpp_env.units import Flags, Floats


class Bought(NamedTuple):
    """What contracts have bought of the owners' wishes, (N,) each; 0 where nothing was."""

    floor_kwh: Floats  # kWh of the battery between the floor in force and the owner's own
    floor_price: Floats  # USD per kWh and hour below the owner's own
    day_kwh: Floats  # kWh of a day's discharge beyond the owner's own limit
    day_price: Floats  # USD per kWh of it


def nothing_bought(n: int) -> Bought:
    """No contract."""
    return Bought(*np.zeros((4, n)))


def under_contract(view: View, rules: MarketRules, on: Flags, terms: Terms) -> tuple[View, Bought]:
    """Put the terms of contracts in the place of the owners' own asks and wishes, row by row.

    Parameters
    ----------
    view : View
        The gate.
    rules : MarketRules
        The market's rules.
    on : ndarray
        (N,) bool: who has a contract for the opportunity that is bid for.
    terms : Terms
        Its terms.

    Returns
    -------
    View, Bought
        The view with `homes` changed, and what was bought.
    """
    if not on.any():
        return view, nothing_bought(rules.n_homes)
    homes = view.homes
    stores = on & (homes.bess_kwh > 0)
    kept = np.maximum(homes.floor_kwh, homes.bess_min_kwh)
    floor = np.where(
        stores, np.minimum(homes.floor_kwh, np.maximum(terms.floor_kwh, homes.bess_min_kwh)), homes.floor_kwh
    )
    more = np.where(stores, np.maximum(terms.day_kwh - homes.day_limit_kwh, 0.0), 0.0)
    changed = replace(
        homes,
        own_ask=np.where(on, terms.price, homes.own_ask),
        defer_ask=np.where(on, terms.defer_price, homes.defer_ask),
        reserve_ask=np.where(on, terms.reserve_price, homes.reserve_ask),
        floor_kwh=floor,
        day_limit_kwh=homes.day_limit_kwh + more,
        day_left_kwh=homes.day_left_kwh + more,
        blackout_now=homes.blackout_now & ~(on & (terms.blackout > 0.0)),
    )
    below = kept - np.maximum(floor, homes.bess_min_kwh)
    return replace(view, homes=changed), Bought(below, terms.floor_price * stores, more, terms.overuse_price * stores)


def own_terms(homes: Homes, rules: MarketRules, share: float) -> Terms:
    """Return what the owners ask and wish by themselves, as terms: a contract that changes nothing but `share`."""
    n = rules.n_homes
    nothing = np.zeros(n)
    return Terms(
        price=homes.own_ask,
        defer_price=homes.defer_ask,
        share=np.full(n, share),
        reserve_price=homes.reserve_ask,
        availability=nothing,
        kw=rules.sell_limit_kw,
        floor_kwh=np.clip(homes.floor_kwh, homes.bess_min_kwh, homes.bess_max_kwh),
        floor_price=nothing,
        target_kwh=np.maximum(homes.ev_target_kwh, homes.ev_min_kwh),
        car_price=nothing,
        day_kwh=homes.day_limit_kwh,
        overuse_price=nothing,
        blackout=nothing,
        blackout_price=nothing,
        v2g_reserve=nothing,
    )
