"""From cards to the homes' rows, row by row: a card makes a limit tighter or leaves it; nothing here makes one looser.

`untold` is the other starting point, for research: a row as physics has it, so that all that is known of an owner's
wishes is what the card says. Then what a card does not say is filled in with caution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from vpp_env.contract.policy import MarketRules
from vpp_env.contract.views import Homes, Public
from vpp_env.units import BUY_LIMIT_RANGE
from vpp_policies.agentic.card import DAYS, MAX_WINDOWS, Compiled, PreferenceCard, Window
from vpp_policies.agentic.state import Declared

CENTS = 100.0
WEEK_MIN, DAY_MIN = 7 * 24 * 60, 24 * 60
CHEAP_STEPS = 16
CAUTION_SHARE, CAUTION_PREMIUM, CAUTION_DAY = 0.5, 0.05, 0.5
"""Where a statement gives no number and nothing else is known: half of the power, half of the battery kept and half of
it used per day, 5 cents above cost [assumed; the middle owner of the default scenario is at .7, .6 and 5 cents]."""


@dataclass(frozen=True)
class CardTable:
    """N cards as columns; NaN where nothing is said."""

    known: np.ndarray  # (N,) bool: there is a card, be it an empty one
    reserve_kwh: np.ndarray
    share: np.ndarray
    premium: np.ndarray  # USD/kWh above own cost
    price_floor: np.ndarray  # USD/kWh
    day_share: np.ndarray  # of the battery, per day
    ready_min: np.ndarray  # minutes after midnight
    target: np.ndarray  # share of the car's battery
    buy_limit: np.ndarray  # USD/kWh
    concession: np.ndarray  # 0-1
    windows: np.ndarray  # (N, K, 2) minutes of the week [from, to); to may be beyond the week's end; -1: none


def card_table(compiled: Sequence[Compiled]) -> CardTable:
    """Return the cards as columns."""
    cards = [c.card for c in compiled]

    def column(name: str, scale: float) -> np.ndarray:
        values = np.array([getattr(c, name) for c in cards], dtype=np.float64)
        return np.where(values < 0, np.nan, values / scale)

    hhmm = column("ready_hhmm", 1.0)
    return CardTable(
        known=np.array([c.known for c in compiled], dtype=bool),
        reserve_kwh=column("reserve_wh", 1000.0),
        share=column("share_percent", 100.0),
        premium=column("premium_cents", CENTS),
        price_floor=column("price_floor_cents", CENTS),
        day_share=np.fmin(column("day_percent", 100.0), column("cycles_percent", 100.0)),
        ready_min=hhmm // 100 * 60 + hhmm % 100,
        target=column("target_percent", 100.0),
        buy_limit=column("buy_limit_cents", CENTS),
        concession=column("concession_percent", 100.0),
        windows=np.array([_windows(c) for c in cards], dtype=np.int64).reshape(len(cards), MAX_WINDOWS, 2),
    )


def _windows(card: PreferenceCard) -> list[tuple[int, int]]:
    spans = [_span(w) for w in card.blackouts[:MAX_WINDOWS]]
    return spans + [(-1, -1)] * (MAX_WINDOWS - len(spans))


def _span(window: Window) -> tuple[int, int]:
    start = DAYS.index(window.from_day) * DAY_MIN + window.from_hhmm // 100 * 60 + window.from_hhmm % 100
    end = DAYS.index(window.to_day) * DAY_MIN + window.to_hhmm // 100 * 60 + window.to_hhmm % 100
    return start, end if end > start else end + WEEK_MIN


def untold(homes: Homes, public: Public, cards: CardTable) -> Homes:
    """Rows as physics has them, with caution where a card says nothing; a home without a card is not touched at all.

    What stays of the row are device data, costs (wear, refill, buying back) and the schedule of the car.
    """
    own = homes.own_cost + np.where(np.isnan(cards.price_floor) & np.isnan(cards.premium), CAUTION_PREMIUM, 0.0)
    standby = np.divide(homes.reserve_ask, homes.own_ask, out=np.zeros_like(own), where=homes.own_ask > 0) * own
    share = np.where(np.isnan(cards.share), CAUTION_SHARE, 1.0)
    keep = np.where(np.isnan(cards.reserve_kwh), CAUTION_SHARE * homes.bess_kwh, 0.0)
    day = np.where(np.isnan(cards.day_share), CAUTION_DAY, 10.0) * homes.bess_kwh
    cheap = float(np.sort(public.da_usd_per_kwh)[:CHEAP_STEPS].mean())
    return replace(
        homes,
        floor_kwh=np.maximum(homes.bess_min_kwh, keep),
        willingness=np.where(cards.known, share, 0.0),
        day_left_kwh=np.maximum(day - homes.discharged_today_kwh, 0.0),
        buy_limit=np.where(np.isnan(cards.buy_limit), cheap, BUY_LIMIT_RANGE[1]),
        own_ask=own,
        reserve_ask=standby,
        blackout_now=np.zeros_like(homes.blackout_now),
        bess_sell_kw=homes.bess_sell_hard_kw,
        v2g_sell_kw=homes.v2g_sell_hard_kw,
        storage_sell_kw=homes.bess_sell_hard_kw + homes.v2g_sell_hard_kw,
        reserve_kw=homes.reserve_hard_kw,
    )


def tighten(homes: Homes, cards: CardTable, public: Public, rules: MarketRules) -> Homes:
    """Return the rows under their cards: every limit is the tighter of the row's and the card's."""
    hours = public.hours
    floor = np.fmax(homes.floor_kwh, cards.reserve_kwh)
    used = np.maximum(cards.day_share * homes.bess_kwh - homes.discharged_today_kwh, 0.0)
    day_left = np.fmin(homes.day_left_kwh, used)
    above = np.maximum(homes.soc_kwh - np.maximum(floor, homes.bess_min_kwh), 0.0) * rules.bess_eta
    bess = np.minimum(homes.bess_sell_kw, np.minimum(above, day_left) / hours)
    own = np.fmax(np.fmax(homes.own_ask, cards.price_floor), homes.own_cost + cards.premium)
    due = _hours_to_ready(homes, cards, public)
    defer, v2g = _car_limits(homes, cards, due, hours, rules.ev_eta)
    black = _blacked_out(cards.windows, public)
    # as the home delivers: the battery first, then V2G alone unless the battery lasts at full power
    lasts = bess >= homes.bess_kw
    storage = np.minimum(homes.storage_sell_kw, np.where(lasts, bess + v2g, np.maximum(bess, v2g)))
    reserve_bess = np.minimum(above, day_left) / rules.reserve_hours
    return replace(
        homes,
        floor_kwh=floor,
        day_left_kwh=day_left,
        willingness=np.fmin(homes.willingness, cards.share),
        buy_limit=np.fmin(homes.buy_limit, cards.buy_limit),
        own_ask=own,
        reserve_ask=homes.reserve_ask * np.divide(own, homes.own_ask, out=np.ones_like(own), where=homes.own_ask > 0),
        blackout_now=homes.blackout_now | black,
        hours_to_ready=due,
        defer_kw=np.minimum(homes.defer_kw, defer),
        defer_first_kw=np.minimum(homes.defer_first_kw, defer),
        defer_mean_kw=np.minimum(homes.defer_mean_kw, defer),
        bess_sell_kw=bess,
        v2g_sell_kw=v2g,
        storage_sell_kw=storage,
        reserve_kw=np.minimum(homes.reserve_kw, reserve_bess + np.minimum(homes.defer_kw, defer) + v2g),
    )


def _hours_to_ready(homes: Homes, cards: CardTable, public: Public) -> np.ndarray:
    """(N,) h: the earlier of the row's deadline and the next time that the card names."""
    now = public.start.hour * 60 + public.start.minute
    until = (cards.ready_min - now) % DAY_MIN / 60.0
    return np.where(homes.plugged, np.fmin(homes.hours_to_ready, until), homes.hours_to_ready)


def _car_limits(
    homes: Homes, cards: CardTable, due: np.ndarray, hours: float, eta: float
) -> tuple[np.ndarray, np.ndarray]:
    """(N,) kW of deferred charging, and of V2G, after which a car still reaches its card's target in time."""
    said = ~(np.isnan(cards.ready_min) & np.isnan(cards.target)) & homes.plugged
    target = np.fmax(homes.ev_target_kwh, cards.target * homes.ev_kwh)
    need = np.maximum(target - homes.ev_soc_kwh, 0.0)
    wait = np.maximum(homes.ev_kw * due - need / eta, 0.0) / hours
    give = np.maximum(eta * homes.ev_kw * np.maximum(due - hours, 0.0) - need, 0.0) * eta / hours
    return np.where(said, wait, np.inf), np.where(said, np.minimum(homes.v2g_sell_kw, give), homes.v2g_sell_kw)


def _blacked_out(windows: np.ndarray, public: Public) -> np.ndarray:
    """(N,) bool: whether a window meets the opportunity."""
    start: pd.Timestamp = public.start
    begin = start.weekday() * DAY_MIN + start.hour * 60 + start.minute
    end = begin + round(60 * public.hours)
    first, last = windows[..., 0], windows[..., 1]
    # a window, or the opportunity, may reach over the end of the week
    meets = [(begin + shift < last) & (end + shift > first) for shift in (-WEEK_MIN, 0, WEEK_MIN)]
    return ((first >= 0) & np.any(meets, axis=0)).any(axis=1)


def within(told: Declared, limit: Declared) -> Declared:
    """The envelope, enforced on what is declared: never more, for less, or later than `limit`, whatever a card says."""
    return replace(
        told,
        available=told.available & limit.available,
        kw=np.minimum(told.kw, limit.kw),
        energy_kwh=np.minimum(told.energy_kwh, limit.energy_kwh),
        buy_kw=np.minimum(told.buy_kw, limit.buy_kw),
        buy_limit=np.minimum(told.buy_limit, limit.buy_limit),
        due_hours=np.minimum(told.due_hours, limit.due_hours),
    )
