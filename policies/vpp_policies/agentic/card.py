"""The card: what an owner's own words say, as bounded integers with the words that prove them; and what it does.

Integers only (Wh, cents, percent, hhmm): small models and grammars mishandle decimals. -1 is "not said". A field whose
evidence is not a substring of the statement is struck out. Then, row by row, a card makes a limit tighter or leaves it;
nothing here makes one looser. `undeclared` is the other starting point, for research: a row as physics has it, so that
all that is known of an owner's preferences is what the card says; what a card does not say is filled in with caution.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from vpp_env import BUY_LIMIT_RANGE, Homes, MarketRules, Public
from vpp_policies.agentic.messages import CardRead
from vpp_policies.llm.chat import ChatModel, Question, clip, whole
from vpp_policies.llm.ledger import Answer, Decider
from vpp_policies.llm.prompts import prompt

NOT_SAID = -1
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
FIELDS = (
    "reserve_wh", "share_percent", "premium_cents", "price_floor_cents", "day_percent", "cycles_percent", "ready_hhmm",
    "target_percent", "buy_limit_cents", "concession_percent", "blackouts",
)  # fmt: skip
"""What a card can say; each needs evidence."""
MAX_TOKENS = 700
"""Of one card."""
MAX_WINDOWS = 4
CENTS = 100.0
WEEK_MIN, DAY_MIN = 7 * 24 * 60, 24 * 60
CHEAP_STEPS = 16
CAUTION_SHARE, CAUTION_PREMIUM, CAUTION_DAY = 0.5, 0.05, 0.5
"""Where a statement gives no number and nothing else is known: half of the power, half of the battery kept and half of
it used per day, 5 cents above cost [assumed; the middle owner of the default scenario is at .7, .6 and 5 cents]."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Window(_Part):
    """Hours of the week in which nothing may be controlled."""

    from_day: Day
    from_hhmm: int = whole(0, 2359, "start, 24-hour clock: 1830 is half past six in the evening")
    to_day: Day
    to_hhmm: int = whole(0, 2400, "end, 24-hour clock")


class Evidence(_Part):
    """The words that a field was read from."""

    field: str = Field(description="name of a field of the card")
    quote: str = Field(description="copied from the statement, letter by letter")


class PreferenceCard(_Part):
    """One owner's preferences, as read from the owner's statement; -1 where it does not say."""

    reserve_wh: int = whole(-1, 100_000, "energy always kept in the battery, Wh: 5.3 kWh is 5300")
    share_percent: int = whole(-1, 100, "share of the free power that may be used, percent")
    premium_cents: int = whole(-1, 100, "margin per kWh above own cost, cents, rounded up")
    price_floor_cents: int = whole(-1, 200, "lowest price per kWh sold, cents, rounded up")
    day_percent: int = whole(-1, 100, "most of the battery that may be used per day, percent")
    cycles_percent: int = whole(-1, 500, "most full cycles per day, hundredths: 1.25 cycles is 125")
    ready_hhmm: int = whole(-1, 2359, "when the car must be ready, 24-hour clock: 745 is 07:45")
    target_percent: int = whole(-1, 100, "charge of the car by then, percent")
    buy_limit_cents: int = whole(-1, 100, "most paid per kWh for charging, cents, rounded down")
    concession_percent: int = whole(-1, 100, "how readily the owner gives way on price: 0 never, 50 as usual, 100")
    blackouts: tuple[Window, ...] = Field(description="times without any control; empty if none are said")
    evidence: tuple[Evidence, ...] = Field(description="one entry per field that is said")

    def says(self, field: str) -> bool:
        """Whether the statement said something on `field`."""
        value = getattr(self, field)
        return bool(value) if field == "blackouts" else value != NOT_SAID


EMPTY = PreferenceCard(
    reserve_wh=-1, share_percent=-1, premium_cents=-1, price_floor_cents=-1, day_percent=-1, cycles_percent=-1,
    ready_hhmm=-1, target_percent=-1, buy_limit_cents=-1, concession_percent=-1, blackouts=(), evidence=(),
)  # fmt: skip
"""A card that says nothing."""


@dataclass(frozen=True)
class Compiled:
    """A card and where it is from."""

    card: PreferenceCard
    source: str  # model, replay, fallback
    model: str = ""
    known: bool = True  # False: there was no answer, so nothing is known of what the owner wants


def question(statement: str) -> str:
    """Return the statement as data: a JSON string without markup, so that no text can close its own quotation."""
    return json.dumps({"statement": statement}, ensure_ascii=False).replace("<", "\\u003c").replace(">", "\\u003e")


def supported(card: PreferenceCard, statement: str) -> tuple[PreferenceCard, int]:
    """Strike out what the statement does not bear: fields without a quote from it. Returns the count of them too."""
    kept = tuple(e for e in card.evidence if e.field in FIELDS and e.quote.strip() and e.quote in statement)
    shown = {e.field for e in kept}
    struck = [f for f in FIELDS if card.says(f) and f not in shown]
    changed = {f: getattr(EMPTY, f) for f in struck} | {"evidence": kept}
    changed["blackouts"] = () if "blackouts" in struck else card.blackouts[:MAX_WINDOWS]
    return card.model_copy(update=changed), len(struck)


def compile_card(model: ChatModel, decider: Decider, statement: str) -> Compiled:
    """Read one owner's statement: one question about one owner, no tools; without an answer, an empty card."""
    return compile_cards(model, decider, [statement])[0]


def compile_cards(model: ChatModel, decider: Decider, statements: Sequence[str]) -> list[Compiled]:
    """Read owners' statements, a question each, which may be asked side by side."""
    asked = [Question(prompt("card"), question(text), PreferenceCard, MAX_TOKENS) for text in statements]
    answers = decider.ask_all(model, asked)
    return [_compiled(decider, answer, text) for answer, text in zip(answers, statements, strict=True)]


def _compiled(decider: Decider, answer: Answer | None, statement: str) -> Compiled:
    if answer is None:
        return Compiled(EMPTY, "fallback", known=False)
    assert isinstance(answer.value, PreferenceCard)
    card, outside = clip(_clock(answer.value))
    card, struck = supported(card, statement)
    decider.ledger.event("clipped", outside)
    decider.ledger.event("unsupported", struck)
    return Compiled(card, answer.source, answer.model)


def _clock(card: PreferenceCard) -> PreferenceCard:
    """1875 is no time of day: minutes above 59 are taken as 59."""

    def fix(hhmm: int) -> int:
        return hhmm if hhmm < 0 or hhmm % 100 < 60 else hhmm // 100 * 100 + 59

    windows = tuple(
        w.model_copy(update={"from_hhmm": fix(w.from_hhmm), "to_hhmm": fix(w.to_hhmm)}) for w in card.blackouts
    )
    return card.model_copy(update={"ready_hhmm": fix(card.ready_hhmm), "blackouts": windows})


def card_read(i: int, statement: str, read: Compiled) -> CardRead:
    """Write down what was read of home i."""
    said = read.card.model_dump(mode="json", include={f for f in FIELDS if read.card.says(f)} | {"evidence"})
    return CardRead(prosumer_id=i, statement=statement, source=read.source, model=read.model, card=said)


@dataclass(frozen=True)
class CardTable:
    """N cards as columns; NaN where nothing is said."""

    known: NDArray[np.bool_]  # (N,) there is a card, be it an empty one
    reserve_kwh: NDArray[np.float64]
    share: NDArray[np.float64]
    premium: NDArray[np.float64]  # USD/kWh above own cost
    price_floor: NDArray[np.float64]  # USD/kWh
    day_share: NDArray[np.float64]  # of the battery, per day
    ready_min: NDArray[np.float64]  # minutes after midnight
    target: NDArray[np.float64]  # share of the car's battery
    buy_limit: NDArray[np.float64]  # USD/kWh
    concession: NDArray[np.float64]  # 0-1
    windows: NDArray[np.int64]  # (N, K, 2) minutes of the week [from, to); to may be beyond the week's end; -1: none


def card_table(compiled: Sequence[Compiled]) -> CardTable:
    """Return the cards as columns."""
    cards = [c.card for c in compiled]

    def column(name: str, scale: float) -> NDArray[np.float64]:
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


def undeclared(homes: Homes, public: Public, cards: CardTable) -> Homes:
    """Rows as physics has them, with caution where a card says nothing; a home without a card is not touched at all.

    What stays of the row are device data, costs (wear, refill, buying back) and the schedule of the car.
    """
    own = homes.own_cost + np.where(np.isnan(cards.price_floor) & np.isnan(cards.premium), CAUTION_PREMIUM, 0.0)
    reserve = np.divide(homes.reserve_ask, homes.own_ask, out=np.zeros_like(own), where=homes.own_ask > 0) * own
    # what nobody said limits the quantities; what was said of the share of the power limits nothing
    share = np.where(cards.known, np.where(np.isnan(cards.share), CAUTION_SHARE, 1.0), 0.0)
    reserved = np.where(np.isnan(cards.reserve_kwh), CAUTION_SHARE * homes.bess_kwh, 0.0)
    day = np.where(np.isnan(cards.day_share), CAUTION_DAY, 10.0) * homes.bess_kwh
    cheap = float(np.sort(public.da_usd_per_kwh)[:CHEAP_STEPS].mean())
    return replace(
        homes,
        floor_kwh=np.maximum(homes.bess_min_kwh, reserved),
        day_left_kwh=np.maximum(day - homes.discharged_today_kwh, 0.0),
        buy_limit=np.where(np.isnan(cards.buy_limit), cheap, BUY_LIMIT_RANGE[1]),
        own_ask=own,
        reserve_ask=reserve,
        blackout_now=np.zeros_like(homes.blackout_now),
        bess_sell_kw=share * homes.bess_sell_hard_kw,
        v2g_sell_kw=share * homes.v2g_sell_hard_kw,
        storage_sell_kw=share * (homes.bess_sell_hard_kw + homes.v2g_sell_hard_kw),
        defer_kw=share * homes.defer_kw,
        defer_first_kw=share * homes.defer_first_kw,
        defer_mean_kw=share * homes.defer_mean_kw,
        bess_buy_kw=share * homes.bess_buy_kw,
        reserve_kw=share * homes.reserve_hard_kw,
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


def _hours_to_ready(homes: Homes, cards: CardTable, public: Public) -> NDArray[np.float64]:
    """(N,) h: the earlier of the row's deadline and the next time that the card names."""
    now = public.start.hour * 60 + public.start.minute
    until = (cards.ready_min - now) % DAY_MIN / 60.0
    return np.where(homes.plugged, np.fmin(homes.hours_to_ready, until), homes.hours_to_ready)


def _car_limits(
    homes: Homes, cards: CardTable, due: NDArray[np.float64], hours: float, eta: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N,) kW of deferred charging, and of V2G, after which a car still reaches its card's target in time."""
    said = ~(np.isnan(cards.ready_min) & np.isnan(cards.target)) & homes.plugged
    target = np.fmax(homes.ev_target_kwh, cards.target * homes.ev_kwh)
    need = np.maximum(target - homes.ev_soc_kwh, 0.0)
    wait = np.maximum(homes.ev_kw * due - need / eta, 0.0) / hours
    give = np.maximum(eta * homes.ev_kw * np.maximum(due - hours, 0.0) - need, 0.0) * eta / hours
    return np.where(said, wait, np.inf), np.where(said, np.minimum(homes.v2g_sell_kw, give), homes.v2g_sell_kw)


def _blacked_out(windows: NDArray[np.int64], public: Public) -> NDArray[np.bool_]:
    """(N,): whether a window meets the opportunity."""
    start: pd.Timestamp = public.start
    begin = start.weekday() * DAY_MIN + start.hour * 60 + start.minute
    end = begin + round(60 * public.hours)
    first, last = windows[..., 0], windows[..., 1]
    # a window, or the opportunity, may reach over the end of the week
    meets = [(begin + shift < last) & (end + shift > first) for shift in (-WEEK_MIN, 0, WEEK_MIN)]
    return ((first >= 0) & np.any(meets, axis=0)).any(axis=1)
