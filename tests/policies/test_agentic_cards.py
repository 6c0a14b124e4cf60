"""Cards: they tighten rows and never loosen one; what they say is in the statement."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vpp_policies.agentic.card import (
    DAYS,
    EMPTY,
    Compiled,
    Evidence,
    PreferenceCard,
    Window,
    card_table,
    question,
    supported,
    tighten,
    undeclared,
)

from tests.policies.gates import real_gate
from vpp_env.contract.policy import MarketRules
from vpp_env.contract.views import Homes, Public


def gate(hour: int = 18) -> tuple[Homes, Public, MarketRules]:
    """A gate of the second day."""
    return real_gate(24 + hour)


CARDS = st.builds(
    lambda numbers, windows: EMPTY.model_copy(update=numbers | {"blackouts": windows}),
    st.fixed_dictionaries(
        {
            "reserve_wh": st.sampled_from([-1, 0, 500, 4000, 100_000]),
            "share_percent": st.integers(-1, 100),
            "premium_cents": st.integers(-1, 100),
            "price_floor_cents": st.integers(-1, 200),
            "day_percent": st.integers(-1, 100),
            "cycles_percent": st.integers(-1, 500),
            "ready_hhmm": st.sampled_from([-1, 0, 615, 745, 1830, 2359]),
            "target_percent": st.integers(-1, 100),
            "buy_limit_cents": st.integers(-1, 100),
            "concession_percent": st.integers(-1, 100),
        }
    ),
    st.lists(
        st.builds(
            Window,
            from_day=st.sampled_from(DAYS),
            from_hhmm=st.sampled_from([0, 1745, 2359]),
            to_day=st.sampled_from(DAYS),
            to_hhmm=st.sampled_from([0, 1830, 2400]),
        ),
        max_size=3,
    ).map(tuple),
)

TIGHTER = {"floor_kwh": 1, "own_ask": 1, "reserve_ask": 1, "blackout_now": 1}
"""Rows in which tighter is more; in all others it is less."""


@given(st.sampled_from([2, 8, 13, 18, 20]), st.lists(CARDS, min_size=20, max_size=20))
@settings(max_examples=40, deadline=None)
def test_a_card_never_loosens_a_row(hour: int, cards: list[PreferenceCard]) -> None:
    homes, public, rules = gate(hour)
    table = card_table([Compiled(c, "model") for c in cards])
    under = tighten(homes, table, public, rules)
    for f in fields(Homes):
        before, after = getattr(homes, f.name), getattr(under, f.name)
        sign = TIGHTER.get(f.name, -1)
        assert (sign * (after * 1.0 - before * 1.0) >= -1e-12).all(), f.name
        assert np.isfinite(after * 1.0).all(), f.name
    # and with physics as the start it stays within physics
    bare = tighten(undeclared(homes, public, table), table, public, rules)
    assert (bare.bess_sell_kw <= homes.bess_sell_hard_kw + 1e-12).all()
    assert (bare.v2g_sell_kw <= homes.v2g_sell_hard_kw + 1e-12).all()
    nobody = undeclared(homes, public, card_table([Compiled(EMPTY, "fallback", known=False)] * 20))
    assert not any(
        x.any() for x in (nobody.storage_sell_kw, nobody.defer_first_kw, nobody.bess_buy_kw, nobody.reserve_kw)
    )


def test_an_empty_card_changes_nothing() -> None:
    homes, public, rules = gate()
    under = tighten(homes, card_table([Compiled(EMPTY, "model")] * 20), public, rules)
    for f in fields(Homes):
        if f.name not in ("bess_sell_kw", "storage_sell_kw"):
            np.testing.assert_array_equal(getattr(under, f.name), getattr(homes, f.name), err_msg=f.name)
    np.testing.assert_allclose(under.storage_sell_kw, homes.storage_sell_kw, atol=1e-9)


@pytest.mark.parametrize(
    ("start", "window", "meets"),
    [
        ("2023-08-16T18:00", ("wednesday", 1830, "wednesday", 1900), True),
        ("2023-08-16T18:00", ("wednesday", 1900, "wednesday", 2000), False),
        ("2023-08-16T18:00", ("wednesday", 1700, "wednesday", 1800), False),
        ("2023-08-16T18:00", ("tuesday", 2300, "wednesday", 1801), True),
        ("2023-08-20T23:30", ("monday", 0, "monday", 100), True),  # the hour reaches into the next week
        ("2023-08-21T00:00", ("sunday", 2200, "monday", 30), True),  # the window does
        ("2023-08-20T21:30", ("sunday", 2200, "monday", 30), True),
        ("2023-08-22T12:00", ("sunday", 2200, "monday", 30), False),
    ],
)
def test_blackout_windows_meet_the_hour(start: str, window: tuple[Any, ...], meets: bool) -> None:
    homes, public, rules = gate()
    first, begin_, last, end = window
    card = EMPTY.model_copy(update={"blackouts": (Window(from_day=first, from_hhmm=begin_, to_day=last, to_hhmm=end),)})
    at = replace(public, start=pd.Timestamp(start, tz=public.start.tz))
    off = replace(homes, blackout_now=np.zeros(20, dtype=bool))
    under = tighten(off, card_table([Compiled(card, "model")] + [Compiled(EMPTY, "model")] * 19), at, rules)
    assert under.blackout_now.tolist() == [meets] + [False] * 19


def test_a_car_that_must_be_ready_early_is_not_deferred() -> None:
    homes, public, rules = gate(20)
    car = int(np.flatnonzero(homes.plugged)[0])
    homes = replace(homes, defer_kw=0.5 * homes.ev_kw * homes.plugged)
    hour = (public.start + pd.Timedelta(hours=2)).hour
    early = EMPTY.model_copy(update={"ready_hhmm": hour * 100, "target_percent": 100})
    cards = [Compiled(early if i == car else EMPTY, "model") for i in range(20)]
    low = replace(homes, ev_soc_kwh=np.where(np.arange(20) == car, 0.2 * homes.ev_kwh, homes.ev_soc_kwh))
    under = tighten(low, card_table(cards), public, rules)
    assert under.defer_kw[car] == 0.0
    assert under.hours_to_ready[car] == 2.0
    others = np.arange(20) != car
    np.testing.assert_array_equal(under.defer_kw[others], homes.defer_kw[others])


def test_evidence_must_be_in_the_statement() -> None:
    said = "Keep 5.3 kWh. I ask for 4 cents."
    card = EMPTY.model_copy(
        update={
            "reserve_wh": 5300,
            "premium_cents": 4,
            "share_percent": 100,
            "evidence": (
                Evidence(field="reserve_wh", quote="5.3 kWh"),
                Evidence(field="premium_cents", quote="I ask for 40 cents"),
                Evidence(field="share_percent", quote=" "),
            ),
        }
    )
    kept, struck = supported(card, said)
    assert (kept.reserve_wh, kept.premium_cents, kept.share_percent, struck) == (5300, -1, -1, 2)
    assert [e.field for e in kept.evidence] == ["reserve_wh"]


@given(st.text(max_size=200))
def test_a_statement_cannot_leave_its_quotation(text: str) -> None:
    asked = question(text)
    assert json.loads(asked) == {"statement": text}
    assert "<" not in asked
    assert "\n" not in asked
