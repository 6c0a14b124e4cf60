"""What an agent sees: the same bits in a view and in an environment, a home's own row, bounds that are safe to bid."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import begin, month, random_actions, scenario

from vpp_env.api.gym import CentralMarketMonth, VectorMarketMonth
from vpp_env.api.observation import Observer
from vpp_env.api.parallel import env, parallel_env
from vpp_env.contract.bids import BUY_KW, BUY_LIMIT, N_ACTION, Bids
from vpp_env.contract.observation import (
    COLUMNS,
    MEANING,
    N_OBS,
    N_PUBLIC,
    OBSERVATION_VERSION,
    PRICE_SCALE,
    column_table,
)
from vpp_env.contract.policy import Consent, PolicyInfo
from vpp_env.contract.views import Information, View
from vpp_env.core import ledger as led
from vpp_env.evaluation.audit import other_rows
from vpp_env.evaluation.record import Recorder
from vpp_env.evaluation.satisfaction import VIOLATIONS
from vpp_env.simulation.view_builder import build_view

FULL = {
    "fleet.size": 9,
    "fleet.share_bess": 0.8,
    "fleet.share_ev": 0.9,
    "fleet.v2g_share": 0.6,
    "time.duration_hours": 30,
}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "hours": ("week20", {"market.regulation": True}),
    "lead": ("week20", {"market.gate_lead_minutes": 75, "market.programme": "elrp", "market.programme_temp_c": 10.0}),
    "quarters": ("week20", {"time.opportunity_minutes": 15, "time.start": "2023-08-02T09:00"}),
    "clock": ("week20", {"time.start": "2023-11-04T20:00", "market.two_settlement": True}),
    "spring": ("week20", {"time.start": "2023-03-11T20:00", "time.opportunity_minutes": 30}),
    "reference": ("reference", {}),
    "evening": (
        "week20",
        {"market.firm_capacity": True, "market.capacity_call_usd_per_mwh": 60.0, "market.gate_lead_minutes": 75}
        | {"market.min_bid_mw": 0.001, "time.duration_hours": 80},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_view_and_an_environment_show_the_same_bits(case: str) -> None:
    name, changes = CASES[case]
    world = begin(month(name, FULL | changes, 2))
    observer, rng, seen = Observer(world), np.random.default_rng(0), set()
    while not world.done:
        matrix, view = observer.matrix(), build_view(world, Information.OWN)
        assert matrix.shape == (world.n_homes, N_OBS)
        assert np.array_equal(view.observation(), matrix)
        if world.opportunity % 7 == 0:
            assert np.array_equal(pickle.loads(pickle.dumps(view)).observation(), matrix)
        seen.add(matrix.tobytes())
        world.step(random_actions(rng, world.n_homes))
    assert len(seen) == world.scenario.n_opportunities, "the test can fail"


def test_every_month_of_many_shows_what_it_shows_alone() -> None:
    months = [month("week20", FULL, seed) for seed in (4, 5, 6)]
    together, alone = begin(*months), [begin(m) for m in months]
    observers, rng = [Observer(w) for w in alone], np.random.default_rng(0)
    whole = Observer(together)
    for _ in range(9):
        rows = [observer.matrix() for observer in observers]
        assert np.array_equal(whole.matrix(), np.concatenate(rows))
        actions = [random_actions(rng, 9) for _ in months]
        together.step(np.concatenate(actions))
        for world, a in zip(alone, actions, strict=True):
            world.step(a)


def test_a_row_follows_from_its_own_home() -> None:
    """So that whatever a policy makes of it row by row is verified as OWN."""
    world = begin(month("week20", FULL, 2))
    for _ in range(18):
        world.step(random_actions(np.random.default_rng(1), world.n_homes))
    view, rng = build_view(world, Information.OWN), np.random.default_rng(0)
    before = view.observation()
    for i in range(world.n_homes):
        kept = np.arange(world.n_homes) == i
        after = dataclasses.replace(view, homes=other_rows(view.homes, kept, rng, 0)).observation()
        assert np.array_equal(after[i], before[i])
        assert not np.array_equal(after[~kept], before[~kept])
    assert (before[:, :N_PUBLIC] == before[0, :N_PUBLIC]).all()


def column(obs: np.ndarray, name: str) -> np.ndarray:
    return obs[:, COLUMNS.index(name)].astype(np.float64)


def test_columns_hold_what_the_table_says() -> None:
    """Every column but the clock's, by hand from the view."""
    changes = FULL | {"market.two_settlement": True, "market.programme": "elrp", "market.programme_temp_c": 10.0}
    changes |= CASES["evening"][1]
    world = begin(month("week20", changes | {"market.regulation": True}, 2))
    rng, checked, seen = np.random.default_rng(0), 0, set()
    while not world.done:
        view = build_view(world, Information.OWN)
        obs, expected = view.observation(), by_hand(view)
        for name, value in expected.items():
            np.testing.assert_allclose(column(obs, name), np.clip(value, -1, 1), rtol=0, atol=1e-6, err_msg=name)
            checked += int(np.abs(value).max() > 0)
            seen |= {name} if np.abs(value).max() > 0 else set()
        world.step(random_actions(rng, world.n_homes), capacity=(5.0,) if view.public.capacity_gate else ())
    assert checked > 1000
    clock = {"hour_sin", "hour_cos", "week_sin", "week_cos"}
    assert set(COLUMNS) - set(expected) == clock
    evening = {name for name in COLUMNS if name.startswith("capacity_")} | {"hours_to_call"}
    assert evening <= seen, "each of the evening's columns is more than 0 at some gate"


def by_hand(view: View) -> dict[str, np.ndarray | float]:
    h, p = view.homes, view.public
    now = view.public.now
    assert now is not None

    def bound(kw: np.ndarray, limit: np.ndarray) -> np.ndarray:
        """In whole quanta of 10 W."""
        return share(np.floor(kw / 0.01 + 1e-6) * 0.01, limit)

    def share(x: np.ndarray, most: np.ndarray) -> np.ndarray:
        return np.array([a / b if b > 0 else 0.0 for a, b in zip(x, most, strict=True)])

    def price(x: float) -> float:
        return float(np.arcsinh(1000 * x / 100) / PRICE_SCALE)

    da, past = p.da_usd_per_kwh, np.sort(p.past_rt_usd_per_kwh[-96:])
    past = past if len(past) else da[:1]
    sell_limit, buy_limit = h.bess_kw + h.ev_kw + h.v2g_kw, h.bess_kw + h.ev_kw
    lasts = h.bess_sell_hard_kw >= h.bess_kw
    both = h.bess_sell_hard_kw + h.v2g_sell_hard_kw
    hard = np.where(lasts, both, np.maximum(h.bess_sell_hard_kw, h.v2g_sell_hard_kw))
    n, steps = len(h.bess_kwh), p.steps
    spare = np.minimum(np.maximum(h.soc_kwh - np.maximum(h.floor_kwh, h.bess_min_kwh), 0), h.day_left_kwh)
    out: dict[str, np.ndarray | float] = {
        "to_publication": ((13 - now.hour - now.minute / 60) % 24) / 24,
        "lead": p.lead * p.hours / 4,
        **{f"day_ahead_{j}": price(da[min(4 * j, len(da) - 1)]) for j in range(5)},
        "real_time": price(p.past_rt_usd_per_kwh[-1] if len(p.past_rt_usd_per_kwh) else da[0]),
        **{f"real_time_q{round(100 * q)}": price(past[round(q * (len(past) - 1))]) for q in (0.1, 0.5, 0.9)},
        "sale_price": p.expected_sale_price,
        "incentive": p.incentive_usd_per_kwh[:steps].mean() / 2,
        "incentive_ahead": p.incentive_usd_per_kwh.max() / 2,
        **{
            name: 1000 * past_rho[-1] / 50 if len(past_rho) else 0.0
            for name, past_rho in p.past_reserve_usd_per_kw_h.items()
        },
        "schedule_gate": float(len(p.day_ahead_hours) > 0),
        "schedule_kw": p.day_ahead_kw[:steps].mean() / n / 10,
        "minimum_kw": p.minimum_kw / n / 10,
        "capacity_gate": float(p.capacity_gate),
        "capacity_kw": p.capacity_kw.max() / n / 10,
        "capacity_now": p.capacity_called[:steps].mean(),
        "capacity_called": float(p.capacity_called.any()),
        "hours_to_call": p.capacity_called.argmax() / 4 / 24 if p.capacity_called.any() else 1.0,
        "capacity_rate": p.capacity_usd_per_kw,
        "soc": share(h.soc_kwh, h.bess_kwh),
        "floor": share(h.floor_kwh, h.bess_kwh),
        "capacity": h.bess_kwh / 20,
        "power": h.bess_kw / 10,
        "day_used": share(h.discharged_today_kwh, h.day_limit_kwh),
        "battery_inside_kwh": spare / 20,
        "battery_hard_kwh": np.maximum(h.soc_kwh - h.bess_min_kwh, 0) / 20,
        "battery_room_kwh": np.maximum(h.bess_max_kwh - h.soc_kwh, 0) / 20,
        "plugged": h.plugged.astype(float),
        "ev_soc": share(h.ev_soc_kwh, h.ev_kwh),
        "ev_target": share(h.ev_target_kwh, h.ev_kwh),
        "hours_to_ready": h.hours_to_ready / 24,
        "ev_capacity": h.ev_kwh / 100,
        "ev_power": h.ev_kw / 11.5,
        "v2g_power": h.v2g_kw / 11.5,
        "ev_deficit": h.ev_deficit_kwh / 20,
        "ev_missing_kwh": np.maximum(h.ev_target_kwh - h.ev_soc_kwh, 0) * h.plugged / 50,
        "v2g_hard_kwh": np.maximum(h.ev_soc_kwh - h.ev_min_kwh, 0) * (h.v2g_kw > 0) / 50,
        "own_ask": h.own_ask,
        "defer_ask": h.defer_ask,
        "reserve_ask": h.reserve_ask / 0.05,
        "buy_limit": h.buy_limit / 0.35,
        "willingness": h.willingness,
        "blackout": h.blackout_now.astype(float),
        "blackout_soon": h.blackout_soon.astype(float),
        "absent": h.absent.astype(float),
        "last_award": h.last_award_kwh / 20,
        "last_metered": h.last_market_kwh / 20,
        "last_payment": h.last_payment_usd / 5,
        "defer": bound(h.defer_kw, sell_limit),
        "defer_first": bound(h.defer_first_kw, sell_limit),
        "storage": bound(h.storage_sell_kw, sell_limit),
        "sell": bound(h.defer_kw + h.storage_sell_kw, sell_limit),
        "sell_hard": bound(h.defer_kw + hard, sell_limit),
        "buy_back": bound(h.buy_back_kw, buy_limit),
        "buy": bound(h.buy_back_kw + h.bess_buy_kw, buy_limit),
        "reserve": bound(h.reserve_kw, sell_limit),
        "reserve_hard": bound(h.reserve_hard_kw, sell_limit),
    }
    for suffix, row in (("", -1), ("_1", 0), ("_4", 3), ("_16", 15)):
        load, pv = h.load_forecast_kw[row].astype(float), h.pv_forecast_kw[row].astype(float)
        out |= {f"load{suffix}": load / 10, f"pv{suffix}": pv / 10, f"net{suffix}": (pv - load) / 10}
    return out


def test_an_owner_who_has_opted_out_is_shown_and_offers_nothing() -> None:
    world = begin(month("week20", FULL | {"time.duration_hours": 144, "market.safeguard": False}, 0))
    observer, rng, out = Observer(world), np.random.default_rng(0), 0
    while not world.done:
        obs = observer.matrix()
        gone = column(obs, "absent") == 1.0
        assert np.array_equal(gone, build_view(world, Information.OWN).homes.absent)
        for name in ("defer", "storage", "sell", "sell_hard", "buy", "reserve", "reserve_hard"):
            assert not column(obs, name)[gone].any()
        out += int(gone.sum())
        world.step(random_actions(rng, world.n_homes))
    assert out > 0, "the test can fail"


def breached(names: tuple[str, str], seed: int) -> dict[str, int]:
    """Breaches by kind when every home bids these bounds at any price, with no safeguard behind it."""
    changes = FULL | {"time.duration_hours": 96, "market.safeguard": False, "market.min_bid_mw": 0.0}
    world = begin(month("week20", changes, seed))
    record = Recorder(world, PolicyInfo("bounds", Information.OWN, Consent.NEVER, "bounds of the observation"))
    while not world.done:
        obs = build_view(world, Information.OWN).observation()
        actions = np.full((world.n_homes, N_ACTION), -1.0, dtype=np.float32)
        # by turns, so that there is always something to sell again; the first column is for sale, at any price
        if world.opportunity % 6 < 3:
            actions[:, 0] = 2.0 * column(obs, names[0]) - 1.0
        else:
            actions[:, BUY_KW], actions[:, BUY_LIMIT] = 2.0 * column(obs, names[1]) - 1.0, 1.0
        record.add(Bids(actions), world.step(actions), 0.0)
    assert record.totals[led.L_SOLD].sum() > 10.0, "something was sold"
    assert record.totals[led.L_BOUGHT].sum() > 10.0
    counts = dict(zip(VIOLATIONS, record.satisfaction.violations.sum(axis=1).tolist(), strict=True))
    return {kind: count for kind, count in counts.items() if kind != "underpaid"}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_bounds_that_are_called_safe_are(seed: int) -> None:
    """Version 1's bound was the mean over the opportunity: 12 violations by bidding it."""
    assert sum(breached(("sell", "buy"), seed).values()) == 0
    assert breached(("sell_hard", "buy"), seed)["reserve"] > 0, "the test can fail"


def test_the_table_of_the_docs_is_the_codes() -> None:
    page = (Path(__file__).parents[1] / "docs" / "learners.md").read_text(encoding="utf-8")
    assert column_table() in page
    assert tuple(MEANING) == COLUMNS
    assert len(column_table().splitlines()) == N_OBS + 2


def test_every_environment_says_the_version_of_its_columns() -> None:
    made = scenario("quick")
    for face in (parallel_env(scenario=made), env(scenario=made), CentralMarketMonth(made), VectorMarketMonth(1, made)):
        assert face.metadata["observation_version"] == OBSERVATION_VERSION
